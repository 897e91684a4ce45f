import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../src/core/graph.ts';
import { random } from '../../../src/core/random.ts';
import {
  elementCount,
  float32,
  int64,
  type Tensor,
  type Tensors,
  tensor,
  toNumbers,
} from '../../../src/core/tensor.ts';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { interpret } from '../../../src/graph/interpret.ts';
import { encodeOnnx } from '../../../src/graph/onnx/index.ts';
import { gradient } from '../../../src/transform/gradient/index.ts';

async function run(graph: Graph, feeds: Tensors, threads: number): Promise<Tensors> {
  const session = await InferenceSession.create(encodeOnnx(graph), {
    logSeverityLevel: 4,
    intraOpNumThreads: threads,
  });
  try {
    const fed = Object.entries(feeds).map(([name, t]) => [
      name,
      new OrtTensor(t.dtype as never, t.data as never, t.shape),
    ]);
    const results = await session.run(Object.fromEntries(fed));
    return Object.fromEntries(
      Object.entries(results).map(([name, t]) => [
        name,
        { dtype: t.type, shape: t.dims, data: t.data } as Tensor,
      ]),
    );
  } finally {
    await session.release();
  }
}

const rand = random(5);
const noise = (...shape: number[]): Tensor =>
  float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => rand.uniform() * 2 - 1),
  );

/** The largest difference. */
const apart = (a: Tensor, b: Tensor): number => {
  const numbers = toNumbers(b);
  return toNumbers(a).reduce((most, v, i) => Math.max(most, Math.abs(v - numbers[i]!)), 0);
};

// What a small case in one thread would not show.
describe('in onnxruntime with several threads', () => {
  it('an embedding of few words in long texts is summed to the last bit in every run, into the tied layer as well', async () => {
    const [words, width, length] = [40, 256, 3000];
    const g = new GraphBuilder('case');
    const [table, ids] = [g.input('table', 'float32', [words, width]), g.input('ids', 'int64', [length])];
    const weights = g.input('weights', 'float32', [length, words]);
    const scores = g.matmul(g.gather(table, ids), g.transpose(table, [1, 0]));
    g.output('loss', g.reduceSum(g.mul(scores, weights), undefined, false));
    const graph = gradient(g.build(), 'loss', ['table']);
    // One scatter, into what the output layer gave: no sum of two tables, no table of zeros.
    expect(graph.nodes.filter(({ op }) => op === 'ScatterElements')).toHaveLength(1);
    expect(graph.nodes.filter(({ op }) => op === 'Add')).toEqual([]);
    const feeds = {
      table: noise(words, width),
      ids: int64(
        [length],
        Array.from({ length }, () => rand.below(words)),
      ),
      weights: noise(length, words),
    };
    const [first, second] = [await run(graph, feeds, 2), await run(graph, feeds, 2)];
    expect(second['grad.table']!.data).toEqual(first['grad.table']!.data);
    const expected = interpret(graph, {}, feeds)['grad.table']!;
    expect(apart(first['grad.table']!, expected)).toBeLessThan(2e-3);
  });

  it('Dropout lets the gradient through where forward let the value', async () => {
    const g = new GraphBuilder('case');
    const x = g.input('x', 'float32', [64, 64]);
    const y = g.op('Dropout', [x, g.scalar(0.25), g.scalar(1, 'bool')])[0]!;
    g.output('y', y);
    g.output('loss', g.reduceSum(g.mul(y, 3), undefined, false));
    const results = await run(
      gradient(g.build(), 'loss', ['x']),
      { x: float32([64, 64], new Float32Array(4096).fill(1)) },
      2,
    );
    const [kept, slopes] = [toNumbers(results.y!), toNumbers(results['grad.x']!)];
    expect(kept.filter((v) => v === 0).length / 4096).toBeCloseTo(0.25, 1);
    expect(slopes.every((slope, i) => Math.abs(slope - 3 * kept[i]!) < 1e-5)).toBe(true);
  });

  it.each([4, 8])('a product with a weight in %i bits hands on what its blocks say', async (bits) => {
    const [rows, k, n, size] = [3, 72, 5, 32];
    const blocks = Math.ceil(k / size);
    const g = new GraphBuilder('case');
    const x = g.input('x', 'float32', [rows, k]);
    const bytes = Uint8Array.from({ length: (n * blocks * size * bits) / 8 }, () => rand.below(256));
    const packed = g.constant(tensor('uint8', [n, blocks, (size * bits) / 8], bytes));
    const scales = g.constant(noise(n * blocks));
    const attrs = { K: k, N: n, bits, block_size: size };
    const y = g.op('MatMulNBits', [x, packed, scales], attrs, { domain: 'com.microsoft' })[0]!;
    g.output('loss', g.reduceSum(g.mul(y, y), undefined, false));
    const graph = gradient(g.build(), 'loss', ['x']);
    const feeds = { x: noise(rows, k) };
    const [ours, theirs] = [interpret(graph, {}, feeds)['grad.x']!, (await run(graph, feeds, 2))['grad.x']!];
    expect(apart(ours, theirs) / Math.max(...toNumbers(ours).map(Math.abs))).toBeLessThan(1e-5);
  });
});
