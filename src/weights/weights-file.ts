import type { Param } from '../core/graph.ts';
import type { WeightSource } from '../core/model.ts';
import { toBytes } from '../core/tensor.ts';
import { inBlocks } from './blocks.ts';
import { ContentHash } from './content-hash.ts';
import type { Layout } from './header.ts';
import { CHUNK_BYTES } from './safetensors.ts';
import { type Append, streamSafetensors } from './safetensors-writer.ts';

/**
 * Writes the one file of weights, tensor by tensor as the source streams them; a weight in blocks and its scales are made
 * in one pass. No tensor is ever in memory as a whole.
 * @param params all that the layout names
 * @param progress called with the bytes written so far
 * @returns what the numbers are: the source's word for it, else their hash, made while they pass
 */
export async function writeWeights(
  path: string,
  plan: Layout,
  params: ReadonlyMap<string, Param>,
  source: WeightSource,
  progress: (done: number) => void,
): Promise<string> {
  const hash = source.content === undefined ? new ContentHash(plan) : null;
  const buffer = new Uint8Array(CHUNK_BYTES);
  const numbersOf = (param: Param): AsyncIterable<Uint8Array> =>
    param.data ? once(toBytes(param.data)) : source.read(param, buffer);
  await streamSafetensors(
    path,
    plan,
    async (write) => {
      const append: Append = async (name, bytes) => {
        // Hashed here while another thread writes.
        const written = write(name, bytes);
        hash?.update(name, bytes);
        await written;
      };
      for (const { name } of plan.entries) {
        const param = params.get(name)!;
        if (!param.packed) {
          for await (const chunk of numbersOf(param)) await append(name, chunk);
          continue;
        }
        const { of, holds, twin } = param.packed;
        if (holds === 'scales') continue;
        for await (const piece of inBlocks(param.packed, () => numbersOf(of))) {
          await append(name, piece.values);
          await append(twin, piece.scales);
        }
      }
    },
    progress,
  );
  return source.content ?? hash!.digest();
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}
