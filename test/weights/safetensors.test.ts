import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import { random } from '../../src/core/random.ts';
import {
  allocate,
  DTYPES,
  elementCount,
  float32,
  int64,
  type Tensors,
  tensor,
  toBytes,
} from '../../src/core/tensor.ts';
import { openSafetensors, readSafetensors } from '../../src/weights/safetensors.ts';
import { writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { mutate } from './mutations.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'versus-safetensors-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A file of the given header text and data, with a true length prefix unless one is given. */
async function raw(
  header: string,
  data = new Uint8Array(),
  length = Buffer.byteLength(header),
): Promise<string> {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(length));
  const path = join(folder, 'raw.safetensors');
  await writeFile(path, Buffer.concat([prefix, Buffer.from(header), data]));
  return path;
}

const one = (fields: string) => `{"a":{${fields}}}`;
const some: Tensors = {
  'encoder.weight': float32([2, 3], [1, 2, 3, 4, 5, 6]),
  mask: tensor('bool', [3], Uint8Array.of(1, 0, 1)),
  ids: int64([2], [7, -9]),
  empty: tensor('float32', [0, 4], new Float32Array(0)),
  scalar: tensor('float16', [], Uint16Array.of(0x3c00)),
};

describe('reading', () => {
  it('reads a file of the reference implementation', async () => {
    const file = await openSafetensors('test/fixtures/tv-resnet_bottleneck/weights.safetensors');
    expect(file.names).toHaveLength(122);
    expect(file.info('conv1.weight')).toMatchObject({ dtype: 'float32', shape: [7, 3, 7, 7] });
    expect(file.info('bn1.num_batches_tracked')).toMatchObject({ dtype: 'int64', shape: [] });
    const bn = await file.read('bn1.running_var');
    expect(bn.data).toBeInstanceOf(Float32Array);
    expect([...(bn.data as Float32Array)].every((v) => v > 0)).toBe(true);
    await file.close();
  });

  it('streams the bytes that it reads, in chunks of their own or of one buffer', async () => {
    const path = join(folder, 'stream.safetensors');
    const values = Float32Array.from({ length: 1000 }, (_, i) => i);
    await writeSafetensors(path, { x: float32([1000], values) });
    const file = await openSafetensors(path);
    const pieces: Uint8Array[] = [];
    for await (const piece of file.stream('x', 512)) pieces.push(piece);
    expect(pieces.map((p) => p.length)).toEqual([...Array(7).fill(512), 416]);
    expect(Buffer.concat(pieces).equals(toBytes(values))).toBe(true);
    const buffer = new Uint8Array(1024);
    let sum = 0;
    for await (const piece of file.stream('x', 4096, buffer)) {
      expect(piece.buffer).toBe(buffer.buffer);
      for (const v of new Float32Array(piece.buffer, 0, piece.length / 4)) sum += v;
    }
    expect(sum).toBe((999 * 1000) / 2);
    await file.close();
  });

  describe('ahead, into two buffers', () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
    let path: string;
    beforeAll(async () => {
      path = join(folder, 'ahead.safetensors');
      await writeSafetensors(path, { all: tensor('uint8', [1000], bytes), none: float32([0], []) });
    });
    const buffers = (size: number) => [new Uint8Array(size), new Uint8Array(size)] as const;

    it.each([64, 500, 1000, 4096])('gives all of a tensor, %i bytes at a time', async (size) => {
      const file = await openSafetensors(path);
      const pieces: Uint8Array[] = [];
      for await (const piece of file.ahead('all', buffers(size))) pieces.push(piece.slice());
      for await (const piece of file.ahead('none', buffers(size))) pieces.push(piece);
      await file.close();
      expect(Buffer.concat(pieces).equals(Buffer.from(bytes))).toBe(true);
      expect(pieces).toHaveLength(Math.ceil(1000 / size));
    });

    it('writes nothing more once somebody has stopped early', async () => {
      const file = await openSafetensors(path);
      const two = buffers(100);
      for await (const piece of file.ahead('all', two)) if (piece[0] === 100) break;
      for (const buffer of two) buffer.fill(7);
      await file.close();
      expect([...two[0], ...two[1]].every((byte) => byte === 7)).toBe(true);
    });

    it('says where a file ends that was cut after it was opened, though nobody waits for that piece yet', async () => {
      const cut = join(folder, 'cut.safetensors');
      await writeSafetensors(cut, { all: tensor('uint8', [1000], bytes) });
      const file = await openSafetensors(cut);
      await truncate(cut, (await stat(cut)).size - 500);
      const read = async () => {
        for await (const _ of file.ahead('all', buffers(400))) await new Promise((r) => setTimeout(r, 20));
      };
      await expect(read()).rejects.toThrow(/ends at byte/);
      await file.close();
    });
  });

  it('opens a folder, an index with shards, and only plain file names', async () => {
    const dir = join(folder, 'sharded');
    await mkdir(dir);
    await writeSafetensors(join(dir, 'a.safetensors'), { x: float32([1], [1]) }, { format: 'pt' });
    await writeSafetensors(join(dir, 'b.safetensors'), { y: float32([1], [2]), z: float32([1], [3]) });
    const index = join(dir, 'model.safetensors.index.json');
    const map = { x: 'a.safetensors', y: 'b.safetensors' };
    await writeFile(index, JSON.stringify({ metadata: { total_size: 8 }, weight_map: map }));
    expect(Object.keys(await readSafetensors(dir)).sort()).toEqual(['x', 'y']);
    const file = await openSafetensors(index);
    expect((await file.read('y')).data).toEqual(Float32Array.of(2));
    expect(file.metadata).toEqual({ format: 'pt' });
    expect(file.info('z')).toBeUndefined();
    await file.close();
    for (const bad of ['../a.safetensors', '/etc/a.safetensors', 'c\\..\\a.safetensors', 'a.bin', '..']) {
      await writeFile(index, JSON.stringify({ weight_map: { ...map, x: bad } }));
      await expect(openSafetensors(dir)).rejects.toThrow(/is not the name of a safetensors file/);
    }
    await writeFile(index, JSON.stringify({ weight_map: { ...map, w: 'a.safetensors' } }));
    await expect(openSafetensors(dir)).rejects.toThrow(/lacks tensor "w"/);
    await writeFile(index, '{"weight_map": [1]}');
    await expect(openSafetensors(dir)).rejects.toThrow(/must map tensor names/);
  });

  it('refuses what is not a regular file', async () => {
    await expect(openSafetensors(join(folder, 'none'))).rejects.toThrow(/no such/);
    const dir = join(folder, 'void');
    await mkdir(dir);
    await expect(openSafetensors(dir)).rejects.toThrow(/holds no safetensors/);
    await symlink('/dev/zero', join(dir, 'model.safetensors'));
    await expect(openSafetensors(dir)).rejects.toThrow(/not a regular file/);
  });
});

describe('writing', () => {
  it('gives back what was written, aligned, in an order of its own', async () => {
    const path = join(folder, 'some.safetensors');
    await writeSafetensors(path, some, { b: '2', a: 'é' });
    const file = await openSafetensors(path);
    expect(file.metadata).toEqual({ a: 'é', b: '2' });
    for (const [name, expected] of Object.entries(some)) expect(await file.read(name)).toEqual(expected);
    expect(file.info('encoder.weight')!.offset % 8).toBe(0);
    expect(Math.min(...file.names.map((n) => file.info(n)!.offset))).toBe(4096);
    await file.close();
    const shuffled = Object.fromEntries(Object.entries(some).reverse());
    const again = join(folder, 'again.safetensors');
    await writeSafetensors(again, shuffled, { a: 'é', b: '2' });
    expect((await readFile(again)).equals(await readFile(path))).toBe(true);
    expect(
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex')
        .slice(0, 16),
    ).toBe('ec8b54db44b47bd7');
  });

  it('leaves nothing behind when it fails', async () => {
    const dir = join(folder, 'failing');
    await mkdir(dir);
    const wrong = { x: { dtype: 'float32', shape: [3], data: new Float32Array(2) } } as const;
    await expect(writeSafetensors(join(dir, 'x.safetensors'), wrong)).rejects.toThrow(/fewer bytes/);
    expect(await readdir(dir)).toEqual([]);
    await expect(writeSafetensors(join(dir, 'no', 'x.safetensors'), some)).rejects.toThrow(
      /cannot write here/,
    );
  });

  it('round-trips any tensors', async () => {
    const path = join(folder, 'any.safetensors');
    const one = fc.record({
      dtype: fc.constantFrom(...DTYPES),
      shape: fc.array(fc.nat(5), { maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.string({ minLength: 1, unit: 'grapheme' }), one, { maxKeys: 8 }),
        async (specs) => {
          const tensors = Object.fromEntries(
            Object.entries(specs)
              .filter(([name]) => name !== '__metadata__')
              .map(([name, s]) => [name, tensor(s.dtype, s.shape, allocate(s.dtype, elementCount(s.shape)))]),
          );
          await writeSafetensors(path, tensors);
          expect(await readSafetensors(path)).toEqual(tensors);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('hostile files', () => {
  const f32 = '"dtype":"F32","shape":[1],"data_offsets":[0,4]';
  const four = new Uint8Array(4);
  const cases: [string, () => Promise<string>, RegExp][] = [
    ['header beyond the file', () => raw('{}', four, 1000), /claims 1000 bytes, the file holds 14/],
    ['header beyond the limit', () => raw('{}', four, 200_000_000), /at most 100000000/],
    ['not JSON', () => raw('hello'), /expected '\{'/],
    ['an array', () => raw('[]'), /expected '\{'/],
    ['deep nesting', () => raw(`{"a":${'['.repeat(100_000)}`), /expected '\{'/],
    ['text after the object', () => raw('{} x'), /unexpected text/],
    [
      'unknown dtype',
      () => raw(one('"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]'), four),
      /F8_E4M3.*not supported/,
    ],
    [
      'negative size',
      () => raw(one('"dtype":"F32","shape":[-1],"data_offsets":[0,4]'), four),
      /whole number/,
    ],
    [
      'fractional size',
      () => raw(one('"dtype":"F32","shape":[1.5],"data_offsets":[0,4]'), four),
      /expected '\]'/,
    ],
    [
      'huge sizes',
      () => raw(one('"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]'), four),
      /beyond 2\^53/,
    ],
    [
      'beyond the file',
      () => raw(one('"dtype":"F32","shape":[2],"data_offsets":[0,8]'), four),
      /describes 8 bytes of data, the file holds 4/,
    ],
    [
      'size unlike its shape',
      () => raw(one('"dtype":"F32","shape":[2],"data_offsets":[0,4]'), four),
      /8 bytes .* range \[0, 4\)/,
    ],
    [
      'range backwards',
      () => raw(one('"dtype":"F32","shape":[1],"data_offsets":[4,0]'), four),
      /range \[4, 0\)/,
    ],
    ['a hole', () => raw(one('"dtype":"F32","shape":[1],"data_offsets":[4,8]'), new Uint8Array(8)), /hole/],
    [
      'an overlap',
      () => raw(`{"a":{${f32}},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`, new Uint8Array(6)),
      /overlaps/,
    ],
    [
      'data that nothing describes',
      () => raw(one(f32), new Uint8Array(5)),
      /describes 4 bytes of data, the file holds 5/,
    ],
    ['a name twice', () => raw(`{"a":{${f32}},"a":{${f32}}}`, four), /stands twice/],
    ['a field twice', () => raw(one(`${f32},"dtype":"F32"`), four), /unexpected field "dtype"/],
    ['a field too many', () => raw(one(`${f32},"x":"y"`), four), /unexpected field "x"/],
    ['a field too few', () => raw(one('"dtype":"F32","shape":[1]'), four), /lacks/],
    ['metadata that is no text', () => raw('{"__metadata__":{"a":1}}'), /expected a string/],
    ['half a surrogate', () => raw(`{"\\ud800":{${f32}}}`, four), /not valid text/],
    [
      'very high rank',
      () => raw(one(`"dtype":"F32","shape":[${Array(65).fill(1)}],"data_offsets":[0,4]`), four),
      /more than 64/,
    ],
  ];
  it.each(cases)('%s', async (_, make, expected) => {
    const path = await make();
    const error = await openSafetensors(path).then(
      () => null,
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(VersusError);
    expect((error as VersusError).kind).toBe('input');
    expect((error as VersusError).message).toMatch(expected);
    expect((error as VersusError).where).toBe(path);
  });

  it('keeps names that JavaScript treats specially as plain names', async () => {
    const path = await raw(`{"__proto__":{${f32}},"__metadata__":{"__proto__":"x"}}`, four);
    const tensors = await readSafetensors(path);
    expect(Object.keys(tensors)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(tensors)).toBe(Object.prototype);
  });

  it('survives thousands of mutations: opens and reads in full, or says why not', async () => {
    const path = join(folder, 'base.safetensors');
    await writeSafetensors(path, some, { format: 'pt' });
    const padded = new Uint8Array(await readFile(path));
    // Without the padding, every mutation of the header hits JSON rather than spaces.
    const json = Buffer.from(padded.subarray(8, 4096)).toString().trimEnd();
    const tight = await readFile(await raw(json, padded.subarray(4096)));
    const r = random(1);
    const counts = { opened: 0, refused: 0 };
    const victim = join(folder, 'mutant.safetensors');
    for (let i = 0; i < 3000; i++) {
      await writeFile(victim, mutate(tight, r));
      try {
        await readSafetensors(victim);
        counts.opened++;
      } catch (error) {
        expect(error).toBeInstanceOf(VersusError);
        expect((error as VersusError).kind).toBe('input');
        counts.refused++;
      }
    }
    expect(counts.refused).toBeGreaterThan(1500);
    expect(counts.opened).toBeGreaterThan(10);
  }, 120_000);
});
