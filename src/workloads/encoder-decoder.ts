import type { Feeds, Opened, Resident, Residents } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { Graph, ValueInfo } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import type { Tensor, Tensors } from '../core/tensor.ts';
import { allocate, elementCount, tensor } from '../core/tensor.ts';
import type { Job } from '../core/workload.ts';
import { graphMacs } from './cost.ts';
import { type Cache, idsFor, onlyOutput, PAST, strange } from './decoder.ts';
import { asInts, type Dims, inputNamed } from './inputs.ts';
import { openCached, release } from './kept.ts';
import type { Insertion, Language } from './language.ts';

/* A language model whose encoder reads the whole prompt once and whose decoder writes the answer beside it. */

/** What BART, and Florence-2 after it, starts an answer with: the end-of-text token. */
const START = 2;
const OWN = /\.decoder\.(key|value)$/;

/** Sizes of one call: tokens of the prompt, new tokens of the answer and those that its cache holds. */
interface Call {
  readonly batch: number;
  readonly source: number;
  readonly sequence: number;
  readonly past: number;
}

/** The shape that an input takes in a call, -1 where the graph alone knows; null for one that no call feeds. */
function shapeOf({ name }: ValueInfo, call: Call, embedded: number): readonly number[] | null {
  const { batch, source, sequence, past } = call;
  if (name === 'input_ids') return [batch, embedded];
  if (name === 'inputs_embeds') return [batch, embedded, -1];
  if (name === 'attention_mask' || name === 'encoder_attention_mask') return [batch, source];
  if (name === 'position_ids') return [batch, sequence];
  if (!name.startsWith(PAST)) return null;
  return [batch, -1, OWN.test(name) ? past : source, -1];
}

/**
 * Values of a graph's symbolic dimensions in a call, by matching the declared shapes of its inputs with the ones fed.
 * @param embedded tokens per sequence that the graph embeds or takes embedded
 */
function dimsOf(graph: Pick<Graph, 'inputs'>, call: Call, embedded: number, model: Dims): Dims {
  const dims: Record<string, number> = { ...model };
  for (const info of graph.inputs) {
    const shape = shapeOf(info, call, embedded);
    if (!shape) throw strange(info);
    info.shape.forEach((dim, axis) => {
      if (typeof dim === 'string' && shape[axis]! >= 0) dims[dim] = shape[axis]!;
    });
  }
  return dims;
}

/**
 * The first call reads the prompt (embedding, encoder) and makes the first token from the start token; later calls feed one
 * token each. Keys and values of the prompt are computed once and stay in the cache.
 */
export async function openEncoderDecoder(job: Job<unknown>): Promise<Language> {
  const [embed, encoder, decoder] = [
    await job.open('embed'),
    await openCached(job, 'encoder'),
    await openCached(job, 'decoder'),
  ];
  const start = job.model.decoderStart ?? START;
  const embedded = (ids: readonly number[], batch: number) => {
    const feeds = { input_ids: idsFor(embed, batch, ids) };
    return async () => onlyOutput(embed, await embed.run(feeds));
  };
  const read = (ids: readonly number[], batch: number, cache: Cache, image?: Insertion) => {
    const source = embedded(ids, batch);
    const first = embedded(new Array<number>(batch).fill(start), batch);
    const length = ids.length / batch;
    const mask = { attention_mask: visible(encoder, 'attention_mask', batch, length) };
    const crossMask = {
      encoder_attention_mask: visible(decoder, 'encoder_attention_mask', batch, length),
    };
    return async () => {
      const embeds = await source();
      const encoded = await encoder.run({ ...mask, inputs_embeds: image ? image.splice(embeds) : embeds });
      const past = { ...cache.tensors, ...asPast(decoder, encoded.kept) };
      const outputs = await decoder.run({ ...crossMask, ...past, inputs_embeds: await first() });
      const kept = { ...encoded.kept, ...outputs.kept };
      // Exported decoders may hand on what the encoder made, under the same names.
      release(encoded.kept, kept);
      return { host: outputs.host, kept };
    };
  };
  const write = (ids: readonly number[], batch: number, cache: Cache) => {
    const next = embedded(ids, batch);
    const prompt = Object.entries(cache.tensors).find(([name]) => !OWN.test(name))![1];
    const mask = visible(decoder, 'encoder_attention_mask', batch, prompt.shape[2]!);
    return async () =>
      decoder.run({ ...cache.tensors, encoder_attention_mask: mask, inputs_embeds: await next() });
  };
  return {
    emptyCache: (batch) => emptyCache(decoder, batch, job.model.dims ?? {}),
    advance: (cache, kept) => advance(decoder, cache, kept),
    prepare: (ids, batch, cache, image) =>
      cache.length === 0 ? read(ids, batch, cache, image) : write(ids, batch, cache),
    async close() {
      for (const session of [embed, encoder, decoder]) await session.close();
    },
  };
}

/** A mask [batch, length] that hides nothing. */
function visible(session: Opened, name: string, batch: number, length: number): Tensor {
  const ones = new Array<number>(batch * length).fill(1);
  return asInts(inputNamed(session, name).dtype, [batch, length], ones);
}

/** The encoder's `present.N.encoder.*` as the decoder takes them. */
function asPast(decoder: Opened, encoded: Residents): Residents {
  const wanted = decoder.inputs.filter(({ name }) => name.startsWith(PAST) && !OWN.test(name));
  return Object.fromEntries(wanted.map(({ name }) => [name, presentOf(encoded, name)]));
}

function presentOf(outputs: Residents, past: string): Resident {
  const name = past.replace(PAST, 'present.');
  const found = outputs[name];
  if (found) return found;
  throw new VersusError('unsupported', `no graph returns ${name}`, {
    next: 'the encoder has to return present.N.encoder.key/value, the decoder present.N.decoder.key/value',
  });
}

/** Nothing written yet, and nothing read. */
function emptyCache(decoder: Opened, batch: number, model: Dims): Cache {
  const tensors: Tensors = {};
  for (const info of decoder.inputs) {
    if (!info.name.startsWith(PAST) || !OWN.test(info.name)) continue;
    const shape = info.shape.map((dim, axis) => {
      const size = axis === 0 ? batch : axis === 2 ? 0 : typeof dim === 'number' ? dim : model[dim];
      if (size !== undefined) return size;
      throw new VersusError('unsupported', `the size of axis ${axis} of ${info.name} is open`, {
        where: `input ${info.name} [${info.shape.join(', ')}]`,
        next: 'export the cache with static head count and head size, or give the model `dims`',
      });
    });
    tensors[info.name] = tensor(info.dtype, shape, allocate(info.dtype, elementCount(shape)));
  }
  return { length: 0, tensors };
}

/** The answer's keys and values have grown; the prompt's come from the first call and stay. */
function advance(decoder: Opened, cache: Cache, kept: Residents): Cache {
  const tensors: Feeds = {};
  for (const { name } of decoder.inputs) {
    if (!name.startsWith(PAST)) continue;
    const prompt = OWN.test(name) ? undefined : cache.tensors[name];
    tensors[name] = prompt ?? presentOf(kept, name);
  }
  return { length: cache.length + 1, tensors };
}

/** Multiply–accumulates of reading the prompt and of every step; those of a step grow linearly with the cache. */
export async function encoderDecoderMacs(
  model: ModelDef,
  batch: number,
  promptTokens: number,
  newTokens: number,
): Promise<number | null> {
  const of = (name: string, past: number, embedded: number) =>
    graphMacs(model, name, (graph) =>
      dimsOf(graph, { batch, source: promptTokens, sequence: 1, past }, embedded, model.dims ?? {}),
    );
  const parts = [
    await of('embed', 0, promptTokens),
    await of('encoder', 0, promptTokens),
    await of('embed', 0, 1),
    await of('decoder', 0, 1),
    await of('decoder', newTokens - 1, 1),
  ];
  if (parts.some((macs) => macs === null)) return null;
  const [source, encode, token, first, last] = parts as [number, number, number, number, number];
  return source + encode + newTokens * (token + (first + last) / 2);
}
