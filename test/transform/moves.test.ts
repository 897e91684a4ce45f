import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GraphBuilder, type Value } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { dropDead } from '../../src/transform/drop-dead.ts';
import { ownProducts } from '../../src/transform/own-products.ts';
import { tidy } from '../../src/transform/tidy.ts';
import { workplace } from '../backends/artifact.ts';
import { oneThread } from '../one-thread.ts';
import { apart, checkPass, drawn, opsOf } from './passes.ts';

const SHAPES = [[2, 3, 4], [6, 4], [4, 6, 1], [24], [2, 2, 3, 2]];

/** The order of axes that a seed stands for. */
const permutation = (rank: number, seed: number): number[] => {
  const left = Array.from({ length: rank }, (_, i) => i);
  return Array.from({ length: rank }, (_, i) => left.splice((seed >> (2 * i)) % left.length, 1)[0]!);
};

describe('moves that others take back', () => {
  it('are one move, or none', async () => {
    const move = fc.oneof(fc.constantFrom(...SHAPES), fc.nat(4096));
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 1, maxLength: 6 }), fc.nat(6), async (moves, tapped) => {
        const g = new GraphBuilder('moves');
        let x: Value = g.input('x', 'float32', [2, 3, 4]);
        moves.forEach((m, i) => {
          x = typeof m === 'number' ? g.transpose(x, permutation(x.shape.length, m)) : g.reshape(x, m);
          if (i === tapped) g.output('between', g.neg(x));
        });
        g.output('y', x);
        const made = await checkPass(
          g.build(),
          (graph) => dropDead(tidy(graph)),
          { x: drawn([2, 3, 4], 1) },
          0,
        );
        const producers = new Map(made.nodes.map((n) => [n.outputs[0], n.op]));
        for (const { op, inputs } of made.nodes) expect(producers.get(inputs[0]!)).not.toBe(op);
      }),
      { numRuns: 60 },
    );
  });
});

describe("products in onnxruntime's own forms", () => {
  const files = workplace();

  it('compute the same there and in the reference', async () => {
    const g = new GraphBuilder('products');
    const [x, y] = [g.input('x', 'float32', [5, 3]), g.input('y', 'float32', [5, 4])];
    const [a, b] = [g.input('a', 'float32', [2, 3, 6, 5]), g.input('b', 'float32', [2, 3, 6, 4])];
    const swap = (v: Value): Value => g.transpose(v, [0, 1, 3, 2]);
    g.output('weight', g.gemm(x, y, null, { transA: 1 }));
    g.output('again', g.gemm(x, g.neg(y), null, { transA: 1 }));
    g.output('left', g.matmul(swap(a), b));
    g.output('right', g.matmul(g.transpose(g.mul(b, 2), [0, 1, 3, 2]), swap(swap(a))));
    const read = swap(b);
    g.output('read', read);
    g.output('kept', g.matmul(read, a));
    const graph = g.build();
    const feeds = Object.fromEntries(graph.inputs.map((i, k) => [i.name, drawn(i.shape as number[], k)]));
    const made = dropDead(ownProducts(tidy(graph)));
    expect(opsOf(made)).toEqual({
      ...{ Neg: 1, Mul: 1, Transpose: 2, MatMul: 3, 'com.microsoft:FusedMatMul': 2 },
    });
    const wanted = interpret(graph, {}, feeds);
    expect(apart(interpret(made, {}, feeds), wanted)).toBeLessThan(1e-6);
    const session = await oneThread().open(await files.write(made), { precision: 'fp32' });
    try {
      expect(apart(await session.run(feeds), wanted)).toBeLessThan(1e-5);
    } finally {
      await session.close();
    }
  });
});
