import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PRECISIONS, type Precision } from '../../src/core/backend.ts';
import { VersusError } from '../../src/core/errors.ts';
import type { Param } from '../../src/core/graph.ts';
import type { Artifact, ModelDef, WeightSpec } from '../../src/core/model.ts';
import { float32, type Tensors, tensor } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { prepareArtifacts, readSafetensors, safetensors, writeSafetensors } from '../../src/weights/index.ts';
import { tinyModel } from './tiny-model.ts';

let folder: string;
let cacheDir: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'versus-identity-'));
  cacheDir = join(folder, 'cache');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Of the tiny model; bfloat16 holds these numbers exactly. */
const NUMBERS: Readonly<Record<string, readonly [number[], number[]]>> = {
  'stem.weight': [[64, 3], Array.from({ length: 192 }, (_, i) => (i % 17) - 8)],
  'fc.weight': [[4, 64], Array.from({ length: 256 }, (_, i) => ((i * 7) % 13) / 4)],
  'fc.bias': [[4], [0.5, -1, 2, 0]],
};
const tensors = (...names: string[]): Tensors =>
  Object.fromEntries(names.map((name) => [name, float32(...NUMBERS[name]!)]));
const ALL = Object.keys(NUMBERS);

async function oneFile(name: string, held = tensors(...ALL)): Promise<string> {
  const path = join(folder, name);
  await writeSafetensors(path, held);
  return path;
}
async function shards(name: string): Promise<string> {
  const dir = join(folder, name);
  await mkdir(dir);
  await writeSafetensors(join(dir, 'a.safetensors'), tensors('fc.bias', 'stem.weight'));
  await writeSafetensors(join(dir, 'b.safetensors'), tensors('fc.weight'));
  await index(dir, { 'fc.bias': 'a', 'stem.weight': 'a', 'fc.weight': 'b' });
  return dir;
}
const index = (dir: string, map: Record<string, string>): Promise<void> => {
  const weight_map = Object.fromEntries(Object.entries(map).map(([k, v]) => [k, `${v}.safetensors`]));
  return writeFile(join(dir, 'model.safetensors.index.json'), JSON.stringify({ weight_map }));
};
const prepare = async (weights: WeightSpec, precision: Precision = 'fp32'): Promise<Artifact> =>
  (await prepareArtifacts({ ...tinyModel('tiny', 64), weights }, { cacheDir, maxBytes: 1e9, precision }))
    .head!;
const stored = async (artifact: Artifact, name: string): Promise<number[]> => [
  ...((await readSafetensors(join(dirname(artifact.path), 'weights.safetensors')))[name]!
    .data as Float32Array),
];
/** Overwrites a file's last float32, leaves its size, and puts its modification time back. */
async function editInPlace(path: string, value: number): Promise<void> {
  const { size, atime, mtime } = await stat(path);
  const handle = await open(path, 'r+');
  await handle.write(new Uint8Array(Float32Array.of(value).buffer), 0, 4, size - 4);
  await handle.close();
  await utimes(path, atime, mtime);
}
const params = async (): Promise<Param[]> => {
  const graphs = Object.values(await tinyModel('tiny', 64).build({}));
  return [...new Map(graphs.flatMap((graph) => graph.params).map((p) => [p.name, p])).values()];
};
const entries = async (): Promise<string[]> => (await readdir(cacheDir)).sort();

describe('the identity of a checkpoint', () => {
  it('is the same for equal numbers, however they were stored, in every precision', async () => {
    const halved = Object.entries(tensors(...ALL)).map(([name, { shape, data }]) => {
      const bits = new Uint32Array((data as Float32Array).buffer, data.byteOffset, data.length);
      return [
        name,
        tensor(
          'bfloat16',
          shape,
          Uint16Array.from(bits, (b) => b >>> 16),
        ),
      ];
    });
    const same = [
      await oneFile('one.safetensors'),
      await shards('shards'),
      await oneFile('brain.safetensors', Object.fromEntries(halved) as Tensors),
      join(folder, 'copy.safetensors'),
    ];
    await copyFile(same[0]!, same[3]!);
    const other = await oneFile('other.safetensors', {
      ...tensors(...ALL),
      'fc.bias': float32([4], [0.5, -1, 2, 1]),
    });
    const seen = new Set<string>();
    for (const precision of PRECISIONS) {
      const hashes = new Set<string>();
      for (const path of same) hashes.add((await prepare(safetensors(path), precision)).sha256);
      expect(hashes.size).toBe(1);
      seen.add([...hashes][0]!).add((await prepare(safetensors(other), precision)).sha256);
    }
    expect(seen.size).toBe(2 * PRECISIONS.length);
    const before = await entries();
    const again = await prepare(safetensors(same[0]!));
    expect(seen).toContain(again.sha256);
    expect(await entries()).toEqual(before);
  });

  it.each(['one', 'shards'])('notices an edit in place that hides itself (%s)', async (how) => {
    const path = how === 'one' ? await oneFile('one.safetensors') : await shards('shards');
    const file = how === 'one' ? path : join(path, 'b.safetensors');
    const name = how === 'one' ? 'fc.bias' : 'fc.weight';
    const first = await prepare(safetensors(path));
    await editInPlace(file, 77);
    const second = await prepare(safetensors(path));
    expect(second.path).not.toBe(first.path);
    expect(second.sha256).not.toBe(first.sha256);
    expect((await stored(second, name)).at(-1)).toBe(77);
    expect((await stored(first, name)).at(-1)).toBe(NUMBERS[name]![1].at(-1));
    await editInPlace(file, NUMBERS[name]![1].at(-1)!);
    expect((await prepare(safetensors(path))).sha256).toBe(first.sha256);
  });

  it('notices edits that follow each other at once', async () => {
    const path = await oneFile('one.safetensors');
    const ids = new Set<string>();
    for (let i = 0; i < 10; i++) {
      await editInPlace(path, i);
      const source = await safetensors(path).open(await params());
      await source.close();
      ids.add(source.id);
    }
    expect(ids.size).toBe(10);
  });

  it('notices a shard that was replaced, and an index that means another copy', async () => {
    const dir = await shards('shards');
    const b = join(dir, 'b.safetensors');
    const first = await prepare(safetensors(dir));
    const { atime, mtime } = await stat(b);
    const changed = float32(
      [4, 64],
      NUMBERS['fc.weight']![1].map((x) => x + 1),
    );
    await writeSafetensors(b, { 'fc.weight': changed, 'fc.bias': float32([4], [9, 9, 9, 9]) });
    await utimes(b, atime, mtime);
    const second = await prepare(safetensors(dir));
    expect(await stored(second, 'fc.weight')).toEqual([...changed.data]);
    await index(dir, { 'fc.bias': 'b', 'stem.weight': 'a', 'fc.weight': 'b' });
    const third = await prepare(safetensors(dir));
    expect(await stored(third, 'fc.bias')).toEqual([9, 9, 9, 9]);
    expect(new Set([first, second, third].map((artifact) => artifact.path)).size).toBe(3);
    expect(new Set([first, second, third].map((artifact) => artifact.sha256)).size).toBe(3);
  });

  it('is refused when the file changes while it is read, and nothing stays', async () => {
    const path = await oneFile('one.safetensors');
    const spec = safetensors(path);
    const meddled: WeightSpec = {
      label: spec.label,
      open: async (wanted) => {
        const source = await spec.open(wanted);
        let left = 2;
        return {
          ...source,
          async *read(param, into) {
            if (--left === 0) await editInPlace(path, 5);
            yield* source.read(param, into);
          },
        };
      },
    };
    const error = (await prepare(meddled).catch((e: unknown) => e)) as VersusError;
    expect(error).toBeInstanceOf(VersusError);
    expect(error).toMatchObject({ kind: 'input', where: path });
    expect(error.message).toMatch(/changed while it was read/);
    expect(await entries()).toEqual([]);
    expect((await stored(await prepare(spec), 'fc.bias')).at(-1)).toBe(5);
  });

  it('is recorded of numbers that a source of somebody else’s yields, whatever that calls them', async () => {
    const spec = (id: string, value: number): WeightSpec => ({
      label: 'mine',
      open: async () => ({
        ...{ id, label: 'mine', trained: true },
        async *read({ shape }) {
          yield new Uint8Array(new Float32Array(shape.reduce((n, d) => n * d, 1)).fill(value).buffer);
        },
        close: async () => {},
      }),
    });
    const [a, b, c] = [await prepare(spec('a', 1)), await prepare(spec('b', 1)), await prepare(spec('c', 2))];
    expect(a.path).not.toBe(b.path);
    expect(a.sha256).toBe(b.sha256);
    expect(a.sha256).not.toBe(c.sha256);
  });

  it('is read back from an entry, and an entry of another version is built again', async () => {
    const spec = safetensors(await oneFile('one.safetensors'));
    const { path, sha256 } = await prepare(spec);
    const manifest = join(dirname(path), 'manifest.json');
    const text = await readFile(manifest, 'utf8');
    const { content } = (JSON.parse(text) as { weights: { content: string } }).weights;
    expect(content).toMatch(/^numbers:[0-9a-f]{64}$/);
    const old = JSON.parse(text) as { version: number; weights: { content?: string } };
    old.version = 1;
    delete old.weights.content;
    for (const damaged of [JSON.stringify(old), text.replace(content, ''), text.slice(0, -20)]) {
      await writeFile(manifest, damaged);
      expect((await prepare(spec)).sha256).toBe(sha256);
      expect(await readFile(manifest, 'utf8')).toBe(text);
    }
  });

  it('leaves no half of an entry where the process is killed', async () => {
    const path = await oneFile('one.safetensors');
    const child = fork(join(import.meta.dirname, 'killed-child.ts'), [path, cacheDir], {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    await once(child, 'message');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const left = await entries();
    expect(left.some((name) => name.startsWith('.building-'))).toBe(true);
    expect(left.filter((name) => !name.startsWith('.'))).toEqual([]);
    const artifact = await prepare(safetensors(path));
    expect(await stored(artifact, 'fc.bias')).toEqual(NUMBERS['fc.bias']![1]);
    expect(await entries()).toEqual([dirname(artifact.path).slice(-16)]);
  });

  it.runIf(process.platform === 'linux')('costs no look at the numbers, which are read once', async () => {
    const bytes = 32 << 20;
    const path = join(folder, 'large.safetensors');
    await writeSafetensors(path, { w: float32([1024, bytes / 4096], new Float32Array(bytes / 4)) });
    const g = new GraphBuilder('g');
    const x = g.input('x', 'float32', ['n', bytes / 4096]);
    g.output('y', g.gemm(x, g.param('w', [1024, bytes / 4096]), undefined, { transB: 1 }));
    const graph = g.build();
    // All that this process asked of read(2).
    const asked = (): number => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))![1]);
    const start = asked();
    const source = await safetensors(path).open(graph.params);
    await source.close();
    expect(asked() - start).toBeLessThan(1 << 20);
    const model: ModelDef = {
      ...tinyModel('large'),
      build: () => ({ g: graph }),
      weights: safetensors(path),
    };
    const options = { cacheDir, maxBytes: 1e9, precision: 'fp32' } as const;
    await prepareArtifacts(model, options);
    expect(asked() - start).toBeLessThan(1.2 * bytes);
    await prepareArtifacts(model, options);
    expect(asked() - start).toBeLessThan(1.2 * bytes);
  });
});
