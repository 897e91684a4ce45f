/**
 * How fast a checkpoint is loaded, beside reading its files, and how much memory that takes: opened for the first time and
 * loaded, and loaded again from the open source. Checkpoints of tensors of a model of the zoo, loaded as fp32:
 * - real: 1 GB of random bytes in each type, in the page cache; reading it costs memory bandwidth alone, which is the hardest thing to be
 *   compared with;
 * - sparse: the whole model as true headers and holes, whatever its size, for the memory.
 * Usage: `node --import tsx scripts/bench-load.ts [model=qwen2-7b] [rounds=5] [export folder]`. The bars: loading ≥ 0.5 ×
 * reading, peak RSS ≤ 2 GB. With a folder the whole model is also converted onto its disk as fp32, and deleted again.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Param } from '../src/core/graph.ts';
import type { WeightSource } from '../src/core/model.ts';
import { bytesPerElement, type DType, elementCount } from '../src/core/tensor.ts';
import { layout } from '../src/weights/header.ts';
import { prepareArtifacts, safetensors } from '../src/weights/index.ts';
import { CHUNK_BYTES } from '../src/weights/safetensors.ts';
import { streamSafetensors } from '../src/weights/safetensors-writer.ts';
import { model } from '../src/zoo/index.ts';
import { sparseCheckpoint } from '../test/weights/sparse.ts';
import { pairedRatio } from './paired.ts';

const [name = 'qwen2-7b', rounds = '5', target] = process.argv.slice(2);
/** Timed per turn; the whole would take minutes a round. */
const PART_BYTES = 1 << 30;

const say = (text: string): boolean => process.stdout.write(`${text}\n`);
const peakMb = (): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1000;

async function read(files: readonly string[], bytes: number): Promise<number> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  const start = performance.now();
  let done = 0;
  for (const file of files) {
    const handle = await open(file, 'r');
    for (let at = 0; done < bytes; ) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) break;
      at += bytesRead;
      done += bytesRead;
    }
    await handle.close();
  }
  return (performance.now() - start) / done;
}

async function load(
  source: WeightSource,
  params: readonly Param[],
  bytes: number,
  dtype: DType,
): Promise<number> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  const share = bytesPerElement(dtype) / bytesPerElement('float32');
  const start = performance.now();
  let done = 0;
  for (const param of params) {
    for await (const chunk of source.read(param, buffer)) done += chunk.byteLength * share;
    if (done >= bytes) break;
  }
  return (performance.now() - start) / done;
}

type Task = 'read' | 'first' | 'again';

/** Loads up to `PART_BYTES` of a checkpoint in turn with reading as much of its files, and prints both ratios. */
async function compare(
  checkpoint: string,
  params: readonly Param[],
  bytes: number,
  dtype: DType,
): Promise<void> {
  const files = (await readdir(checkpoint)).filter((file) => file.endsWith('.safetensors')).sort();
  const paths = files.map((file) => join(checkpoint, file));
  const part = Math.min(bytes, PART_BYTES);
  const spec = safetensors(checkpoint);
  const times: Record<Task, number[]> = { read: [], first: [], again: [] };
  const timed = (what: Task, body: () => Promise<number>) => async (): Promise<number> => {
    const time = await body();
    times[what].push(time);
    return time;
  };
  // Nothing is remembered of a checkpoint, so that every open is a first one.
  const first = async (): Promise<number> => {
    const start = performance.now();
    const source = await spec.open(params);
    const opened = (performance.now() - start) / part;
    const loaded = await load(source, params, part, dtype);
    await source.close();
    return opened + loaded;
  };
  const opened = await spec.open(params);
  const ratios: [string, string][] = [];
  for (const [what, title, body] of [
    ['first', 'opening and loading', first],
    ['again', 'loading from the open source', () => load(opened, params, part, dtype)],
  ] as const) {
    const ratio = await pairedRatio(
      timed('read', () => read(paths, part)),
      timed(what, body),
      {
        rounds: Number(rounds),
        perRound: 1,
      },
    );
    ratios.push([title, ratio]);
  }
  for (const [what, all] of Object.entries(times)) {
    const sorted = [...all].sort((a, b) => a - b);
    say(`${what}: ${(1e-6 / sorted[sorted.length >> 1]!).toFixed(2)} GB/s (median of ${sorted.length})`);
  }
  for (const [title, ratio] of ratios) say(`${title} as fp32 ÷ reading: ${ratio}; the bar is 0.5`);
  await load(opened, params, bytes, dtype);
  await opened.close();
  say(`peak RSS after loading all: ${peakMb().toFixed(0)} MB; the bar is 2000`);
}

/** As many of the parameters as fill `PART_BYTES`, with random bytes for numbers. */
async function realCheckpoint(
  into: string,
  params: readonly Param[],
  dtype: DType,
): Promise<[Param[], number]> {
  const chosen: Param[] = [];
  let filled = 0;
  for (const param of params) {
    const bytes = bytesPerElement(dtype) * elementCount(param.shape);
    if (filled > 0 && filled + bytes > PART_BYTES) continue;
    chosen.push(param);
    filled += bytes;
  }
  const plan = layout(chosen.map(({ name, shape }) => ({ name, dtype, shape })));
  await streamSafetensors(join(into, 'model.safetensors'), plan, async (append) => {
    for (const { name, begin, end } of plan.entries) {
      for (let left = end - begin; left > 0; left -= CHUNK_BYTES) {
        await append(name, randomBytes(Math.min(left, CHUNK_BYTES)));
      }
    }
  });
  return [chosen, filled];
}

const folder = await mkdtemp(join(tmpdir(), 'versus-bench-load-'));
try {
  const def = model(name);
  const graphs = Object.values(await def.build(def.config));
  const drawn = graphs.flatMap((graph) => graph.params).filter((param) => !param.data);
  const params = [...new Map(drawn.map((param) => [param.name, param])).values()];

  for (const dtype of ['bfloat16', 'float16', 'float32'] as const) {
    const real = join(folder, dtype);
    await mkdir(real);
    const [chosen, filled] = await realCheckpoint(real, params, dtype);
    say(`real: ${(filled / 1e9).toFixed(2)} GB of ${dtype} of ${name}, random bytes`);
    await compare(real, chosen, filled, dtype);
    await rm(real, { recursive: true });
  }

  const sparse = join(folder, 'sparse');
  await mkdir(sparse);
  const bytes = await sparseCheckpoint(sparse, params, 'bfloat16', 5e9);
  say(`sparse: ${(bytes / 1e9).toFixed(2)} GB of bfloat16, the whole of ${name}`);
  await compare(sparse, params, bytes, 'bfloat16');

  if (target !== undefined) {
    const cacheDir = join(target, `versus-bench-load-${process.pid}`);
    const start = performance.now();
    const weights = safetensors(sparse);
    try {
      await prepareArtifacts({ ...def, weights }, { cacheDir, maxBytes: 1e12, precision: 'fp32' });
      const took = (performance.now() - start) / 1000;
      say(
        `converted to fp32 on disk in ${took.toFixed(0)} s, ${(bytes / 1e9 / took).toFixed(2)} GB/s of bf16`,
      );
      say(`peak RSS: ${peakMb().toFixed(0)} MB; the bar is 2000`);
    } finally {
      await rm(cacheDir, { recursive: true, force: true });
    }
  }
} finally {
  await rm(folder, { recursive: true });
}
