/**
 * How fast a checkpoint is loaded, beside reading its files, and how much memory that takes. The checkpoint is sparse: true
 * headers, bf16 tensors of a model of the zoo, no disk. So reading costs next to nothing, which is the hardest thing to be
 * compared with; on real files both are slower and closer.
 * Usage: `node --import tsx scripts/bench-load.ts [model=qwen2-7b] [rounds=5] [export folder]`. The bars: loading ≥ 0.5 ×
 * reading, peak RSS ≤ 2 GB. With a folder the model is also converted onto its disk as fp32, and deleted again.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Param } from '../src/core/graph.ts';
import type { WeightSource } from '../src/core/model.ts';
import { prepareArtifacts, safetensors } from '../src/weights/index.ts';
import { CHUNK_BYTES } from '../src/weights/safetensors.ts';
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

async function load(source: WeightSource, params: readonly Param[], bytes: number): Promise<number> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  const start = performance.now();
  let done = 0;
  for (const param of params) {
    for await (const chunk of source.read(param, buffer)) done += chunk.byteLength / 2;
    if (done >= bytes) break;
  }
  return (performance.now() - start) / done;
}

const folder = await mkdtemp(join(tmpdir(), 'versus-bench-load-'));
try {
  const def = model(name);
  const graphs = Object.values(await def.build(def.config));
  const drawn = graphs.flatMap((graph) => graph.params).filter((param) => !param.data);
  const params = [...new Map(drawn.map((param) => [param.name, param])).values()];
  const bytes = await sparseCheckpoint(folder, params, 'bfloat16', 5e9);
  const files = (await readdir(folder)).filter((file) => file.endsWith('.safetensors')).sort();
  say(`${name}: ${(bytes / 1e9).toFixed(2)} GB of bf16 in ${files.length} shards`);
  const opening = performance.now();
  const source = await safetensors(folder).open(params, { cacheDir: join(folder, 'cache') });
  const seconds = (performance.now() - opening) / 1000;
  say(
    `opened and hashed in ${seconds.toFixed(1)} s, ${(bytes / 1e9 / seconds).toFixed(2)} GB/s; remembered from then on`,
  );
  const paths = files.map((file) => join(folder, file));
  const times: Record<'read' | 'load', number[]> = { read: [], load: [] };
  const timed = (what: 'read' | 'load', body: () => Promise<number>) => async (): Promise<number> => {
    const time = await body();
    times[what].push(time);
    return time;
  };
  const part = Math.min(bytes, PART_BYTES);
  const ratio = await pairedRatio(
    timed('read', () => read(paths, part)),
    timed('load', () => load(source, params, part)),
    { rounds: Number(rounds), perRound: 1 },
  );
  for (const [what, all] of Object.entries(times)) {
    const sorted = [...all].sort((a, b) => a - b);
    say(`${what}: ${(1e-6 / sorted[sorted.length >> 1]!).toFixed(2)} GB/s (median of ${sorted.length})`);
  }
  say(`loading as fp32 ÷ reading: ${ratio}; the bar is 0.5`);
  await load(source, params, bytes);
  await source.close();
  say(`peak RSS after loading all: ${peakMb().toFixed(0)} MB; the bar is 2000`);
  if (target !== undefined) {
    const cacheDir = join(target, `versus-bench-load-${process.pid}`);
    const start = performance.now();
    const weights = safetensors(folder);
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
