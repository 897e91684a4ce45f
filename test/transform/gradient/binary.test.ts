import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../../src/graph/builder.ts';
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
