import { afterAll, describe, expect, it } from 'vitest';
import type { ModelDef } from '../../src/core/model.ts';
import { toNumbers } from '../../src/core/tensor.ts';
import type { Workload } from '../../src/core/workload.ts';
import { classify } from '../../src/workloads/classify.ts';
import { decode } from '../../src/workloads/decode.ts';
import { generate } from '../../src/workloads/generate.ts';
import { imagePrompt } from '../../src/workloads/image-prompt.ts';
import { matmulPeak, product } from '../../src/workloads/peak.ts';
import { zeroShot } from '../../src/workloads/zero-shot.ts';
import { model } from '../../src/zoo/index.ts';
import { cleanUp, openActivity, repeat } from './harness.ts';

afterAll(cleanUp);

const cases: {
  name: string;
  // biome-ignore lint/suspicious/noExplicitAny: workloads of different params in one table
  workload: Workload<any>;
  model: ModelDef;
  params: unknown;
  phases: string[];
  /** Tiles of a dataset's images are counted only when the images are there. */
  macs?: null;
}[] = [
  {
    name: 'classify resnet',
    workload: classify,
    model: model('resnet-tiny'),
    params: { dataset: 'shapes' },
    phases: ['infer'],
  },
  {
    name: 'classify vit, seeded images',
    workload: classify,
    model: model('vit-tiny'),
    params: {},
    phases: ['infer'],
  },
  {
    name: 'zero-shot',
    workload: zeroShot,
    model: model('clip-tiny'),
    params: { classes: ['circle', 'square', 'star'], templates: ['a {}.', 'the {}.'], textBatch: 4 },
    phases: ['text', 'text', 'ensemble', 'image', 'similarity'],
  },
  {
    name: 'generate on a language model',
    workload: generate,
    model: model('qwen2-tiny'),
    params: { promptTokens: 5, newTokens: 3 },
    phases: ['prefill', 'decode', 'decode'],
  },
  {
    name: 'generate on a vision-language model',
    workload: generate,
    model: model('llava-tiny'),
    params: { promptTokens: 5, newTokens: 2 },
    phases: ['prefill', 'decode'],
  },
  {
    name: 'image prompt',
    workload: imagePrompt,
    model: model('llava-tiny'),
    params: { promptTokens: 4, newTokens: 2, dataset: 'shapes' },
    phases: ['preprocess', 'vision', 'prefill', 'decode'],
  },
  {
    name: 'image prompt of patches',
    workload: imagePrompt,
    model: model('qwen2-vl-tiny'),
    params: { promptTokens: 4, newTokens: 3, dataset: 'shapes' },
    phases: ['preprocess', 'vision', 'prefill', 'decode', 'decode'],
    macs: null,
  },
  {
    name: 'image prompt of patches, drawn',
    workload: imagePrompt,
    model: model('qwen2-vl-tiny'),
    params: { promptTokens: 4, newTokens: 2, imageSize: [84, 140] },
    phases: ['vision', 'prefill', 'decode'],
  },
  {
    name: 'decoding files into patches',
    workload: decode,
    model: model('qwen2-vl-tiny'),
    params: { dataset: 'shapes' },
    phases: ['preprocess'],
    macs: null,
  },
  {
    name: 'image prompt of crops',
    workload: imagePrompt,
    model: model('phi-3.5-vision-tiny'),
    params: { promptTokens: 4, newTokens: 2, dataset: 'shapes' },
    phases: ['preprocess', 'vision', 'prefill', 'decode'],
    macs: null,
  },
  {
    name: 'generate on an encoder and a decoder',
    workload: generate,
    model: model('florence-2-tiny'),
    params: { promptTokens: 5, newTokens: 3 },
    phases: ['prefill', 'decode', 'decode'],
  },
  {
    name: 'image prompt for an encoder and a decoder',
    workload: imagePrompt,
    model: model('florence-2-tiny'),
    params: { promptTokens: 4, newTokens: 2, dataset: 'shapes' },
    phases: ['preprocess', 'vision', 'prefill', 'decode'],
  },
  {
    name: 'peak',
    workload: product,
    model: { ...matmulPeak, config: { size: 32, chain: 2 } } as ModelDef,
    params: {},
    phases: ['matmul'],
  },
];

describe.each(cases)('$name', ({ workload, model: subject, params, phases, macs }) => {
  const batch = 2;

  it('runs its phases, again and again', async () => {
    const activity = await openActivity({ workload, model: subject, params, batch });
    expect((await repeat(activity)).map((s) => s.phase)).toEqual(phases);
    expect((await repeat(activity, 1)).map((s) => s.phase)).toEqual(phases);
    await activity.close();
  });

  it('has metrics over phases that exist', () => {
    for (const metric of workload.metrics) {
      for (const phase of metric.phases ?? []) {
        if (phase !== 'preprocess') expect(phases).toContain(phase);
      }
    }
  });

  it('gives the reference interpreter the same outputs', async () => {
    const one = await openActivity({ workload, model: subject, params, batch });
    const other = await openActivity({ workload, model: subject, params, batch, backend: 'reference' });
    const [a, b] = [await one.outputs(), await other.outputs()];
    await one.close();
    await other.close();
    expect(Object.keys(a)).toEqual(Object.keys(b));
    for (const [name, expected] of Object.entries(b)) {
      const [x, y] = [toNumbers(a[name]!), toNumbers(expected)];
      expect(a[name]!.shape).toEqual(expected.shape);
      const scale = Math.max(1, ...y.map(Math.abs));
      expect(Math.max(...x.map((v, i) => Math.abs(v - y[i]!))) / scale).toBeLessThan(1e-4);
      expect(Math.max(...y) - Math.min(...y)).toBeGreaterThan(0);
    }
  });

  it('draws other inputs from another seed, the same from the same', async () => {
    const outputs = async (seed: number) => {
      const activity = await openActivity({ workload, model: subject, params, batch, seed });
      const found = Object.values(await activity.outputs())[0]!;
      await activity.close();
      return [...toNumbers(found)];
    };
    const first = await outputs(1);
    expect(await outputs(1)).toEqual(first);
    // A text prompt is the same for every seed; pixels are not.
    if (workload !== generate) expect(await outputs(2)).not.toEqual(first);
  });

  it('knows its multiply–accumulates, and twice as many for twice the batch', async () => {
    const one = await workload.macs?.(params, 1, subject);
    if (macs === null) return expect(one ?? null).toBeNull();
    expect(one).toBeGreaterThan(0);
    if (workload !== product && workload !== zeroShot) {
      expect(await workload.macs?.(params, 2, subject)).toBe(2 * one!);
    }
  });
});
