import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { GraphBuilder, Value } from '../../../src/graph/builder.ts';
import { checkGradient } from './check.ts';

const OPERATORS = [
  'ReduceSum',
  'ReduceMean',
  'ReduceMax',
  'ReduceMin',
  'ReduceProd',
  'ReduceL1',
  'ReduceL2',
  'ReduceSumSquare',
  'ReduceLogSum',
  'ReduceLogSumExp',
] as const;

const reduction = (
  g: GraphBuilder,
  op: string,
  x: Value,
  axes: readonly number[],
  keepdims: number,
): Value => {
  if (axes.length === 0) return g.op(op, [x], { keepdims })[0]!;
  const asInput = g.opset >= 18 || op === 'ReduceSum';
  return g.op(op, asInput ? [x, g.ints(axes)] : [x], { keepdims, ...(!asInput && { axes }) })[0]!;
};

describe('reductions', () => {
  it.each(OPERATORS)('%s', (op) => {
    const drawn = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }).chain((shape) =>
      fc.record({
        shape: fc.constant(shape),
        axes: fc.shuffledSubarray([...shape.keys()]),
        keep: fc.integer({ min: 0, max: 1 }),
        opset: fc.constantFrom(17, 18),
        seed: fc.integer(),
      }),
    );
    fc.assert(
      fc.property(drawn, ({ shape, axes, keep, opset, seed }) => {
        checkGradient({
          shapes: [shape],
          opset,
          seed,
          draw: (_, uniform) => (op === 'ReduceLogSum' ? 1 : uniform() < 0.5 ? -1 : 1) * (0.3 + uniform()),
          build: (g, x) => reduction(g, op, x!, axes, keep),
        });
      }),
      { numRuns: 12 },
    );
  });

  it('products with zeros among the factors', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(0, 0, 0.5, -2, 3), { minLength: 6, maxLength: 6 }), (values) => {
        let i = 0;
        checkGradient({
          shapes: [[2, 3]],
          draw: () => values[i++ % 6]!,
          build: (g, x) => reduction(g, 'ReduceProd', x!, [1], 0),
        });
      }),
      { numRuns: 20 },
    );
  });
});
