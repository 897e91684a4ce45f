import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import type { Param } from '../../src/core/graph.ts';
import {
  type DType,
  float32,
  fromBytes,
  int64,
  type Tensors,
  tensor,
  toFloat16,
} from '../../src/core/tensor.ts';
import { matchNames } from '../../src/weights/checkpoint-names.ts';
import { hashFile } from '../../src/weights/file-hash.ts';
import { ignorableTensor } from '../../src/weights/ignorable.ts';
import { openSafetensors, safetensors, writeSafetensors } from '../../src/weights/index.ts';
import { sparseCheckpoint } from './sparse.ts';

let folder: string;
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'versus-checkpoint-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function checkpoint(tensors: Tensors): Promise<string> {
  const path = join(folder, `${count++}.safetensors`);
  await writeSafetensors(path, tensors);
  return path;
}
const param = (name: string, shape: number[], dtype: DType = 'float32'): Param => ({
  name,
  shape,
  dtype,
  role: 'weight',
});

async function values(path: string, p: Param, into?: Uint8Array): Promise<number[]> {
  const source = await safetensors(path).open([p]);
  const chunks: Buffer[] = [];
  for await (const chunk of source.read(p, into)) chunks.push(Buffer.from(chunk));
  await source.close();
  return [...(fromBytes(p.dtype, new Uint8Array(Buffer.concat(chunks))) as Float32Array)];
}

/** An index of so many files. */
const many = (files: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: files }, (_, i) => [`t${i}`, `${i}.safetensors`]));

describe('safetensors', () => {
  it('reads the reference implementation’s own tensors under its names', async () => {
    const path = 'test/fixtures/tv-resnet_bottleneck/weights.safetensors';
    const file = await openSafetensors(path);
    const params = file.names
      .filter((name) => !name.endsWith('num_batches_tracked'))
      .map((name) => param(name, [...file.info(name)!.shape]));
    const source = await safetensors(path).open(params);
    expect(source).toMatchObject({ trained: true, label: `safetensors(${path})` });
    expect(source.id).toMatch(/^files:[0-9a-f]{64}$/);
    expect(source.content).toBeUndefined();
    await source.close();
    const conv = param('conv1.weight', [7, 3, 7, 7]);
    const expected = [...((await file.read('conv1.weight')).data as Float32Array)];
    await expect(values(path, conv)).rejects.toThrow(/unexpected/);
    const lone = await safetensors(path, { unexpected: 'ignore' }).open([conv]);
    const chunks: Buffer[] = [];
    for await (const chunk of lone.read(conv, new Uint8Array(64))) chunks.push(Buffer.from(chunk));
    expect([...(fromBytes('float32', new Uint8Array(Buffer.concat(chunks))) as Float32Array)]).toEqual(
      expected,
    );
    await lone.close();
    await file.close();
  });

  it('converts to the type of the parameter while it streams', async () => {
    const numbers = Array.from({ length: 1000 }, (_, i) => i / 8);
    const half = await checkpoint({ w: tensor('float16', [1000], Uint16Array.from(numbers, toFloat16)) });
    const brain = await checkpoint({
      w: tensor(
        'bfloat16',
        [1000],
        new Uint16Array(Float32Array.from(numbers).buffer).filter((_, i) => i % 2 === 1),
      ),
    });
    const full = await checkpoint({ w: float32([1000], numbers) });
    const w = param('w', [1000]);
    for (const into of [undefined, new Uint8Array(256), new Uint8Array(1 << 16)]) {
      expect(await values(half, w, into)).toEqual(numbers);
      expect(await values(full, { ...w, dtype: 'float16' }, into)).toEqual(numbers.map(toFloat16));
    }
    // Seven bits of significand: exact up to 127/8 in steps of 1/8.
    expect((await values(brain, w)).slice(0, 128)).toEqual(numbers.slice(0, 128));
  });

  it('keeps streams apart that take turns, also after one was left early', async () => {
    const n = 300_000;
    const [a, b] = [param('a', [n]), param('b', [n])];
    const path = await checkpoint({
      a: tensor('float16', [n], new Uint16Array(n).fill(toFloat16(1.5))),
      b: tensor('bfloat16', [n], new Uint16Array(n).fill(0xc000)),
    });
    const source = await safetensors(path).open([a, b]);
    const only = (chunk: Uint8Array) => [...new Set(fromBytes('float32', chunk) as Float32Array)];
    for await (const chunk of source.read(a)) {
      expect(only(chunk)).toEqual([1.5]);
      break;
    }
    const other = source.read(b)[Symbol.asyncIterator]();
    let bytes = 0;
    for await (const chunk of source.read(a)) {
      const twin = await other.next();
      expect([only(chunk), only(twin.value)]).toEqual([[1.5], [-2]]);
      bytes += chunk.byteLength;
    }
    expect((await other.next()).done).toBe(true);
    expect(bytes).toBe(4 * n);
    await source.close();
  });

  it('tells everything that does not fit in one error', async () => {
    const path = await checkpoint({
      a: float32([2], [1, 2]),
      c: float32([3], [1, 2, 3]),
      e: int64([1], [1]),
      'x.position_ids': int64([1], [0]),
      stray: float32([1], [1]),
    });
    const wanted = [param('a', [2]), param('b.weight', [4, 4]), param('c', [1, 3]), param('e', [1])];
    const error: unknown = await safetensors(path)
      .open(wanted)
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(VersusError);
    const { kind, message, where } = error as VersusError;
    expect(kind).toBe('input');
    expect(where).toBe(path);
    expect(message).toContain('1 missing (b.weight [4,4])');
    expect(message).toContain('1 unexpected (stray [1])');
    expect(message).toContain('c: the model has [1,3], the file [3]');
    expect(message).toContain('e: the model has float32, the file int64');
    expect(message).not.toContain('position_ids');
    await expect(safetensors(join(folder, 'none')).open([])).rejects.toThrow(/no such safetensors file/);
  });

  it('shortens long lists', async () => {
    const path = await checkpoint({ a: float32([1], [1]) });
    const many = Array.from({ length: 30 }, (_, i) => param(`p${i}`, [1]));
    await expect(safetensors(path).open(many)).rejects.toThrow(/30 missing \(p0 .*; and 22 more\)/);
  });

  it('knows a tied projection by its numbers, and misses one that is not tied', async () => {
    const embed = float32([2, 2], [1, 2, 3, 4]);
    const head = param('lm_head.weight', [2, 2]);
    const token = param('model.embed_tokens.weight', [2, 2]);
    const without = await checkpoint({ 'model.embed_tokens.weight': embed });
    await (await safetensors(without).open([token])).close();
    // The model has a projection of its own, so the embedding may not stand for it.
    await expect(safetensors(without).open([head, token])).rejects.toThrow(/1 missing \(lm_head.weight/);
    const repeated = await checkpoint({ 'model.embed_tokens.weight': embed, 'lm_head.weight': embed });
    await (await safetensors(repeated).open([token])).close();
    const untied = await checkpoint({
      'model.embed_tokens.weight': embed,
      'lm_head.weight': float32([2, 2], [0, 0, 0, 0]),
    });
    await expect(safetensors(untied).open([token])).rejects.toThrow(/1 unexpected \(lm_head.weight/);
    const bart = ['shared', 'encoder.embed_tokens', 'decoder.embed_tokens'].map((n) => [
      `model.${n}.weight`,
      embed,
    ]);
    const shared = await checkpoint(Object.fromEntries(bart) as Tensors);
    await (await safetensors(shared).open([param('model.shared.weight', [2, 2])])).close();
  });

  it.each([
    ['names a tensor that its shard lacks', { nowhere: 'a.safetensors' }, /lacks tensor "nowhere"/],
    ['names a file that isn’t there', { a: 'gone.safetensors' }, /no such safetensors file/],
    ['leads out of its folder', { a: '../a.safetensors' }, /not the name of a safetensors file/],
    ['leads out of its folder by a link', { a: 'link.safetensors' }, /a link that leads out of its folder/],
    ['names itself', { a: 'model.safetensors.index.json' }, /not the name of a safetensors file/],
    ['names too many files', many(5000), /5000 files are more than 4096/],
    ['is empty', {}, /"weight_map" is empty/],
  ])('refuses an index that %s', async (_, map, about) => {
    const dir = join(folder, `index-${count++}`);
    await mkdir(dir);
    await writeSafetensors(join(dir, 'a.safetensors'), { a: float32([1], [1]) });
    await writeSafetensors(join(folder, 'outside.safetensors'), { a: float32([1], [1]) });
    await symlink('../outside.safetensors', join(dir, 'link.safetensors'));
    await writeFile(join(dir, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
    await expect(safetensors(dir).open([param('a', [1])])).rejects.toThrow(about);
  });

  it('says which file of several was cut off', async () => {
    const dir = join(folder, 'cut');
    await mkdir(dir);
    const params = ['a', 'b', 'c'].map((name) => param(name, [64]));
    await sparseCheckpoint(dir, params, 'bfloat16', 128);
    await truncate(join(dir, 'model-00002-of-00003.safetensors'), 4100);
    const error = (await safetensors(dir)
      .open(params)
      .catch((e: unknown) => e)) as VersusError;
    expect(error.where).toBe(join(dir, 'model-00002-of-00003.safetensors'));
    expect(error.message).toMatch(/describes 128 bytes of data, the file holds 4/);
  });

  it('holds a few pieces of a large checkpoint at a time, whatever its size', async () => {
    const dir = join(folder, 'large');
    await mkdir(dir);
    const params = Array.from({ length: 3 }, (_, i) => param(`l${i}.weight`, [4096, 8192]));
    expect(await sparseCheckpoint(dir, params, 'bfloat16', 150e6)).toBe(3 * 4096 * 8192 * 2);
    const source = await safetensors(dir).open(params);
    const buffer = new Uint8Array(1 << 20);
    globalThis.gc?.();
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    let read = 0;
    for (const p of params) {
      for await (const chunk of source.read(p, buffer)) {
        read += chunk.byteLength;
        most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      }
    }
    await source.close();
    expect(read).toBe(3 * 4096 * 8192 * 4);
    expect(most).toBeLessThan(32 << 20);
  });

  it('lets Phi-3-vision name its embedding twice, when both are equal', async () => {
    const token = param('model.embed_tokens.weight', [2, 2]);
    const embed = float32([2, 2], [1, 2, 3, 4]);
    const second = 'model.vision_embed_tokens.wte.weight';
    const twice = await checkpoint({ 'model.embed_tokens.weight': embed, [second]: embed });
    await (await safetensors(twice).open([token])).close();
    const other = await checkpoint({
      'model.embed_tokens.weight': embed,
      [second]: float32([2, 2], [1, 2, 3, 5]),
    });
    await expect(safetensors(other).open([token])).rejects.toThrow(
      /1 unexpected \(model.vision_embed_tokens/,
    );
  });

  it('knows shards by all their files', async () => {
    const dir = join(folder, 'shards');
    await mkdir(dir);
    await writeSafetensors(join(dir, 'm-1.safetensors'), { a: float32([1], [1]) });
    await writeSafetensors(join(dir, 'm-2.safetensors'), { b: float32([1], [2]) });
    const map = { a: 'm-1.safetensors', b: 'm-2.safetensors' };
    await writeFile(join(dir, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
    const first = await safetensors(dir).open([param('a', [1]), param('b', [1])]);
    await first.close();
    await writeSafetensors(join(dir, 'm-2.safetensors'), { b: float32([1], [3]) });
    const second = await safetensors(dir).open([param('a', [1]), param('b', [1])]);
    await second.close();
    expect(first.id).toMatch(/^files:[0-9a-f]{64}$/);
    expect(second.id).not.toBe(first.id);
  });
});

describe('names', () => {
  const match = (params: string[], tensors: string[]) =>
    Object.fromEntries(matchNames(params, tensors).names);

  it.each([
    ['the same', ['vit.a', 'head'], ['vit.a', 'head'], { 'vit.a': 'vit.a', head: 'head' }],
    ['a bare backbone', ['vit.a', 'vit.b'], ['a', 'b'], { 'vit.a': 'a', 'vit.b': 'b' }],
    ['a wrapper', ['a', 'b'], ['module.a', 'module.b'], { a: 'module.a', b: 'module.b' }],
    [
      'a head outside the prefix',
      ['layers.0', 'lm_head'],
      ['model.layers.0', 'lm_head'],
      { 'layers.0': 'model.layers.0', lm_head: 'lm_head' },
    ],
    ['nothing', ['a'], ['z'], {}],
    [
      'LLaVA as it is saved now',
      [
        'language_model.model.norm.weight',
        'language_model.lm_head.weight',
        'vision_tower.x',
        'multi_modal_projector.y',
      ],
      [
        'model.language_model.norm.weight',
        'lm_head.weight',
        'model.vision_tower.x',
        'model.multi_modal_projector.y',
      ],
      {
        'language_model.model.norm.weight': 'model.language_model.norm.weight',
        'language_model.lm_head.weight': 'lm_head.weight',
        'vision_tower.x': 'model.vision_tower.x',
        'multi_modal_projector.y': 'model.multi_modal_projector.y',
      },
    ],
    [
      'Qwen2-VL as it is saved now, its head tied or not',
      ['visual.patch_embed.proj.weight', 'model.norm.weight', 'lm_head.weight'],
      ['model.visual.patch_embed.proj.weight', 'model.language_model.norm.weight', 'lm_head.weight'],
      {
        'visual.patch_embed.proj.weight': 'model.visual.patch_embed.proj.weight',
        'model.norm.weight': 'model.language_model.norm.weight',
        'lm_head.weight': 'lm_head.weight',
      },
    ],
    [
      'wrappers in wrappers around another layout',
      ['visual.a', 'model.b'],
      ['module._orig_mod.model.visual.a', 'module._orig_mod.model.language_model.b'],
      { 'visual.a': 'module._orig_mod.model.visual.a', 'model.b': 'module._orig_mod.model.language_model.b' },
    ],
    [
      'PEFT',
      ['model.layers.0.w', 'lm_head.weight'],
      ['base_model.model.model.layers.0.w', 'base_model.model.lm_head.weight'],
      {
        'model.layers.0.w': 'base_model.model.model.layers.0.w',
        'lm_head.weight': 'base_model.model.lm_head.weight',
      },
    ],
    [
      'normalisations of very old checkpoints',
      ['vit.a.layernorm_before.weight', 'vit.LayerNorm.bias', 'vit.scale.weight'],
      ['a.layernorm_before.gamma', 'LayerNorm.beta', 'scale.gamma'],
      { 'vit.a.layernorm_before.weight': 'a.layernorm_before.gamma', 'vit.LayerNorm.bias': 'LayerNorm.beta' },
    ],
    [
      'the language model of a model that sees',
      ['model.norm.weight', 'lm_head.weight'],
      ['language_model.model.norm.weight', 'language_model.lm_head.weight', 'vision_tower.x'],
      {
        'model.norm.weight': 'language_model.model.norm.weight',
        'lm_head.weight': 'language_model.lm_head.weight',
      },
    ],
  ])('finds %s', (_, params, tensors, expected) => {
    expect(match(params, tensors)).toEqual(expected);
  });

  it('knows what may go unused', () => {
    const fine = [
      'vision_model.embeddings.position_ids',
      'bn1.num_batches_tracked',
      'a.rotary_emb.inv_freq',
      'logit_scale',
    ];
    const not = ['position_ids.weight', 'layers.0.weight', 'my_inv_freq2', 'lm_head.weight'];
    expect([...fine, ...not].filter(ignorableTensor)).toEqual(fine);
  });
});

describe('hashFile', () => {
  it('remembers the hash of a file that is unchanged and settled', async () => {
    const cache = join(folder, 'cache');
    const path = join(folder, 'settled');
    await writeFile(path, 'abc');
    // SHA-256 of "abc": FIPS 180-2, appendix B.1.
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(await hashFile(path, cache)).toBe(abc);
    // Just written: another write within the clock's tick would go unnoticed, so nothing is remembered yet.
    await expect(readdir(join(cache, 'hashes'))).rejects.toThrow();
    await writeFile(path, 'abd');
    expect(await hashFile(path, cache)).not.toBe(abc);
    const settled = 'node_modules/zod/package.json';
    const hash = await hashFile(settled, cache);
    const [memo] = await readdir(join(cache, 'hashes'));
    const remembered = join(cache, 'hashes', memo!);
    await writeFile(remembered, (await readFile(remembered, 'utf8')).replace(hash, 'f'.repeat(64)));
    expect(await hashFile(settled, cache)).toBe('f'.repeat(64));
    await writeFile(remembered, '{');
    expect(await hashFile(settled, cache)).toBe(hash);
    await utimes(path, new Date(0), new Date(0));
    expect(await hashFile(path)).not.toBe(abc);
  });
});
