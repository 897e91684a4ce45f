import { describe, expect, it } from 'vitest';
import { loadEngine } from '../../src/backends/tfjs/engine.ts';
import { tfjs } from '../../src/backends/tfjs/index.ts';
import type { Graph } from '../../src/core/graph.ts';
import { float32, type Tensors } from '../../src/core/tensor.ts';
import { GraphBuilder, type Value } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { workplace } from './artifact.ts';

/** A graph over `x` and `y`, whose products the engine makes itself: nobody else has them. */
function graphOf(name: string, build: (g: GraphBuilder, x: Value, y: Value) => Record<string, Value>): Graph {
  const g = new GraphBuilder(name);
  const two = g.constant(float32([1], [2]), 'two');
  const [x, y] = ['x', 'y'].map((input) => g.mul(g.input(input, 'float32', ['n', 3]), two)) as [Value, Value];
  for (const [output, value] of Object.entries(build(g, x, y))) g.output(output, value);
  return g.build();
}

const GRAPHS: readonly Graph[] = [
  graphOf('what dies on both sides', (g, x, y) => ({ out: g.relu(g.add(x, y)) })),
  graphOf('what is read again', (g, x, y) => {
    const sum = g.add(x, y);
    return { out: g.sub(g.relu(sum), g.add(g.mul(x, sum), y)) };
  }),
  graphOf('what is an output', (g, x, y) => {
    const sum = g.add(x, y);
    return { sum, out: g.relu(sum), other: x };
  }),
  graphOf('one operand twice', (g, x, y) => ({ out: g.relu(g.add(g.add(x, x), y)) })),
  graphOf('one tensor under two names', (g, x, y) => {
    const seen = g.unsqueeze(x, [0]);
    return { out: g.mul(g.relu(g.add(seen, y)), x) };
  }),
  graphOf('one that broadcasts', (g, x, y) => ({
    out: g.relu(g.add(g.reduceMean(x, [0], true), y)),
  })),
  graphOf('axes in two orders', (g, x, y) => ({
    out: g.relu(g.add(g.transpose(x, [1, 0]), g.transpose(y, [1, 0]))),
  })),
];

const feedsOf = (n: number): Tensors => {
  const numbers = (seed: number) => Array.from({ length: 3 * n }, (_, i) => Math.sin(i * 7.1 + seed));
  return { x: float32([n, 3], numbers(1)), y: float32([n, 3], numbers(2)) };
};

describe('sums and rectifiers on wasm, which write over what nobody reads again', () => {
  const files = workplace();

  it.each(GRAPHS.map((graph) => [graph.name, graph] as const))('are right for %s', async (_, graph) => {
    const session = await tfjs('wasm').open(await files.write(graph), { precision: 'fp32' });
    const { tf } = await loadEngine('wasm');
    await session.run(feedsOf(1));
    const before = tf.memory().numTensors;
    for (const n of [1, 4, 0, 4]) {
      const feeds = feedsOf(n);
      const kept = structuredClone(feeds);
      const got = await session.run(feeds);
      const expected = interpret(graph, {}, feeds);
      for (const [name, { shape, data }] of Object.entries(expected)) {
        expect(got[name]!.shape).toEqual(shape);
        expect([...(got[name]!.data as Float32Array)].map(Math.fround)).toEqual(
          [...(data as Float32Array)].map((v) => expect.closeTo(v, 5)),
        );
      }
      expect(feeds).toEqual(kept);
    }
    expect(tf.memory().numTensors).toBe(before);
    await session.close();
  });

  it('take no memory for them', async () => {
    const graph = graphOf('long', (g, x, y) => {
      let value = x;
      for (let i = 0; i < 8; i++) value = g.relu(g.add(value, y));
      return { out: value };
    });
    const session = await tfjs('wasm').open(await files.write(graph), { precision: 'fp32' });
    const { tf } = await loadEngine('wasm');
    await session.run(feedsOf(4));
    const made = new Set<object>();
    const backend = tf.backend() as unknown as { makeOutput(...args: unknown[]): { dataId: object } };
    const { makeOutput } = backend;
    backend.makeOutput = (...args) => {
      const info = makeOutput.apply(backend, args);
      made.add(info.dataId);
      return info;
    };
    await session.run(feedsOf(4));
    backend.makeOutput = makeOutput;
    // The two products.
    expect(made.size).toBe(2);
    await session.close();
  });
});
