import { describe, expect, it } from 'vitest';
import type { ModelDef } from '../../src/core/model.ts';
import { random, seedOf } from '../../src/core/random.ts';
import { elementCount, int64, type Tensor, type Tensors, tensor, toNumbers } from '../../src/core/tensor.ts';
import { resized, withAllLogits } from '../../src/estimate/resize.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { type Forward, forwardOf } from '../../src/training/forward/index.ts';
import { gradient } from '../../src/transform/gradient/index.ts';
import { model as zoo } from '../../src/zoo/index.ts';
import { dot, inDouble, inDoubles } from './double.ts';
import { numbersOf } from './numbers.ts';

/** Of the step along the direction: central differences lose its square, float64 the inverse of it. */
const STEP = 1e-5;

const SIZES = { batch: 2, sequence: 5, before: 2, prompt: 3, grid: [1, 2] } as const;

/** Fewer pixels where there are many stages: 64 of them are four times what there is to see. */
const small = (name: string): ModelDef => {
  const model = withAllLogits(zoo(name));
  const own = model.config as object;
  if (name === 'swin-tiny') return { ...model, config: { ...own, image: [32, 32], window: [2, 2] } };
  return name === 'florence-2-tiny' ? resized(model, [32, 32]) : model;
};

function batchFor(name: string, { inputs, classes }: Forward): Tensors {
  const draw = random(seedOf(name, 2));
  return Object.fromEntries(
    inputs.map(({ name: input, dtype, shape }): [string, Tensor] => {
      const sizes = shape as number[];
      const count = elementCount(sizes);
      if (dtype === 'float32')
        return [input, tensor(dtype, sizes, Float32Array.from({ length: count }, draw.uniform))];
      const most = input === 'labels' ? (classes ?? 1) : 500;
      const ids = Array.from({ length: count }, () => draw.below(most));
      return [input, int64(sizes, ids)];
    }),
  );
}

/*
 * Recorded runs hold ViT, ResNet, CLIP and the language models against torch. For the others: the slope of the loss along one
 * direction in all parameters at once, in float64, against the gradients' own idea of it.
 */
describe('gradients of whole models', () => {
  it.each([
    ...['swin-tiny', 'convnext-tiny', 'sift-tiny', 'siglip-tiny'],
    ...['phi-3.5-vision-tiny', 'qwen2-vl-tiny', 'florence-2-tiny'],
  ])('%s', async (name) => {
    const model = small(name);
    const forward = await forwardOf(model, await model.build(model.config), SIZES);
    const weights = forward.graph.params.filter((p) => p.role === 'weight').map((p) => p.name);
    const numbers = inDoubles(await numbersOf(model, forward.graph));
    const feeds = inDoubles(batchFor(name, forward));
    const plain = inDouble(forward.graph);
    const differentiated = gradient(plain, forward.loss, weights);
    const found = interpret(differentiated, numbers, feeds);
    const slopes = Object.fromEntries(weights.map((w) => [w, found[`grad.${w}`]!]));

    const draw = random(seedOf(name, 3));
    const direction = Object.fromEntries(
      weights.map((w) => {
        const { shape, data } = numbers[w]!;
        const noise = Float64Array.from({ length: data.length }, () => 2 * draw.uniform() - 1);
        return [w, tensor('float64', shape, noise)];
      }),
    );
    const lossAt = (step: number): number => {
      const moved = Object.fromEntries(
        weights.map((w) => {
          const way = direction[w]!.data as Float64Array;
          const data = Float64Array.from(numbers[w]!.data as Float64Array, (x, i) => x + step * way[i]!);
          return [w, tensor('float64', numbers[w]!.shape, data)];
        }),
      );
      return toNumbers(interpret(plain, { ...numbers, ...moved }, feeds, ['loss']).loss!)[0]!;
    };
    const quotient = (lossAt(STEP) - lossAt(-STEP)) / (2 * STEP);
    const slope = dot(slopes, direction);
    expect(Math.abs(quotient)).toBeGreaterThan(1e-3);
    expect(Math.abs(slope - quotient) / Math.abs(quotient), `${slope} against ${quotient}`).toBeLessThan(
      1e-4,
    );
    // Every parameter that the loss depends on has a gradient: of keys' biases alone it is zero.
    const still = weights.filter((w) => toNumbers(slopes[w]!).every((x) => Math.abs(x) < 1e-14));
    expect(still.filter((w) => !/(k_proj|key)\.bias|logit_bias/.test(w))).toEqual([]);
  });
});
