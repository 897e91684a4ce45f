import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { float32 } from '../../../src/core/tensor.ts';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { interpret } from '../../../src/graph/interpret.ts';
import { gradient } from '../../../src/transform/gradient/index.ts';
import { checkGradient } from './check.ts';

describe('pools', () => {
  it.each(['GlobalAveragePool', 'GlobalMaxPool'])('%s', (op) => {
    checkGradient({ shapes: [[2, 3, 2, 4]], build: (g, x) => g.op(op, [x!])[0]! });
    checkGradient({ shapes: [[1, 2, 5]], opset: 18, build: (g, x) => g.op(op, [x!])[0]! });
  });

  it('give the gradient of equal elements to the first of them', () => {
    const g = new GraphBuilder('case');
    const x = g.input('x', 'float32', [1, 1, 3, 3]);
    g.output('pool', g.reduceSum(g.maxPool(x, [2, 2]), undefined, false));
    g.output('all', g.reduceSum(g.op('GlobalMaxPool', [x])[0]!, undefined, false));
    const graph = g.build();
    const feeds = { x: float32([1, 1, 3, 3], [0, 7, 7, 7, 0, 7, 1, 1, 1]) };
    const of = (loss: string): unknown[] => [
      ...interpret(gradient(graph, loss, ['x']), {}, feeds)['grad.x']!.data,
    ];
    // As torch.nn.functional.max_pool2d and adaptive_max_pool2d give it.
    expect(of('pool')).toEqual([0, 2, 0, 1, 0, 1, 0, 0, 0]);
    expect(of('all')).toEqual([0, 1, 0, 0, 0, 0, 0, 0, 0]);
  });
});

describe('Resize', () => {
  const attrs = fc.record({
    mode: fc.constantFrom('nearest', 'linear', 'cubic'),
    coordinate_transformation_mode: fc.constantFrom(
      'half_pixel',
      'pytorch_half_pixel',
      'align_corners',
      'asymmetric',
    ),
    nearest_mode: fc.constantFrom('floor', 'round_prefer_floor'),
    antialias: fc.constantFrom(0, 1),
  });
  const axis = fc.record({ from: fc.integer({ min: 1, max: 4 }), to: fc.integer({ min: 1, max: 8 }) });
  it('by sizes and by scales, in all modes', () => {
    fc.assert(
      fc.property(attrs, fc.tuple(axis, axis), fc.boolean(), fc.integer(), (a, [h, w], bySizes, seed) => {
        checkGradient({
          shapes: [[1, 2, h.from, w.from]],
          seed,
          opset: 18,
          build: (g, x) =>
            bySizes
              ? g.op('Resize', [x!, null, null, g.ints([1, 2, h.to, w.to])], a)
              : g.op('Resize', [x!, null, g.constant(float32([4], [1, 1, h.to / h.from, 2]))], a),
        });
      }),
      { numRuns: 40 },
    );
  });
});

describe('depth and space', () => {
  it.each([
    ['DepthToSpace', { mode: 'DCR' }, [2, 8, 2, 3]],
    ['DepthToSpace', { mode: 'CRD' }, [2, 8, 2, 3]],
    ['SpaceToDepth', {}, [2, 3, 4, 2]],
  ])('%s %o', (op, mode, shape) => {
    checkGradient({ shapes: [shape], build: (g, x) => g.op(op, [x!], { blocksize: 2, ...mode })[0]! });
  });
});
