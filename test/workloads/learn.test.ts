import { afterAll, describe, expect, it } from 'vitest';
import type { ModelDef } from '../../src/core/model.ts';
import { toNumbers } from '../../src/core/tensor.ts';
import { type LearnParams, learn } from '../../src/workloads/learn.ts';
import { model } from '../../src/zoo/index.ts';
import suite from '../../suites/data-efficiency.ts';
import { cleanUp, openActivity, repeat } from './harness.ts';

afterAll(cleanUp);

const armOf = (name: string): ModelDef => suite.arms.find((arm) => arm.name === name)!.model;
const workload = learn({ CNN: { model: armOf('CNN'), rate: 3e-3 } });
const params: LearnParams = {
  ...{ dataset: 'shapes', images: [16, 40], seeds: 2, steps: 3, rate: 2e-3, samples: 16, threads: 1 },
};

describe('learning from ever more images', () => {
  it('trains anew for every number of images and seed, and begins the same again', async () => {
    const activity = await openActivity({ workload, model: armOf('ViT'), params, batch: 8 });
    try {
      const stages: string[] = [];
      const scores = await activity.scores!((name) => stages.push(name));
      expect(stages).toEqual(['16', '40'].flatMap((n) => [0, 1].map((seed) => `${n} images, seed ${seed}`)));
      expect(scores.map(({ metric, n }) => [metric, n])).toEqual([
        ['accuracy', 16],
        ['loss', 16],
      ]);
      for (const { value, learning } of scores) {
        expect(learning!.map(({ images, values }) => [images, values.length])).toEqual([
          [16, 2],
          [40, 2],
        ]);
        const [a, b] = learning![1]!.values as [number, number];
        expect(value).toBeCloseTo((a + b) / 2);
      }
      const losses = scores[1]!.learning!.flatMap(({ values }) => values);
      expect(new Set(losses).size).toBe(4);
      expect(await repeat(activity)).toEqual([{ phase: 'step', items: 8 }]);
      const [first, second] = [await activity.outputs(), await activity.outputs()];
      expect(toNumbers(first.losses!)).toHaveLength(3);
      expect(second).toEqual(first);
    } finally {
      await activity.close();
    }
  });

  it('distils from a teacher that learnt the same images first', async () => {
    const taught = { ...params, images: [12], seeds: 1, teacher: 'CNN' };
    const activity = await openActivity({ workload, model: armOf('DeiT'), params: taught, batch: 8 });
    try {
      const [accuracy] = await activity.scores!();
      expect(accuracy!.learning![0]!.values).toHaveLength(1);
      expect(activity.facts!().trainable).toBeGreaterThan(70_000);
    } finally {
      await activity.close();
    }
  });

  it('refuses what cannot be learnt so', async () => {
    const open = (more: Partial<LearnParams>, of = armOf('CNN')) =>
      openActivity({ workload, model: of, params: { ...params, ...more }, batch: 8 });
    await expect(open({ images: [40, 16] })).rejects.toThrow(/images 40, 16/);
    await expect(open({ images: [4] })).rejects.toThrow(/images 4/);
    await expect(open({ images: [100_000] })).rejects.toThrow(/images to learn from/);
    await expect(open({ teacher: 'nobody' })).rejects.toThrow(/there is no teacher nobody/);
    await expect(open({}, model('clip-vit-b-32'))).rejects.toThrow(/only classifiers/);
  });
});
