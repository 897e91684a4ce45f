import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VersusError } from '../../src/index.ts';
import { type Addition, obtain } from '../../src/weights/cache.ts';

let cacheDir: string;
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'versus-obtain-'));
});
afterEach(() => rm(cacheDir, { recursive: true, force: true }));

const KEY = 'ab'.repeat(32);
let built = 0;

function addition(more: Partial<Addition> = {}): Addition {
  built = 0;
  return {
    key: KEY,
    bytes: 3,
    maxBytes: 1e9,
    waiting: () => {},
    build: async (dir) => {
      built++;
      await writeFile(join(dir, 'a.onnx'), 'abc');
      return {
        version: 2,
        key: KEY,
        model: 'm',
        precision: 'fp32',
        weights: { id: 'i', content: 'i', label: 'l', trained: false },
        files: { 'a.onnx': 3 },
      };
    },
    ...more,
  };
}

async function failure(promise: Promise<unknown>): Promise<VersusError> {
  const error: unknown = await promise.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(VersusError);
  return error as VersusError;
}

describe('obtain', () => {
  it('builds once for all that ask at the same time', async () => {
    let waits = 0;
    const slow = addition();
    const build = slow.build;
    const one = {
      ...slow,
      waiting: () => {
        waits++;
      },
      build: async (dir: string) => {
        await new Promise((resolve) => setTimeout(resolve, 150));
        return build(dir);
      },
    };
    const all = await Promise.all([obtain(cacheDir, one), obtain(cacheDir, one), obtain(cacheDir, one)]);
    expect(built).toBe(1);
    expect(waits).toBeGreaterThan(1);
    expect(new Set(all.map((a) => a.dir)).size).toBe(1);
    expect(await readdir(cacheDir)).toEqual([KEY.slice(0, 16)]);
  });

  it('checks the space before it builds', async () => {
    const error = await failure(obtain(cacheDir, addition({ bytes: 1e18 })));
    expect(error.kind).toBe('infrastructure');
    expect(error.message).toMatch(/too little disk space: 1000000000\.\d GB needed, [\d.]+ GB free/);
    expect(error.next).toMatch(/cache\.dir/);
    expect(built).toBe(0);
    expect(await readdir(cacheDir)).toEqual([]);
  });

  it('says that the disk is full, leaves nothing behind, and can be asked again', async () => {
    const full = addition({
      build: async (dir) => {
        await writeFile(join(dir, 'half'), 'x');
        throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      },
    });
    const error = await failure(obtain(cacheDir, full));
    expect(error.kind).toBe('infrastructure');
    expect(error.message).toBe('the disk is full');
    expect(await readdir(cacheDir)).toEqual([]);
    await obtain(cacheDir, addition());
    expect(built).toBe(1);
  });

  it('does not wait for a lock that nobody keeps alive', async () => {
    const lock = join(cacheDir, `.lock-${KEY.slice(0, 16)}`);
    await writeFile(lock, 'another_host-1');
    const minuteAgo = new Date(Date.now() - 60_000);
    await utimes(lock, minuteAgo, minuteAgo);
    const waits: number[] = [];
    await obtain(cacheDir, addition({ waiting: () => waits.push(1) }));
    expect([built, waits.length]).toEqual([1, 0]);
  });

  it('replaces an entry of the same name that holds something else', async () => {
    const { dir } = await obtain(cacheDir, addition());
    const other = `${KEY.slice(0, 16)}${'0'.repeat(48)}`;
    const base = addition();
    const again = await obtain(cacheDir, {
      ...base,
      key: other,
      build: async (folder) => ({ ...(await base.build(folder)), key: other }),
    });
    expect(again.dir).toBe(dir);
    expect(again.manifest.key).toBe(other);
    expect(await readdir(cacheDir)).toEqual([KEY.slice(0, 16)]);
  });
});
