import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { imageFolder } from '../../src/data/imagefolder.ts';
import { jsonl } from '../../src/data/jsonl.ts';

let base: string;
let root: string;
let image: Buffer;
let count = 0;

beforeAll(async () => {
  base = mkdtempSync(path.join(os.tmpdir(), 'versus-readers-'));
  image = await sharp({ create: { width: 4, height: 4, channels: 3, background: '#456' } })
    .png()
    .toBuffer();
});
beforeEach(() => {
  root = path.join(base, String(count++));
  mkdirSync(root);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

function put(name: string, bytes: Buffer | string = image): string {
  const full = path.join(root, name);
  mkdirSync(path.dirname(full), { recursive: true });
  writeFileSync(full, bytes);
  return full;
}

describe('imageFolder', () => {
  it('numbers classes and orders samples by name, whatever the order of creation', async () => {
    for (const name of [
      'b/2.png',
      'a/10.JPG',
      'b/1.png',
      'a/9.jpeg',
      'a/deep/1.webp',
      'a/notes.txt',
      '.git/x.png',
    ])
      put(name);
    const found = await imageFolder('mine', root).prepare('/');
    expect(found.manifest).toMatchObject({ name: 'mine', classes: ['a', 'b'], splits: { all: 5 } });
    const samples = await found.samples('all');
    expect(samples.map((s) => s.id)).toEqual(['a/10.JPG', 'a/9.jpeg', 'a/deep/1.webp', 'b/1.png', 'b/2.png']);
    expect(samples.map((s) => s.label)).toEqual([0, 0, 0, 1, 1]);
  });

  it('takes split folders, with one numbering of classes', async () => {
    for (const name of ['train/n02/a.png', 'train/n01/a.png', 'val/n02/b.png']) put(name);
    const found = await imageFolder('net', path.basename(root), { classNames: { n01: 'tench' } }).prepare(
      base,
    );
    expect(found.manifest.classes).toEqual(['tench', 'n02']);
    expect(found.manifest.splits).toEqual({ train: 2, val: 1 });
    expect((await found.samples('val'))[0]!.label).toBe(1);
    await expect(found.samples('test')).rejects.toThrow(/no split "test"/);
  });

  it('changes its hash with a file, and only then', async () => {
    put('a/1.png');
    const hash = async () => (await imageFolder('h', root).prepare('/')).manifest.sha256;
    const before = await hash();
    expect(await hash()).toBe(before);
    put('a/1.png', 'other size');
    expect(await hash()).not.toBe(before);
  });

  it('never follows a link out of the folder, nor into a cycle', async () => {
    put('a/1.png');
    put('b/1.png');
    const outside = path.join(base, 'secret.png');
    writeFileSync(outside, image);
    symlinkSync(outside, path.join(root, 'a/leak.png'));
    symlinkSync(root, path.join(root, 'a/cycle'));
    symlinkSync(path.join(root, 'b/1.png'), path.join(root, 'a/inner.png'));
    await expect(imageFolder('x', root).prepare('/')).rejects.toThrow(/link leads out/);
    const said: string[] = [];
    const found = await imageFolder('x', root, { unreadable: 'skip' }).prepare('/', (text) =>
      said.push(text),
    );
    expect((await found.samples('all')).map((s) => s.id)).toEqual(['a/1.png', 'a/inner.png', 'b/1.png']);
    expect(said.join()).toMatch(/1 files left out: .*leak/);
  });

  it.each([
    ['an empty file', () => put('a/1.png', ''), /empty/],
    [
      'a broken link',
      () => symlinkSync('/nowhere/at-all.png', path.join(root, path.dirname('x'), 'a', 'gone.png')),
      /ENOENT|leads out/,
    ],
    ['no images', () => put('a/readme.txt'), /no images/],
    ['endless nesting', () => put(`a/${'d/'.repeat(12)}1.png`), /nested deeper/],
  ])('refuses %s', async (_, make, message) => {
    mkdirSync(path.join(root, 'a'));
    make();
    await expect(imageFolder('x', root).prepare('/')).rejects.toThrow(message);
  });

  it('says that a folder is missing', async () => {
    await expect(imageFolder('x', path.join(root, 'none')).prepare('/')).rejects.toThrow(
      /cannot open dataset folder/,
    );
  });
});

describe('jsonl', () => {
  const list = (...lines: unknown[]) =>
    put('list.jsonl', lines.map((l) => (typeof l === 'string' ? l : JSON.stringify(l))).join('\n'));

  it('reads everything that a sample may have', async () => {
    put('a/1.png');
    put('a/2.png');
    const full = {
      image: 'a/1.png',
      id: 'one',
      split: 'test',
      label: 'cat',
      caption: 'a cat',
      attributes: { colour: 'red', legs: 4 },
      box: [0, 1, 2, 3],
      questions: [{ question: 'what?', answer: 'cat' }],
      note: 'unknown fields are ignored',
    };
    list(full, '', { image: 'a/2.png', label: 'ape', split: 'train' });
    const found = await jsonl('pets', 'list.jsonl').prepare(root);
    expect(found.manifest).toMatchObject({ classes: ['ape', 'cat'], splits: { test: 1, train: 1 } });
    const { note: _, split: __, ...kept } = full;
    expect(await found.samples('test')).toEqual([{ ...kept, label: 1, image: path.join(root, 'a/1.png') }]);
    expect((await found.samples('train'))[0]).toEqual({
      id: 'a/2.png',
      image: path.join(root, 'a/2.png'),
      label: 0,
    });
  });

  it('keeps given classes and numbers', async () => {
    put('1.png');
    list({ image: '1.png', label: 2 });
    expect((await jsonl('n', 'list.jsonl').prepare(root)).manifest.classes).toEqual(['0', '1', '2']);
    const named = await jsonl('n', 'list.jsonl', { classes: ['x', 'y', 'z'] }).prepare(root);
    expect(named.manifest.classes).toEqual(['x', 'y', 'z']);
  });

  it.each([
    ['../secret.png', /leaves the folder/],
    ['a/../../secret.png', /leaves the folder/],
    ['..\\secret.png', /leaves the folder/],
    ['/etc/passwd', /absolute/],
    ['C:\\windows\\x.png', /absolute/],
    ['a\0.png', /no usable path/],
    ['none.png', /ENOENT/],
    ['.', /no regular file/],
    ['way-out/passwd', /link leads out/],
  ])('refuses the path %j', async (name, message) => {
    symlinkSync('/etc', path.join(root, 'way-out'));
    list({ image: name });
    const reading = jsonl('x', 'list.jsonl').prepare(root);
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toMatchObject({
      kind: 'input',
      where: expect.stringMatching(/list\.jsonl:1$/),
    });
  });

  it('skips what cannot be used where that is asked for, and says so', async () => {
    put('1.png');
    list({ image: '../x.png' }, { image: '1.png' });
    const said: string[] = [];
    const found = await jsonl('x', 'list.jsonl', { unreadable: 'skip' }).prepare(root, (t) => said.push(t));
    expect(found.manifest.splits).toEqual({ all: 1 });
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/line 1/);
  });

  it.each([
    ['{"image": "1.png"', /not JSON/, 2],
    ['[]', /root/, 2],
    ['{"label": 1}', /field image/, 2],
    ['{"image": "1.png", "box": [1, 2, 3]}', /field box/, 2],
    ['{"image": "1.png", "label": 1e9}', /field label/, 2],
    [`{"image": "1.png", "caption": "${'x'.repeat(2 ** 20)}"}`, /longer than/, 2],
  ])('refuses malformed line %#', async (bad, message, line) => {
    put('1.png');
    list({ image: '1.png' }, bad);
    const reading = jsonl('x', 'list.jsonl').prepare(root);
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toMatchObject({ where: expect.stringMatching(new RegExp(`:${line}$`)) });
  });

  it('does not read a file without line breaks into memory', async () => {
    put('list.jsonl', Buffer.alloc(8 * 2 ** 20, 0x20));
    await expect(jsonl('x', 'list.jsonl').prepare(root)).rejects.toThrow(/longer than/);
  });

  it.each([
    [[{ label: 'a' }, { label: 1 }], {}, /partly names and partly numbers/],
    [[{ label: 'a' }], { classes: ['b'] }, /no class/],
    [[{ label: 3 }], { classes: ['b'] }, /no class/],
    [[], {}, /no samples/],
  ])('refuses labels %j with %j', async (rows, options, message) => {
    put('1.png');
    list(...rows.map((row) => ({ image: '1.png', ...row })), '', '');
    await expect(jsonl('x', 'list.jsonl', options).prepare(root)).rejects.toThrow(message);
  });
});
