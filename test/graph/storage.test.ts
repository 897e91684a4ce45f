import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { GraphBuilder, type Value } from '../../src/graph/builder.ts';
import { inferTypes } from '../../src/graph/infer.ts';
import { liveBytes, peakLiveness, storagesOf } from '../../src/graph/storage.ts';

const peakOf = (graph: Graph) => peakLiveness(graph, inferTypes(graph, {}).types);
/** Bytes of `n` float32 numbers. */
const f32 = (n: number) => 4 * n;

describe('storages', () => {
  it('an elementwise chain needs its input and one tensor', () => {
    const g = new GraphBuilder('chain');
    let x = g.input('x', 'float32', [8]);
    for (let i = 0; i < 5; i++) x = g.relu(x);
    g.output('y', x);
    expect(peakOf(g.build()).bytes).toBe(f32(16));
  });

  it('a reshape takes no memory and keeps what it looks at alive', () => {
    const g = new GraphBuilder('view');
    const x = g.relu(g.input('x', 'float32', [2, 8]));
    const view = g.reshape(x, [16]);
    const other = g.exp(g.input('z', 'float32', [16]));
    g.output('y', g.add(other, view));
    const graph = g.build();
    // Two inputs, Relu's result under its view, Exp's result that the sum is written into.
    expect(peakOf(graph).bytes).toBe(f32(4 * 16));
  });

  it('a value that is read again later is not written over', () => {
    const g = new GraphBuilder('residual');
    const x = g.relu(g.input('x', 'float32', [8]));
    const branch = g.exp(g.neg(x));
    g.output('y', g.add(x, branch));
    expect(peakOf(g.build()).bytes).toBe(f32(3 * 8));
  });

  it('a product cannot be written over its operands, and the larger side decides', () => {
    const g = new GraphBuilder('mlp');
    const x = g.input('x', 'float32', [4, 8]);
    const wide = g.relu(g.gemm(x, g.param('a', [32, 8]), null, { transB: 1 }));
    g.output('y', g.gemm(wide, g.param('b', [8, 32]), null, { transB: 1 }));
    const { bytes, node } = peakOf(g.build());
    expect(bytes).toBe(f32(4 * 8 + 4 * 32 + 4 * 8));
    expect(node).toBe('Gemm_1');
  });

  it('outputs outlive the graph', () => {
    const g = new GraphBuilder('taps');
    const a = g.exp(g.input('x', 'float32', [8]));
    g.output('a', a);
    g.output('b', g.softmax(g.softmax(g.softmax(a))));
    const graph = g.build();
    const { types } = inferTypes(graph, {});
    // x, a, what the last node reads, and what it writes.
    expect(liveBytes(storagesOf(graph, types), graph.nodes.length).at(-1)).toBe(f32(4 * 8));
  });

  it('agrees with counting references over random graphs of products', () => {
    const picks = fc.array(fc.tuple(fc.nat(1000), fc.nat(1000)), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(picks, (edges) => {
        const g = new GraphBuilder('random');
        const values: Value[] = [g.input('x', 'float32', [3, 3])];
        for (const [a, b] of edges) {
          values.push(g.matmul(values[a % values.length]!, values[b % values.length]!));
        }
        // Everything is used: what nobody reads is an output.
        const read = new Set<string>();
        edges.forEach(([a, b], i) => {
          for (const pick of [a, b]) read.add(values[pick % (i + 1)]!.name);
        });
        values.forEach((v, i) => {
          if (i > 0 && !read.has(v.name)) g.output(`out${i}`, v);
        });
        const graph = g.build();
        expect(peakOf(graph).bytes).toBe(f32(9) * countedPeak(graph));
      }),
      { numRuns: 100 },
    );
  });
});

/** The most values alive at once when each is freed at its last use, by simulation. */
function countedPeak(graph: Graph): number {
  const held = new Set([...graph.inputs, ...graph.outputs].map((o) => o.name));
  const alive = new Set(graph.inputs.map((i) => i.name));
  let peak = 0;
  graph.nodes.forEach((node, at) => {
    for (const o of node.outputs) alive.add(o);
    peak = Math.max(peak, alive.size);
    for (const name of [...alive]) {
      const later = graph.nodes.slice(at + 1).some((n) => n.inputs.includes(name));
      if (!later && !held.has(name)) alive.delete(name);
    }
  });
  return peak;
}
