import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { random } from '../../../src/core/random.ts';
import { float32, type Tensor } from '../../../src/core/tensor.ts';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { interpret } from '../../../src/graph/interpret.ts';
import { addGradients } from '../../../src/transform/gradient/index.ts';
import { apart } from '../passes.ts';

const window = fc.record({
  size: fc.tuple(fc.integer({ min: 4, max: 7 }), fc.integer({ min: 4, max: 7 })),
  kernel: fc.integer({ min: 1, max: 3 }),
  stride: fc.integer({ min: 1, max: 3 }),
  pad: fc.boolean(),
  seed: fc.integer(),
});

describe('the gradient of MaxPool by the places of its maxima', () => {
  it('is that by comparison, also where elements are equal', () => {
    fc.assert(
      fc.property(window, ({ size, kernel, stride, pad, seed }) => {
        const pads = new Array<number>(4).fill(pad ? Math.floor(kernel / 2) : 0);
        const attrs = { kernel_shape: [kernel, kernel], strides: [stride, stride], pads };
        const gradientOf = (places: boolean): Tensor => {
          const g = new GraphBuilder('pool');
          const x = g.input('x', 'float32', [2, 3, ...size]);
          const y = g.op('MaxPool', [x], attrs)[0]!;
          // A gradient that differs from place to place.
          const loss = g.reduceSum(g.mul(y, g.add(y, 1)), undefined, false);
          const found = addGradients(g, new Map([[loss.name, g.scalar(1)]]), ['x'], { places });
          g.output('loss', loss);
          g.output('dx', found.get('x')!);
          const draw = random(seed);
          const count = 6 * size[0] * size[1];
          const data = Array.from({ length: count }, () => draw.below(4));
          return interpret(g.build(), {}, { x: float32([2, 3, ...size], data) }).dx!;
        };
        expect(apart({ dx: gradientOf(true) }, { dx: gradientOf(false) })).toBeLessThan(1e-6);
      }),
      { numRuns: 30 },
    );
  });
});
