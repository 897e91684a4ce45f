import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shapes } from '../../datasets/shapes/index.ts';
import type { Dataset } from '../../src/core/dataset.ts';
import type { ValueInfo } from '../../src/core/graph.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { plainPreprocess } from '../../src/core/processors.ts';
import { type Tensor, toNumbers } from '../../src/core/tensor.ts';
import { byteTokenizer } from '../../src/data/tokenizer.ts';
import { Batches } from '../../src/training/batches.ts';
import { type Example, examplesOf } from '../../src/training/examples.ts';

const model = (task: ModelDef['task'], more: Partial<ModelDef> = {}): ModelDef => ({
  ...{ name: 'm', family: 'test', task, config: null, build: () => ({}) },
  ...more,
});
const ints = (name: string, ...shape: number[]): ValueInfo => ({ name, dtype: 'int64', shape });
const rows = (t: Tensor): number[][] => {
  const values = [...toNumbers(t)];
  const width = t.shape[1]!;
  return Array.from({ length: t.shape[0]! }, (_, i) => values.slice(i * width, (i + 1) * width));
};
const tokenizer = byteTokenizer(258);
const [BOS, END] = [256, 257];
const bytes = (text: string): number[] => tokenizer.encode(text);

describe('the order of batches', () => {
  const inputs = [ints('input_ids', 4, 8), ints('labels', 4, 8)];
  const examples: Example[] = Array.from({ length: 22 }, (_, i) => ({ text: `t${i}` }));
  const batches = (seed: number) => new Batches(model('generate'), { inputs }, examples, { seed, tokenizer });
  const namesAt = (of: Batches, step: number) => of.examplesAt(step).map(({ text }) => text);

  it('holds every example at most once a pass, in another order each pass', () => {
    const one = batches(1);
    expect(one.perPass).toBe(5);
    const pass = (p: number) => Array.from({ length: 5 }, (_, i) => namesAt(one, p * 5 + i)).flat();
    expect(new Set(pass(0)).size).toBe(20);
    expect(new Set(pass(1)).size).toBe(20);
    expect(pass(0)).not.toEqual(pass(1));
  });

  it('follows from seed and step alone, so that a resumed training goes on with its own batch', async () => {
    const [all, resumed] = [batches(7), batches(7)];
    for (let step = 0; step < 12; step++) await all.at(step);
    expect(await resumed.at(12)).toEqual(await all.at(12));
    expect(namesAt(batches(8), 12)).not.toEqual(namesAt(all, 12));
  });

  it('needs as many examples as a batch has', () => {
    expect(() => new Batches(model('generate'), { inputs }, examples.slice(0, 3), {})).toThrow(
      /3 examples don't fill a batch of 4/,
    );
  });
});

describe('texts', () => {
  const one = (task: ModelDef['task'], inputs: readonly ValueInfo[], example: Example, before?: string) =>
    new Batches(model(task), { inputs }, [example], { tokenizer, ...(before && { before }) }).at(0);

  it('learn what comes after a prompt, its end included, and nothing of padding', async () => {
    const inputs = [ints('input_ids', 1, 8), ints('labels', 1, 8)];
    const made = await one('generate', inputs, { prompt: 'ab', text: 'cd' }, 'x');
    expect(rows(made.input_ids!)).toEqual([[...bytes('xabcd'), END, END, END]]);
    expect(rows(made.labels!)).toEqual([[-100, -100, -100, ...bytes('cd'), END, -100, -100]]);
  });

  it('are cut where they are too long, but no answer is', async () => {
    const inputs = [ints('input_ids', 1, 4), ints('labels', 1, 4)];
    expect(rows((await one('generate', inputs, { text: 'abcdef' })).input_ids!)).toEqual([bytes('abcd')]);
    await expect(one('generate', inputs, { prompt: 'abc', text: 'd' })).rejects.toThrow(/5 tokens long/);
  });

  it('stand between start and end for a text tower', async () => {
    const made = await one('embed', [ints('input_ids', 1, 5)], { text: 'ab' });
    expect(rows(made.input_ids!)).toEqual([[BOS, ...bytes('ab'), END, END]]);
  });

  it('are read a token late by the decoder behind an encoder', async () => {
    const inputs = [ints('input_ids', 1, 5), ints('decoder_input_ids', 1, 4), ints('labels', 1, 4)];
    const made = await one('generate', inputs, { prompt: 'q', text: 'ab' });
    expect(rows(made.input_ids!)).toEqual([[BOS, ...bytes('q'), END, END, END]]);
    expect(rows(made.decoder_input_ids!)).toEqual([[2, ...bytes('ab'), END]]);
    expect(rows(made.labels!)).toEqual([[...bytes('ab'), END, -100]]);
  });
});

describe('what a dataset teaches', () => {
  let root: string;
  let dataset: Dataset;
  beforeAll(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'versus-batches-'));
    dataset = await shapes({ size: 192, edge: 32 }).prepare(root);
  });
  afterAll(() => rm(root, { recursive: true }));

  it('is labels by name, captions, or captions and answers, by task', async () => {
    const reversed = [...dataset.manifest.classes].reverse();
    const [first] = await dataset.samples('train');
    const labels = await examplesOf(model('classify', { classes: reversed }), ['model'], dataset, 'train');
    expect(labels[0]).toEqual({ sample: first, label: 7 - first!.label! });
    const pairs = await examplesOf(model('embed'), ['vision', 'text'], dataset, 'train');
    expect(pairs[0]).toEqual({ sample: first, text: first!.caption });
    const asked = await examplesOf(model('generate'), ['vision', 'decoder'], dataset, 'train');
    expect(asked).toHaveLength(6 * pairs.length);
    expect(asked[1]).toEqual({
      ...{ sample: first, prompt: '\nWhat shape is in the image? ASSISTANT:' },
      text: first!.attributes!.shape,
    });
    await expect(examplesOf(model('generate'), ['model'], dataset, 'train')).resolves.toHaveLength(
      5 * pairs.length,
    );
    await expect(
      examplesOf(model('classify', { classes: ['circle'] }), ['model'], dataset, 'train'),
    ).rejects.toThrow(/has no class square/);
  });

  it('is fed as images and labels, the same from memory as from files', async () => {
    const own = model('classify', { preprocess: plainPreprocess(16) });
    const examples = await examplesOf(own, ['model'], dataset, 'test');
    const pixels: ValueInfo = { name: 'pixel_values', dtype: 'float32', shape: [8, 3, 16, 16] };
    const forward = { inputs: [pixels, ints('labels', 8)] };
    const [kept, read] = [{}, { cacheBytes: 0 }].map((o) => new Batches(own, forward, examples, o));
    const step = kept!.perPass;
    await kept!.at(0);
    for (let i = 0; i < step; i++) await kept!.at(i);
    expect(await kept!.at(step)).toEqual(await read!.at(step));
    expect((await read!.at(step)).pixel_values!.shape).toEqual([8, 3, 16, 16]);
  });
});
