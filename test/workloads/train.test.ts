import { afterAll, describe, expect, it } from 'vitest';
import type { ModelDef } from '../../src/core/model.ts';
import { toNumbers } from '../../src/core/tensor.ts';
import type { Activity } from '../../src/core/workload.ts';
import { type TrainParams, train } from '../../src/workloads/train.ts';
import { model } from '../../src/zoo/index.ts';
import { cleanUp, openActivity, repeat, type Setup } from './harness.ts';

afterAll(cleanUp);

const PARAMS: TrainParams = {
  ...{ way: 'full', dataset: 'shapes', target: 'colour', base: 'shape' },
  ...{ steps: 6, rate: 1e-3, samples: 16 },
};
const open = (params: Partial<TrainParams>, more: Partial<Setup<TrainParams>> = {}): Promise<Activity> =>
  openActivity({
    ...{ workload: train, model: model('vit-tiny'), params: { ...PARAMS, ...params }, batch: 4 },
    ...more,
  });
/** A classifier that is told its classes, as a trained one is. */
const named = (): ModelDef => ({
  ...model('vit-tiny'),
  classes: ['circle', 'square', 'triangle', 'star', 'pentagon', 'hexagon', 'cross', 'ring'],
});

describe('training as a workload', () => {
  it('times the step and its parts, and where memory is watched the step alone', async () => {
    const [speed, memory] = [await open({}, { pass: 'speed' }), await open({}, { pass: 'memory' })];
    for (const repetition of [0, 1]) {
      const done = await repeat(speed, repetition);
      expect(done).toEqual(['forward', 'backward', 'step'].map((phase) => ({ phase, items: 4 })));
    }
    expect((await repeat(memory)).map(({ phase }) => phase)).toEqual(['step']);
    await speed.close();
    await memory.close();
  });

  it('has losses that every backend gives, from the model’s own weights each time', async () => {
    const activity = await open({ way: 'lora' });
    const [first, again] = [await activity.outputs(), await activity.outputs()];
    expect(again.losses!.data).toEqual(first.losses!.data);
    await activity.close();
    const other = await open({ way: 'lora' }, { backend: 'reference', batch: 4 });
    const losses = toNumbers((await other.outputs()).losses!);
    await other.close();
    toNumbers(first.losses!).forEach((loss, i) => {
      expect(Math.abs(loss / losses[i]! - 1)).toBeLessThan(1e-4);
    });
  }, 60_000);

  it('counts what trains: adapters and the new head, a frozen rest in 4-bit blocks', async () => {
    const facts: Record<string, Readonly<Record<string, number>>> = {};
    for (const way of ['full', 'lora', 'qlora'] as const) {
      const activity = await open({ way, lora: { r: 8, alpha: 16 } });
      facts[way] = activity.facts!();
      await activity.close();
    }
    const head = 8 * 64 + 8;
    const { full, lora, qlora } = facts as Record<'full' | 'lora' | 'qlora', Record<string, number>>;
    expect(full.trainable_share).toBe(1);
    expect(lora.trainable).toBe(lora.adapter_bytes! / 4 + head);
    expect(qlora.trainable).toBe(lora.trainable);
    expect(qlora.weight_bytes).toBeLessThan(lora.weight_bytes! / 2);
    expect(lora.predicted_optimiser).toBeLessThan(full.predicted_optimiser! / 4);
    for (const f of [full, lora, qlora]) {
      const parts = ['weights', 'frozen', 'optimiser', 'gradients', 'activations', 'transient', 'arena'];
      const sum = parts.reduce((total, part) => total + f[`predicted_${part}`]!, 0);
      expect(sum).toBe(f.predicted_peak);
    }
  });

  it('says the loss of every step, what was learnt, and what was forgotten of a trained model', async () => {
    const still = await open({ way: 'lora', rate: 1e-12 }, { model: named(), trained: true });
    const scores = Object.fromEntries((await still.scores!()).map((s) => [s.metric, s]));
    await still.close();
    expect(scores.loss!.curve).toHaveLength(6);
    expect(scores.loss!.value).toBe(scores.loss!.curve!.at(-1));
    expect(scores.target!.n).toBe(16);
    // The old head on a body that has not moved: nothing is forgotten, though the new task had a head of its own.
    expect(scores.base_after!.correct).toEqual(scores.base_before!.correct);
    expect(scores.forgetting).toMatchObject({ value: 0, interval: { lo: 0, hi: 0 } });
    const seeded = await open({});
    expect((await seeded.scores!()).map((s) => s.metric)).toEqual(['loss', 'target']);
    await seeded.close();
  });

  it('is done by a backend’s own autograd, too, to the same losses', async () => {
    const whole = model('vit-tiny');
    const small = { ...whole, config: { ...(whole.config as object), depth: 1 } };
    const asked = (more: Partial<Setup<TrainParams>>) =>
      open({ by: 'autograd', steps: 3 }, { model: small, ...more });
    const theirs = await asked({ backend: 'wasm', pass: 'speed' });
    const reference = await asked({ pass: 'reference' });
    const losses = toNumbers((await theirs.outputs()).losses!);
    const expected = toNumbers((await reference.outputs()).losses!);
    losses.forEach((loss, i) => {
      expect(Math.abs(loss / expected[i]! - 1)).toBeLessThan(1e-5);
    });
    // Whole steps alone, which leave what is scored as it was.
    expect(await repeat(theirs)).toEqual([{ phase: 'step', items: 4 }]);
    const scores = await theirs.scores!();
    expect(scores).toEqual([{ metric: 'loss', value: losses[2], n: 3, curve: [...losses] }]);
    const { trainable, macs, ...facts } = reference.facts!();
    expect(theirs.facts!()).toMatchObject({ trainable, macs });
    expect(Object.keys(facts)).toContain('predicted_peak');
    expect(Object.keys(theirs.facts!())).not.toContain('predicted_peak');
    await theirs.close();
    await reference.close();
  });

  it.each([
    [{ by: 'autograd' as const }, /the backend has no autograd/],
    [{ by: 'autograd' as const, way: 'lora' as const }, /trains whole weights, not by lora/],
    [{ scope: 'decoder' }, /no scope 'decoder'/],
    [{ target: 'taste' }, /nothing to learn about 'taste'/],
    [{ lora: { r: 8, alpha: 8, targets: ['q_prj'] }, way: 'lora' as const }, /fits no module/],
  ])('refuses %j', async (params, message) => {
    await expect(open(params)).rejects.toThrow(message);
  });
});
