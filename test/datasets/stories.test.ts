import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isHeldOut, type ShapeName } from '../../datasets/shapes/scene.ts';
import { storyAt } from '../../datasets/stories/grammar.ts';
import { stories } from '../../datasets/stories/index.ts';

const SPLITS = ['train', 'val', 'test', 'heldout'];
const small = stories({ size: 2000 });

describe('stories', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'versus-stories-'));
  });
  afterAll(() => rm(root, { recursive: true }));

  it('are in one split each, and held-out pairs in that of their own', async () => {
    const dataset = await small.prepare(root);
    const seen = new Set<string>();
    for (const split of SPLITS) {
      const samples = await dataset.samples(split);
      expect(samples.length, split).toBeGreaterThan(30);
      for (const { text = '', questions } of samples) {
        expect(seen.has(text)).toBe(false);
        seen.add(text);
        expect(text).toBe(`${questions![0]!.question} ${questions![0]!.answer}`);
        const pairs = [...text.matchAll(/(\w+) (circle|square|triangle|star|pentagon|hexagon|cross|ring)/g)];
        const heldOut = pairs.some(([, colour, shape]) => isHeldOut(shape as ShapeName, colour as never));
        if (split !== 'heldout') expect(heldOut, text).toBe(false);
      }
    }
  });

  it('answer what they are asked', () => {
    let [sums, changes] = [0, 0];
    for (let i = 0; i < 500; i++) {
      const { text, question, answer, kind } = storyAt(i, 3);
      const numbers = [...text.matchAll(/\d+/g)].map(Number);
      if (kind === 'count' && question === 'how many shapes are there?') {
        expect(Number(answer), text).toBe(numbers[0]! + numbers[1]!);
        sums++;
      } else if (kind === 'change') {
        const sign = text.includes('gives away') ? -1 : 1;
        expect(Number(answer), text).toBe(numbers[0]! + sign * numbers[2]!);
        changes++;
      } else expect(`${text} ${question}`, text).toMatch(/\?$/);
    }
    expect(Math.min(sums, changes)).toBeGreaterThan(20);
  });

  it('are the same every time, and made again when their file is not what was written', async () => {
    const first = await small.prepare(root);
    const file = path.join(root, 'stories/generated/v1-n2000-s0/samples.jsonl');
    const original = await readFile(file, 'utf8');
    await writeFile(file, original.slice(1000));
    const again = await small.prepare(root);
    expect(again.manifest).toEqual(first.manifest);
    expect(await readFile(file, 'utf8')).toBe(original);
  });

  it('refuse impossible sizes', () => {
    expect(() => stories({ size: 10 })).toThrow(/no stories dataset of size 10/);
  });
});
