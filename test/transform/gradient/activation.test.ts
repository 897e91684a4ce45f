import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { Attributes } from '../../../src/graph/fluent.ts';
import { checkGradient } from './check.ts';

/** Numbers in ±3 that keep a hundredth away from the kinks. */
const awayFrom =
  (...kinks: number[]) =>
  (_: number, uniform: () => number): number => {
    for (;;) {
      const x = uniform() * 6 - 3;
      if (kinks.every((kink) => Math.abs(x - kink) > 0.01)) return x;
    }
  };

interface Case {
  readonly attrs?: Attributes;
  readonly kinks?: readonly number[];
  readonly opset?: number;
  readonly draw?: (input: number, uniform: () => number) => number;
}

const between = (low: number, high: number) => (_: number, uniform: () => number) =>
  low + uniform() * (high - low);

/** Operators of one operand, each with the attributes that change its derivative. */
const CASES: readonly [op: string, ...cases: Case[]][] = [
  ['Identity', {}],
  ['Neg', {}],
  ['Abs', { kinks: [0] }],
  ['Exp', {}],
  ['Log', { draw: between(0.2, 3) }],
  ['Sqrt', { draw: between(0.2, 3) }],
  ['Reciprocal', { draw: between(0.3, 2) }, { draw: between(-2, -0.3) }],
  ['Erf', {}],
  ['Sin', {}],
  ['Cos', {}],
  ['Tan', { draw: between(-1.2, 1.2) }],
  ['Asin', { draw: between(-0.9, 0.9) }],
  ['Acos', { draw: between(-0.9, 0.9) }],
  ['Atan', {}],
  ['Sinh', {}],
  ['Cosh', {}],
  ['Asinh', {}],
  ['Acosh', { draw: between(1.1, 4) }],
  ['Atanh', { draw: between(-0.9, 0.9) }],
  ['Sign', { kinks: [0] }],
  ['Floor', { kinks: [-2, -1, 0, 1, 2] }],
  ['Ceil', { kinks: [-2, -1, 0, 1, 2] }],
  ['Round', { kinks: [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5] }],
  ['Relu', { kinks: [0] }],
  ['Sigmoid', {}],
  ['Tanh', {}],
  ['Gelu', { opset: 20 }, { opset: 20, attrs: { approximate: 'tanh' } }],
  ['Mish', { opset: 18 }],
  ['HardSwish', { draw: (_, u) => u() * 8 - 4 }],
  ['HardSigmoid', { kinks: [-2.5, 2.5] }, { attrs: { alpha: 0.5, beta: 0.25 }, kinks: [-0.5, 1.5] }],
  ['Softplus', {}],
  ['Softsign', {}],
  ['LeakyRelu', { kinks: [0] }, { attrs: { alpha: 1.5 }, kinks: [0] }],
  ['ThresholdedRelu', { kinks: [1] }, { attrs: { alpha: -0.5 }, kinks: [-0.5] }],
  ['Shrink', { kinks: [-0.5, 0.5] }, { attrs: { lambd: 1, bias: 0.5 }, kinks: [-1, 1] }],
  ['Elu', { kinks: [0] }, { attrs: { alpha: 0.5 }, kinks: [0] }, { attrs: { alpha: -0.5 }, kinks: [0] }],
  ['Selu', { kinks: [0] }, { attrs: { alpha: 0.5, gamma: 2 }, kinks: [0] }],
  ['Celu', { kinks: [0] }, { attrs: { alpha: 2 }, kinks: [0] }],
  ['Clip', { attrs: { min: -1, max: 1.5 }, kinks: [-1, 1.5] }],
  ['Softmax', {}, { attrs: { axis: 0 } }],
  ['LogSoftmax', {}, { attrs: { axis: 0 } }],
];

describe('of one operand', () => {
  it.each(CASES)('%s', (op, ...cases) => {
    const shape = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(fc.constantFrom(...cases), shape, fc.integer(), (c, shape, seed) => {
        checkGradient({
          shapes: [shape],
          seed,
          draw: c.draw ?? awayFrom(...(c.kinks ?? [])),
          ...(c.opset && { opset: c.opset }),
          build: (g, x) => g.op(op, [x!], c.attrs ?? {}),
        });
      }),
      { numRuns: 4 * cases.length },
    );
  });
});
