import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import type { Tier } from '../../src/core/suite.ts';
import { elementCount } from '../../src/core/tensor.ts';
import { plan } from '../../src/run/plan.ts';
import suite, { large } from '../../suites/data-efficiency.ts';
import { backend, CPU, config, PROFILE } from '../run/sketch.ts';

const armsIn = (tier: Tier, of = suite): string[] => {
  const made = config([of], { profiles: { it: { ...PROFILE, tier } }, backends: [backend('cpu')] });
  return plan(made, { profile: 'it' }, new Map([['cpu', CPU]])).cells.map(({ arm }) => arm);
};

describe('the suite data-efficiency', () => {
  it('has arms of its own where time is short', () => {
    expect(armsIn('smoke')).toEqual(['CNN in brief', 'DeiT in brief']);
    expect(() => armsIn('overview')).toThrow(/nothing to measure/);
    expect(armsIn('default')).toEqual(['CNN', 'ViT', 'DeiT']);
    expect(armsIn('release')).toEqual(['CNN', 'ViT', 'DeiT']);
    expect(armsIn('release', large)).toEqual(['CNN', 'ViT', 'DeiT']);
    expect(() => armsIn('default', large)).toThrow(/nothing to measure/);
  });

  it('has contenders of equal size, within 5%', async () => {
    const arms = suite.arms.filter((arm) => arm.tier === 'default');
    const counts = await Promise.all(
      arms.map(async ({ model }) => {
        const { params } = ((await model.build(model.config)) as Record<string, Graph>).model!;
        return params
          .filter((p) => p.role === 'weight')
          .reduce((sum, { shape }) => sum + elementCount(shape), 0);
      }),
    );
    expect(counts).toHaveLength(3);
    expect(Math.max(...counts) / Math.min(...counts)).toBeLessThan(1.05);
  });

  it('asks all contenders the same, but for the rate that suits each and the teacher', () => {
    const { uses } = suite;
    const [cnn, vit, deit] = ['CNN', 'ViT', 'DeiT'].map(
      (name) => uses.find((use) => use.arms!.includes(name))!.params,
    );
    expect({ ...vit, rate: 0 }).toEqual({ ...cnn, rate: 0 });
    expect(deit).toEqual({ ...vit, teacher: 'CNN' });
    expect(cnn.seeds).toBe(6);
  });
});
