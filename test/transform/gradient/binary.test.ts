import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { float32 } from '../../../src/core/tensor.ts';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { interpret } from '../../../src/graph/interpret.ts';
import { gradient } from '../../../src/transform/gradient/index.ts';
import { checkGradient } from './check.ts';

/** Two shapes that broadcast. */
const pair = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom('both', 'left', 'right')), { maxLength: 3 })
  .chain((dims) =>
    fc.record({
      shapes: fc.constant([
        dims.map(([d, at]) => (at === 'right' ? 1 : d)),
        dims.map(([d, at]) => (at === 'left' ? 1 : d)),
      ]),
      cut: fc.tuple(fc.integer({ min: 0, max: dims.length }), fc.boolean()),
      seed: fc.integer(),
    }),
  )
  .map(({ shapes, cut: [n, left], seed }) => ({
    shapes: shapes.map((s, i) => (i === Number(left) ? s.slice(n) : s)),
    seed,
  }));

describe('arithmetic', () => {
  it.each(['add', 'sub', 'mul', 'div'] as const)('%s of operands that broadcast', (op) => {
    fc.assert(
      fc.property(pair, ({ shapes, seed }) => {
        const draw = (_: number, uniform: () => number): number => 0.5 + uniform();
        checkGradient({ shapes, seed, draw, build: (g, a, b) => g[op](a!, b!) });
      }),
      { numRuns: 25 },
    );
  });

  it('of a value with itself adds both ways up', () => {
    checkGradient({ shapes: [[2, 3]], build: (g, x) => g.mul(x!, x!) });
  });
});

describe('choices and powers', () => {
  const positive = (_: number, uniform: () => number): number => 0.5 + uniform();

  it.each(['Pow', 'Min', 'Max', 'Sum', 'Mean', 'PRelu', 'Mod'])('%s of operands that broadcast', (op) => {
    fc.assert(
      fc.property(pair, ({ shapes, seed }) => {
        // The slope of PRelu stretches to x, not the other way; Mod is level in its second operand between its jumps.
        if (op === 'PRelu' && shapes[1]!.some((d, i) => d > (shapes[0]!.at(i - shapes[1]!.length) ?? 0)))
          return;
        const draw =
          op === 'PRelu'
            ? undefined
            : op === 'Mod'
              ? (i: number, u: () => number) => (i ? 0.7 : 0.1) + u() / 2
              : positive;
        checkGradient({ shapes, seed, ...(draw && { draw }), build: (g, ...x) => g.op(op, x)[0]! });
      }),
      { numRuns: 12 },
    );
  });

  it('Pow with the exponents that models have, and at 0', () => {
    for (const exponent of [0, 0.5, 1, 2, 3, -1, 1.5, -2]) {
      checkGradient({ shapes: [[3]], draw: positive, build: (g, x) => g.pow(x!, exponent) });
      checkGradient({ shapes: [[3]], draw: positive, build: (g, x) => g.pow(Math.abs(exponent) || 1, x!) });
    }
    for (const exponent of [0, 1, 2, 3, 4])
      checkGradient({ shapes: [[3]], draw: () => 0, build: (g, x) => g.pow(x!, exponent) });
    // Exponents that are only known when it runs; 0 to a positive power doesn't change with the power.
    checkGradient({ shapes: [[2], [2]], draw: (i) => 2 * i, build: (g, x, p) => g.pow(x!, p!) });
  });

  it('shares the gradient of a maximum among equals', () => {
    const g = new GraphBuilder('case');
    const [x, y] = [g.input('x', 'float32', [3]), g.input('y', 'float32', [3])];
    g.output('loss', g.reduceSum(g.maximum(x, y), undefined, false));
    const feeds = { x: float32([3], [1, 2, 3]), y: float32([3], [3, 2, 1]) };
    const results = interpret(gradient(g.build(), 'loss', ['x', 'y']), {}, feeds);
    expect([...results['grad.x']!.data]).toEqual([0, 0.5, 1]);
    expect([...results['grad.y']!.data]).toEqual([1, 0.5, 0]);
  });

  it('Where, Max of three, bounds that train, conversions', () => {
    const shapes = [[2, 3], [3], []];
    checkGradient({ shapes, build: (g, a, b, c) => g.op('Max', [a!, b!, c!])[0]! });
    checkGradient({ shapes, build: (g, a, b, c) => g.where(g.greater(a!, 0), g.mul(b!, a!), c!) });
    checkGradient({
      shapes: [[20], [], []],
      draw: (i, uniform) => [uniform() * 4 - 2, -1, 1][i]!,
      build: (g, x, low, high) => g.op('Clip', [x!, low!, high!])[0]!,
    });
    checkGradient({
      shapes: [[3]],
      tolerance: 0.1,
      build: (g, x) => g.cast(g.mul(g.cast(x!, 'float32'), g.scalar(2)), 'float64'),
    });
  });
});

describe('products', () => {
  it('of matrices, vectors and batches that broadcast', () => {
    const size = fc.integer({ min: 1, max: 3 });
    const lead = fc.constantFrom([], [1], [2], [2, 1], [3, 2], [1, 2]);
    const operands = fc.record({
      m: size,
      k: size,
      n: size,
      left: lead,
      right: lead,
      vectors: fc.nat(3),
      seed: fc.integer(),
    });
    fc.assert(
      fc.property(operands, ({ m, k, n, left, right, vectors, seed }) => {
        const fits = left.every((d, i) => {
          const other = right[right.length - left.length + i] ?? 1;
          return d === other || d === 1 || other === 1;
        });
        fc.pre(fits);
        const a = vectors & 1 ? [k] : [...left, m, k];
        const b = vectors & 2 ? [k] : [...right, k, n];
        checkGradient({ shapes: [a, b], seed, build: (g, x, y) => g.matmul(x!, y!) });
      }),
      { numRuns: 40 },
    );
  });

  it('of Gemm in all its forms', () => {
    const flag = fc.constantFrom(0 as const, 1 as const);
    const form = fc.record({
      transA: flag,
      transB: flag,
      alpha: fc.constantFrom(1, 0.5),
      beta: fc.constantFrom(1, 2),
    });
    fc.assert(
      fc.property(form, fc.constantFrom<number[]>([], [1], [4], [1, 4], [2, 1], [2, 4]), (attrs, bias) => {
        const a = attrs.transA ? [3, 2] : [2, 3];
        const b = attrs.transB ? [4, 3] : [3, 4];
        checkGradient({ shapes: [a, b, bias], build: (g, x, y, z) => g.gemm(x!, y!, z!, attrs) });
      }),
      { numRuns: 40 },
    );
  });
});

describe('what is asked for', () => {
  it('costs no node elsewhere', () => {
    const g = new GraphBuilder('case');
    const x = g.input('x', 'float32', [2, 3]);
    const first = g.matmul(x, g.param('frozen', [3, 3]));
    g.output('loss', g.reduceSum(g.matmul(first, g.param('trained', [3, 4])), undefined, false));
    // The sum's rule is not what is looked at.
    const graph = gradient(g.build(), 'loss', ['trained']);
    expect(graph.nodes.filter((n) => n.op === 'Gemm' || n.op === 'MatMul')).toHaveLength(3);
  });

  it('names operator and node of what cannot be differentiated', () => {
    const g = new GraphBuilder('case');
    const x = g.input('x', 'float32', [2, 3]);
    g.output('loss', g.op('Hardmax', [x])[0]!);
    expect(() => gradient(g.build(), 'loss', ['x'])).toThrow(/no gradient of Hardmax/);
  });
});
