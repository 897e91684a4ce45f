import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Graph, Node } from '../../src/core/graph.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { validateGraph } from '../../src/graph/validate.ts';
import type { Forward } from '../../src/training/forward/index.ts';
import { trainingStep } from '../../src/training/step.ts';
import { leastPeak } from '../../src/transform/least-peak.ts';
import { Lifetimes } from '../../src/transform/liveness.ts';
import { shuffled } from './orders.ts';

/** Concatenations of what is there: results of different sizes, some of which nothing reads. */
const graphs = fc
  .array(fc.tuple(fc.nat(), fc.nat(), fc.boolean()), { minLength: 3, maxLength: 12 })
  .map((picks): Graph => {
    const sizes = new Map([['x', 1]]);
    const nodes = picks.map(([a, b, sum], i): Node => {
      const names = [...sizes.keys()];
      const [left, right] = [names[a % names.length]!, names[b % names.length]!];
      const name = `v${i}`;
      const node = { name: `n${i}`, outputs: [name] };
      sizes.set(name, sum ? 1 : sizes.get(left)! + sizes.get(right)!);
      return sum
        ? { ...node, op: 'ReduceSum', inputs: [left], attrs: { keepdims: 1 } }
        : { ...node, op: 'Concat', inputs: [left, right], attrs: { axis: 0 } };
    });
    const read = new Set(nodes.flatMap((n) => n.inputs));
    const info = (name: string) => ({ name, dtype: 'float32', shape: [sizes.get(name)!] }) as const;
    return {
      ...{ name: 'random', opset: { '': 17 }, inputs: [info('x')], params: [], nodes },
      outputs: [...sizes.keys()].filter((n) => !read.has(n) && n !== 'x').map(info),
    };
  });

const peak = (graph: Graph): number => new Lifetimes(graph).peak(graph.nodes.keys()).bytes;

describe('the order of least memory', () => {
  it('is an order, and never worse than the given one', () => {
    fc.assert(
      fc.property(graphs, fc.infiniteStream(fc.nat()), (graph, draws) => {
        const mixed = { ...graph, nodes: shuffled(graph.nodes, draws) };
        const made = leastPeak(mixed);
        validateGraph(made);
        expect(new Set(made.nodes)).toEqual(new Set(graph.nodes));
        expect(peak(made)).toBeLessThanOrEqual(peak(mixed));
      }),
    );
  });

  it('takes each gradient to its update before the next is computed', async () => {
    const wide = 64;
    const g = new GraphBuilder('chain');
    let h = g.input('x', 'float32', [4, wide]);
    const names = Array.from({ length: 6 }, (_, i) => `w${i}`);
    for (const name of names) h = g.matmul(h, g.param(name, [wide, wide], { kind: 'uniform', std: 0.1 }));
    g.output('loss', g.reduceSum(g.mul(h, h), undefined, false));
    const forward: Forward = {
      ...{ graph: g.build(), loss: 'loss', logits: 'loss', classes: null, buffers: new Map() },
      inputs: [{ name: 'x', dtype: 'float32', shape: [4, wide] }],
    };
    const step = await trainingStep(forward, { trainable: new Set(names), optimiser: { kind: 'sgd' } });
    const placed = new Set(step.state.map((s) => s.output));
    const most = new Lifetimes(step.graph, placed).peak(step.graph.nodes.keys()).bytes;
    // One weight's gradient times the rate, beside it; of six that wait for their updates there would be 96 KiB.
    expect(most).toBeLessThan(3 * 4 * wide * wide);
  });
});
