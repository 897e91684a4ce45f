import { describe, expect, it } from 'vitest';
import { type TrainingOptions, trainingEstimate } from '../../src/commands/estimate-training.ts';
import { settingsOf } from '../../src/commands/train-settings.ts';
import type { StoredAs } from '../../src/estimate/precision.ts';
import { withAllLogits } from '../../src/estimate/resize.ts';
import { lastingMemory, trainingMemory } from '../../src/training/predict.ts';
import type { TrainingSettings } from '../../src/training/settings.ts';
import { learningForward, setUp, stepOf } from '../../src/training/setup.ts';
import { model } from '../../src/zoo/index.ts';

const TARGET = { microsoft: true };

function estimate(name: string, options: Partial<TrainingOptions> = {}, stored: StoredAs = 'fp32') {
  const tokens = { text: 16, answer: 8 };
  return trainingEstimate(model(name), { batch: '2', optimiser: 'adamw', ...options }, stored, tokens);
}

describe('an estimate of training', () => {
  it.each([
    ['vit-tiny', { train: 'full' }, { batch: '2' }, {}],
    ['llava-tiny', { scope: 'decoder' }, { batch: '2', scope: 'decoder' }, { sequence: 16 }],
    [
      'llama-tiny',
      { train: 'qlora' },
      { batch: '2', qlora: true, lora: 'r=8,targets=all-linear' },
      { sequence: 16 },
    ],
  ] as const)('%s, %o: is of the step that versus train runs', async (name, options, typed, sizes) => {
    const { memory } = await estimate(name, options);
    const setup = await setUp(withAllLogits(model(name)), settingsOf(typed, sizes), 0, TARGET);
    const { total, ...parts } = trainingMemory(setup.step);
    expect(memory).toMatchObject({ ...parts, peak: total });
    const { trainable: _, peak, ...summands } = memory;
    expect(Object.values(summands).reduce((a, b) => a + b, 0)).toBe(peak);
  });

  it('counts what learns in float32, and what each optimiser keeps of it', async () => {
    for (const [optimiser, kept] of [
      ['adamw', 2],
      ['momentum', 1],
      ['sgd', 0],
    ] as const) {
      const { memory } = await estimate('hog-tiny', { train: 'full', optimiser });
      expect(memory).toMatchObject({ trainable: 2600, weights: 4 * 2600 });
      // Beside a tensor per moment one number that belongs to all of them.
      expect(memory.optimiser - kept * 4 * 2600).toBeOneOf([0, 4]);
    }
  });

  it('tells adapters from what is frozen beside them', async () => {
    const full = await estimate('llama-tiny', { train: 'full' });
    const lora = await estimate('llama-tiny', { lora: 'r=4,targets=q_proj' });
    expect(lora).toMatchObject({ how: 'lora', scope: 'full', sizes: { sequence: 16 } });
    // Two layers of r (in + out).
    expect(lora.memory.trainable).toBe(2 * 4 * (64 + 64));
    expect(lora.memory.weights).toBe(4 * lora.memory.trainable);
    expect(lora.memory.frozen).toBeGreaterThanOrEqual(full.memory.weights);
    expect(lora.memory.peak).toBeLessThan(full.memory.peak);
    const [half, blocks] = [
      await estimate('llama-tiny', { train: 'lora' }, 'fp16'),
      await estimate('llama-tiny', { train: 'lora' }, 'int4'),
    ];
    expect(half.memory.frozen).toBeLessThan(0.55 * lora.memory.frozen);
    expect(blocks.how).toBe('qlora');
    expect(blocks.memory.frozen).toBeLessThan(lora.memory.frozen);
  });

  it('has the prompt and the answer of an encoder–decoder, and the pieces of an image of any size', async () => {
    const florence = await estimate('florence-2-tiny', { lora: 'r=2,targets=q_proj' });
    expect(florence.sizes).toEqual({ prompt: 16, sequence: 8 });
    const qwen = await estimate('qwen2-vl-tiny', { lora: 'r=2,targets=q_proj' });
    expect(qwen.sizes.grid![0] * qwen.sizes.grid![1]).toBe(model('qwen2-vl-tiny').dims!.tokens);
  });

  it('refuses what cannot be trained', async () => {
    await expect(estimate('sovit-tiny', { train: 'full' })).rejects.toThrow(/gives no logits/);
    await expect(estimate('vit-tiny', { train: 'full' }, 'int4')).rejects.toThrow(
      /weights in int4 don't train/,
    );
    await expect(estimate('vit-tiny', { train: 'lora' }, 'int8')).rejects.toThrow(/with adapters/);
  });
});

describe('what lasts from step to step', () => {
  it.each([
    ['resnet-tiny', { batch: '8', microBatches: '2' }],
    ['resnet-tiny', { optimiser: 'sgd', clip: '0' }],
    ['llama-tiny', { lora: 'r=2,targets=q_proj' }],
    ['llama-tiny', { lora: 'r=2,targets=q_proj', batch: '8', microBatches: '4' }],
    ['llama-tiny', { precision: 'fp16' }],
    ['llama-tiny', { qlora: true }],
  ] as const)('%s, %o: is known before there is a step', async (name, typed) => {
    const settings: TrainingSettings = settingsOf(typed, name === 'llama-tiny' ? { sequence: 8 } : {});
    const learning = await learningForward(withAllLogits(model(name)), settings);
    const lasting = lastingMemory(learning.forward, learning.trainable, settings);
    const { weights, frozen, optimiser } = trainingMemory(await stepOf(learning, settings, TARGET));
    const found = weights + frozen + optimiser;
    expect(lasting).toBeLessThanOrEqual(found);
    expect(lasting).toBeGreaterThan(0.97 * found);
  });
});
