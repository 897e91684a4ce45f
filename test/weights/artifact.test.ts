import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { elementCount, fromBytes, toFloat16 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import {
  cacheStatus,
  cleanCache,
  openSafetensors,
  prepareArtifacts,
  readSafetensors,
  seeded,
} from '../../src/weights/index.ts';
import { OWNER } from '../../src/weights/owner.ts';
import { tinyModel } from './tiny-model.ts';

let cacheDir: string;
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'versus-cache-'));
});
afterEach(() => rm(cacheDir, { recursive: true, force: true }));

const options = () => ({ cacheDir, maxBytes: 1e9, precision: 'fp32' as const });
const entries = async () => (await readdir(cacheDir)).filter((n) => /^[0-9a-f]{16}$/.test(n));
/** Takes this process's lease off an entry and lets it look as if it was used `hours` ago. */
async function abandon(dir: string, hours: number): Promise<void> {
  for (const file of await readdir(dir)) if (file.startsWith('lease-')) await rm(join(dir, file));
  const then = new Date(Date.now() - hours * 3600_000);
  await utimes(join(dir, 'used'), then, then);
}

describe('prepareArtifacts', () => {
  it('writes graphs that onnxruntime runs, and shared parameters once', async () => {
    const artifacts = await prepareArtifacts(tinyModel('tiny'), options());
    expect(Object.keys(artifacts).sort()).toEqual(['head', 'model']);
    const { model, head } = artifacts;
    expect(dirname(model!.path)).toBe(dirname(head!.path));
    expect(model!.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(model!.sha256).not.toBe(head!.sha256);

    const file = await openSafetensors(join(dirname(model!.path), 'weights.safetensors'));
    expect([...file.names].sort()).toEqual(['fc.bias', 'fc.weight', 'stem.weight']);
    const w = (await file.read('fc.weight')).data as Float32Array;
    const b = (await file.read('fc.bias')).data as Float32Array;
    await file.close();

    const session = await InferenceSession.create(head!.path);
    const x = Float32Array.from({ length: 8 }, (_, i) => i - 3);
    const { y } = await session.run({ x: new Tensor('float32', x, [1, 8]) });
    const expected = Array.from(b, (bias, r) => bias + x.reduce((sum, v, c) => sum + v * w[r * 8 + c]!, 0));
    (y!.data as Float32Array).forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i]!, 5);
    });
    await session.release();

    const graph = await head!.graph();
    const source = await head!.weights();
    expect(source).toMatchObject({ trained: false, label: 'seeded(0)' });
    const chunks: Buffer[] = [];
    for await (const chunk of source.read(graph.params.find((p) => p.name === 'fc.weight')!))
      chunks.push(Buffer.from(chunk));
    expect(fromBytes('float32', new Uint8Array(Buffer.concat(chunks)))).toEqual(w);
    const other = { ...graph.params[0]!, shape: [1] };
    expect(() => source.read({ ...other, name: 'nowhere' })).toThrow(/no float32 \[1\] named nowhere/);
    await source.close();
  });

  it('finds what it built, and builds anew for other weights or graphs', async () => {
    const seen: string[] = [];
    const progress = (what: string) => seen.push(what);
    const first = await prepareArtifacts(tinyModel('tiny'), { ...options(), progress });
    expect(seen[0]).toMatch(/weights of tiny, \d+%/);
    seen.length = 0;
    const again = await prepareArtifacts(tinyModel('tiny'), { ...options(), progress });
    expect(seen).toEqual([]);
    expect(again.model!.path).toBe(first.model!.path);
    expect(again.model!.sha256).toBe(first.model!.sha256);
    const reseeded = await prepareArtifacts({ ...tinyModel('tiny'), weights: seeded(1) }, options());
    const wider = await prepareArtifacts(tinyModel('tiny', 16), options());
    const paths = [first, reseeded, wider].map((a) => a.model!.path);
    expect(new Set(paths).size).toBe(3);
    expect(await entries()).toHaveLength(3);
    expect((await cacheStatus(cacheDir)).entries).toBe(3);
  });

  it('makes half precision from the same numbers', async () => {
    const full = await prepareArtifacts(tinyModel('tiny'), options());
    const half = await prepareArtifacts(tinyModel('tiny'), { ...options(), precision: 'fp16' });
    const read = async (path: string) =>
      (await readSafetensors(join(dirname(path), 'weights.safetensors')))['fc.weight']!;
    const rounded = await read(half.head!.path);
    expect(rounded.dtype).toBe('float16');
    const numbers = (await read(full.head!.path)).data as Float32Array;
    expect([...rounded.data]).toEqual([...numbers].map(toFloat16));
    const [a, b] = await Promise.all([full, half].map((x) => InferenceSession.create(x.head!.path)));
    const feeds = { x: new Tensor('float32', new Float32Array(8).fill(1), [1, 8]) };
    const exact = (await a!.run(feeds)).y!.data as Float32Array;
    ((await b!.run(feeds)).y!.data as Float32Array).forEach((v, i) => {
      expect(Math.abs(v - exact[i]!)).toBeLessThan(4e-3);
    });
    await Promise.all([a!.release(), b!.release()]);
  });

  it('replaces a damaged entry', async () => {
    const { model } = await prepareArtifacts(tinyModel('tiny'), options());
    const weights = join(dirname(model!.path), 'weights.safetensors');
    const good = await readFile(weights);
    await truncate(weights, good.length - 10);
    await prepareArtifacts(tinyModel('tiny'), options());
    expect((await readFile(weights)).equals(good)).toBe(true);
    await rm(model!.path);
    await prepareArtifacts(tinyModel('tiny'), options());
    expect((await stat(model!.path)).size).toBeGreaterThan(100);
    await writeFile(join(dirname(model!.path), 'manifest.json'), '{"version":');
    await prepareArtifacts(tinyModel('tiny'), options());
    expect(await readdir(cacheDir)).toEqual(await entries());
  });

  it('holds the size limit: what was used longest ago goes, what is recent or in use stays', async () => {
    const dirs: string[] = [];
    for (const width of [8, 16, 24]) {
      const { model } = await prepareArtifacts(tinyModel('tiny', width), options());
      dirs.push(dirname(model!.path));
    }
    await abandon(dirs[0]!, 2);
    await abandon(dirs[1]!, 3);
    // Room for the new entry being a little larger than the one that goes for it.
    const room = { ...options(), maxBytes: (await cacheStatus(cacheDir)).bytes + 4096 };
    await prepareArtifacts(tinyModel('tiny', 32), room);
    const left = (await entries()).map((name) => join(cacheDir, name));
    expect(left).toContain(dirs[0]);
    expect(left).not.toContain(dirs[1]);
    await prepareArtifacts(tinyModel('tiny', 40), { ...options(), maxBytes: 1 });
    expect((await entries()).map((name) => join(cacheDir, name))).not.toContain(dirs[0]);
    // The last three are recent and leased by this process.
    expect(await entries()).toHaveLength(3);
    expect((await cleanCache(cacheDir)).entries).toBe(3);
    for (const name of await entries()) await abandon(join(cacheDir, name), 0);
    expect(await cleanCache(cacheDir)).toEqual({ entries: 0, bytes: 0, downloads: 0 });
    expect(await cacheStatus(join(cacheDir, 'none'))).toEqual({ entries: 0, bytes: 0, downloads: 0 });
  });

  it('leaves alone what another process has just begun to build, though it is empty or links old files', async () => {
    const owner = `${OWNER.replace(/-\d+$/, '')}-${process.ppid}`;
    const begun = ['00000000', '11111111'].map((end) => `.building-${owner}-${end}`);
    for (const name of begun) await mkdir(join(cacheDir, name));
    const old = join(cacheDir, begun[1]!, 'weights-0');
    await writeFile(old, '');
    const then = new Date(Date.now() - 5 * 3600_000);
    await utimes(old, then, then);
    await prepareArtifacts(tinyModel('tiny'), options());
    expect(await readdir(cacheDir)).toEqual([...begun, ...(await entries())]);
    await rm(old);
    for (const name of begun) await utimes(join(cacheDir, name), then, then);
    await prepareArtifacts(tinyModel('tiny', 24), options());
    expect(await readdir(cacheDir)).toEqual(await entries());
  });

  it('ignores a lease and a lock whose process is gone, and sweeps its leftovers', async () => {
    const { model } = await prepareArtifacts(tinyModel('tiny'), options());
    const dir = dirname(model!.path);
    const own = (await readdir(dir)).find((n) => n.startsWith('lease-'))!;
    const child = fork('-e', { execArgv: ['-e', ''], stdio: 'ignore' });
    await once(child, 'exit');
    const ghost = own.replace(/-\d+$/, `-${child.pid}`).slice('lease-'.length);
    await abandon(dir, 0);
    await writeFile(join(dir, `lease-${ghost}`), '');
    expect((await cleanCache(cacheDir)).entries).toBe(0);
    const name = dir.slice(-16);
    await writeFile(join(cacheDir, `.lock-${name}`), ghost);
    await writeFile(join(cacheDir, `.building-${ghost}-00000000`), '');
    await prepareArtifacts(tinyModel('tiny'), options());
    expect(await readdir(cacheDir)).toEqual([name]);
  });

  it('lets processes build the same model at once', async () => {
    const script = join(import.meta.dirname, 'prepare-child.ts');
    const children = Array.from({ length: 4 }, () =>
      fork(script, [cacheDir], {
        execArgv: ['--import', 'tsx'],
        stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      }),
    );
    const hashes = await Promise.all(
      children.map(async (child) => {
        const [message] = (await once(child, 'message')) as [string];
        await once(child, 'exit');
        return message;
      }),
    );
    expect(new Set(hashes).size).toBe(1);
    expect(hashes[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(await readdir(cacheDir)).toEqual(await entries());
    const [entry] = await entries();
    // Processes that ended in good order took their leases with them.
    expect((await readdir(join(cacheDir, entry!))).filter((file) => file.startsWith('lease-'))).toEqual([]);
  });

  it('uses a user’s ONNX file where it lies, identified by its content', async () => {
    const fixture = 'test/fixtures/onnx-vit/model.onnx';
    const foreign = (file: string) => ({ ...tinyModel('mine'), files: { model: file } });
    const { model } = await prepareArtifacts(foreign(fixture), options());
    expect(model!.path).toBe(resolve(fixture));
    const graph = await model!.graph();
    expect(graph.inputs.map((i) => i.name)).toEqual(['pixel_values']);
    const large = graph.params.find((p) => !p.data)!;
    const weights = await model!.weights();
    let bytes = 0;
    for await (const chunk of weights.read(large)) bytes += chunk.length;
    await weights.close();
    expect(bytes).toBe(4 * elementCount(large.shape));
    const copy = join(cacheDir, 'copy.onnx');
    await copyFile(fixture, copy);
    const copied = await prepareArtifacts(foreign(copy), options());
    expect(copied.model!.sha256).toBe(model!.sha256);
    const changed = Buffer.from(await readFile(copy));
    const place = changed.indexOf('logits');
    changed.write('logitz', place);
    await writeFile(copy, changed);
    await expect(prepareArtifacts(foreign(copy), options())).rejects.toThrow();
    await expect(prepareArtifacts(foreign('none.onnx'), options())).rejects.toThrow(
      /none.onnx|can't be read/,
    );
    const half = { ...options(), precision: 'fp16' as const };
    await expect(prepareArtifacts(foreign(fixture), half)).rejects.toThrow(/not in half precision/);
    expect(await entries()).toEqual([]);
  });

  it('identifies a user’s ONNX file by the files beside it too, as they are now', async () => {
    const mine = await mkdtemp(join(cacheDir, 'mine-'));
    // An initialiser that is read on demand, so that only a look at the other file tells.
    const large = { ...tinyModel('large', 2048), files: { head: join(mine, 'head.onnx') } };
    const built = await prepareArtifacts(tinyModel('large', 2048), options());
    for (const name of ['head.onnx', 'weights.safetensors'])
      await copyFile(join(dirname(built.head!.path), name), join(mine, name));
    const first = (await prepareArtifacts(large, options())).head!.sha256;
    const data = join(mine, 'weights.safetensors');
    const { atime, mtime } = await stat(data);
    const changed = await readFile(data);
    changed[8192]! ^= 1;
    await writeFile(data, changed);
    await utimes(data, atime, mtime);
    const second = (await prepareArtifacts(large, options())).head!.sha256;
    expect(second).not.toBe(first);
    changed[8192]! ^= 1;
    await writeFile(data, changed);
    expect((await prepareArtifacts(large, options())).head!.sha256).toBe(first);
  });

  it('says what is wrong with a model, and leaves nothing behind', async () => {
    const clash = (width: number) => {
      const g = new GraphBuilder('g');
      const x = g.input('x', 'float32', ['batch', width]);
      g.output('y', g.gemm(x, g.param('w', [3, width]), undefined, { transB: 1 }));
      return g.build();
    };
    const model = { ...tinyModel('clash'), build: () => ({ a: clash(4), b: clash(5) }) };
    await expect(prepareArtifacts(model, options())).rejects.toThrow(/parameter w is float32 \[3,5\] here/);
    const outside = { ...tinyModel('outside'), build: () => ({ '../a': clash(4) }) };
    await expect(prepareArtifacts(outside, options())).rejects.toThrow(/cannot name a graph/);
    const short = {
      label: 'short',
      open: async () => ({
        id: 'short',
        label: 'short',
        trained: false,
        async *read() {
          yield new Uint8Array(4);
        },
        close: async () => {},
      }),
    };
    await expect(prepareArtifacts({ ...tinyModel('s'), weights: short }, options())).rejects.toThrow(
      /fewer bytes/,
    );
    expect(await readdir(cacheDir)).toEqual([]);
    await writeFile(join(cacheDir, 'file'), '');
    const blocked = { ...options(), cacheDir: join(cacheDir, 'file', 'cache') };
    await expect(prepareArtifacts(tinyModel('tiny'), blocked)).rejects.toThrow(/cannot write here/);
  });
});
