import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { byteTokenizer, openTokenizer } from '../../src/data/tokenizer.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'versus-tokenizer-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('byteTokenizer', () => {
  it('gives back any text whose bytes all fit', () => {
    const t = byteTokenizer(258);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const ids = t.encode(text, { special: true });
        expect([ids[0], ids.at(-1)]).toEqual([256, 257]);
        expect(t.decode(ids)).toBe(text);
      }),
    );
  });

  it('stays within every vocabulary', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 1000 }), fc.string(), (vocabulary, text) => {
        const ids = byteTokenizer(vocabulary).encode(text, { special: true });
        expect(ids.every((id) => Number.isInteger(id) && id >= 0 && id < vocabulary)).toBe(true);
        expect(Math.max(...ids)).toBe(vocabulary - 1);
      }),
    );
  });

  it('refuses a vocabulary without room, and a text without end', () => {
    expect(() => byteTokenizer(2)).toThrow(/no room/);
    expect(() => byteTokenizer(Number.NaN)).toThrow(/no room/);
    expect(() => byteTokenizer(300).encode('x'.repeat(2 ** 17))).toThrow(/limit/);
  });
});

const bpe = {
  version: '1.0',
  added_tokens: [
    {
      id: 5,
      content: '<s>',
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    },
    {
      id: 6,
      content: '</s>',
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    },
  ],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '<s>', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '</s>', type_id: 0 } },
    ],
    pair: [],
    special_tokens: {
      '<s>': { id: '<s>', ids: [5], tokens: ['<s>'] },
      '</s>': { id: '</s>', ids: [6], tokens: ['</s>'] },
    },
  },
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: { a: 0, b: 1, c: 2, ab: 3, abc: 4 }, merges: ['a b', 'ab c'] },
};
const write = (name: string, value: unknown) => {
  const file = path.join(folder, name);
  writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
  return file;
};

describe('openTokenizer', () => {
  it("merges as the file says and adds the model's special tokens", async () => {
    write('tokenizer_config.json', { pad_token: '</s>' });
    const t = await openTokenizer(path.dirname(write('tokenizer.json', bpe)), 7);
    expect(t.encode('abcab')).toEqual([4, 3]);
    expect(t.encode('abc', { special: true })).toEqual([5, 4, 6]);
    expect(t.decode([4, 3])).toBe('abcab');
    expect(t.pad).toBe(6);
  });

  it('refuses ids that the model does not have', async () => {
    const t = await openTokenizer(write('tokenizer.json', bpe), 4);
    expect(t.encode('ab')).toEqual([3]);
    expect(() => t.encode('abc')).toThrow(/yields id 4, the model embeds 4/);
  });

  it.each([
    ['', /not a usable tokenizer/],
    ['{"model":', /not a usable tokenizer/],
    ['[]', /no JSON object/],
    ['null', /no JSON object/],
    [{}, /field model is missing/],
    [{ model: 7 }, /field model is missing/],
    [{ model: { type: 'Nonsense' } }, /not a usable tokenizer/],
    [{ ...bpe, model: { type: 'BPE' } }, /not a usable tokenizer/],
    [{ ...bpe, pre_tokenizer: { type: 'Nonsense' } }, /not a usable tokenizer/],
    [{ ...bpe, added_tokens: 'x' }, /not a usable tokenizer/],
  ])('refuses %j', async (value, message) => {
    const opening = openTokenizer(write('bad.json', value), 100);
    await expect(opening).rejects.toThrow(message);
    await expect(opening).rejects.toMatchObject({
      kind: 'input',
      where: expect.stringContaining('bad.json'),
    });
  });

  it('says that there is none', async () => {
    await expect(openTokenizer(path.join(folder, 'nowhere'), 10)).rejects.toThrow(/cannot read tokenizer/);
  });
});
