import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toNumbers } from '../../src/core/tensor.ts';
import { withAllLogits } from '../../src/estimate/resize.ts';
import { setUp } from '../../src/training/setup.ts';
import { readSafetensors, safetensors } from '../../src/weights/index.ts';
import { model } from '../../src/zoo/index.ts';
import { edgeNet } from '../plugin/model.ts';
import { type Case, ofTexts, settings, sgd, Trainings } from './training-cases.ts';

let trainings: Trainings;
beforeAll(async () => {
  trainings = await Trainings.open();
});
afterAll(() => trainings.remove());

const LORA = { r: 4, alpha: 8, targets: ['q_proj', 'v_proj'], dropout: 0.1 };
const LLAMA = withAllLogits(model('llama-tiny'));
const CASES: Record<string, Case> = {
  'statistics of batches, momentum': {
    def: model('resnet-tiny'),
    settings: settings({ optimiser: sgd, clipNorm: null }),
  },
  'micro-batches': { def: edgeNet('edge-net-8', 8), settings: settings({ microBatches: 2 }) },
  'adapters with dropout': { def: LLAMA, settings: settings({ ...ofTexts, lora: LORA }) },
  'adapters beside 4 bits, of a scope': {
    def: LLAMA,
    settings: settings({
      ...{ ...ofTexts, scope: 'decoder', qlora: true },
      lora: { ...LORA, dropout: 0, targets: 'all-linear' },
    }),
  },
};

async function bytesIn(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).filter((name) => name !== 'trainer.json');
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name)).toString('base64')]));
}

describe('a training', () => {
  it.each(Object.entries(CASES))('goes on where it stopped, to the bit: %s', async (name, one) => {
    const [all, parts] = [trainings.at(`${name} whole`), trainings.at(`${name} half`)];
    const setup = await setUp(one.def, one.settings, 4);
    const whole = await trainings.run(one, all, { setup });
    const controller = new AbortController();
    const half = await trainings.run(one, parts, {
      setup,
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'step' && event.step === 3) controller.abort();
      },
    });
    expect(half).toMatchObject({ steps: 3, stopped: true });
    const rest = await trainings.run(one, parts, { setup, resume: parts });
    expect(rest).toMatchObject({ steps: 6, stopped: false });
    expect(rest.losses).toEqual(whole.losses);
    expect(rest.evaluations).toEqual(whole.evaluations);
    expect(whole.evaluations.map((e) => e.step)).toEqual([0, 3, 6]);
    expect(whole.evaluations[2]!.loss).toBeLessThan(whole.evaluations[0]!.loss);
    const [a, b] = await Promise.all([bytesIn(whole.checkpoint), bytesIn(rest.checkpoint)]);
    expect(Object.keys(a)).toEqual(Object.keys(b));
    for (const file of Object.keys(a)) expect(a[file] === b[file], file).toBe(true);
    const csv = (folder: string): string => readFileSync(join(folder, 'losses.csv'), 'utf8');
    expect(csv(parts)).toBe(csv(all));
    expect(csv(all).trim().split('\n')).toHaveLength(7);
  });

  it('learns in micro-batches what it learns in one', async () => {
    const one = CASES['micro-batches']!;
    const parts = await trainings.run(one, trainings.at('parts'));
    const whole = await trainings.run({ ...one, settings: settings() }, trainings.at('whole'));
    whole.losses.forEach((loss, i) => {
      expect(parts.losses[i]).toBeCloseTo(loss, 5);
    });
    const [a, b] = await Promise.all([parts, whole].map((run) => readSafetensors(run.checkpoint)));
    for (const name of Object.keys(b!)) {
      const [x, y] = [toNumbers(a![name]!), toNumbers(b![name]!)];
      y.forEach((value, i) => {
        expect(x[i]).toBeCloseTo(value, 5);
      });
    }
  });

  it('judges the same as the checkpoint that it leaves', async () => {
    const one = { def: model('resnet-tiny'), settings: settings() };
    const trained = await trainings.run(one, trainings.at('judged'));
    const begun = { def: { ...one.def, weights: safetensors(trained.checkpoint) }, settings: settings() };
    const again = await trainings.run(begun, trainings.at('judged again'));
    const { step: _, ...before } = trained.evaluations.at(-1)!;
    expect(again.evaluations[0]).toEqual({ step: 0, ...before });
  });
});
