import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { float32, int64, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { graphCost } from '../../src/graph/cost.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { decodeOnnx, encodeOnnx } from '../../src/graph/onnx/index.ts';
import { validateGraph } from '../../src/graph/validate.ts';
import { quantise } from '../../src/transform/quantise.ts';
import { findModel } from '../../src/zoo/index.ts';
import { seedData } from '../graph/seed-data.ts';
import { plainBlocks } from '../weights/plain-blocks.ts';

/**
 * Matrices that blocks hold without loss: levels of 4 bits times 1/16, with the lowest in every block of a row or a column.
 * What quantised products compute is then exactly what the products did.
 */
function lossless(graph: Graph): Graph {
  const params = graph.params.map((p) => {
    if (p.shape.length !== 2 || p.role !== 'weight') return p;
    const columns = p.shape[1]!;
    const level = (row: number, i: number) => ((row + i) % 16 === 0 ? -8 : ((row * 7 + i * 3) % 15) - 7);
    const data = Float32Array.from(
      { length: p.shape[0]! * columns },
      (_, at) => level(Math.floor(at / columns), at % columns) / 16,
    );
    return { ...p, data };
  });
  return seedData({ ...graph, params }, 0.5);
}

/** The quantised graph with the bytes of its blocks, by the plain quantiser. */
function filled(graph: Graph, bits: 4 | 8): Graph {
  const made = quantise(graph, bits);
  const params = made.params.map((p) => {
    if (!p.packed) return p;
    const { of, transposed, holds } = p.packed;
    const [rows, columns] = of.shape as [number, number];
    const data = of.data as Float32Array;
    const [n, k] = transposed ? [columns, rows] : [rows, columns];
    return {
      ...p,
      data: plainBlocks(n, k, bits, (row, i) => data[transposed ? i * n + row : row * k + i]!)[holds],
    };
  });
  return { ...made, params };
}

function apart(a: Tensors, b: Tensors): number {
  return Math.max(
    ...Object.keys(b).flatMap((name) => {
      const [x, y] = [toNumbers(a[name]!), toNumbers(b[name]!)];
      return [...y].map((v, i) => Math.abs(v - x[i]!) / Math.max(1, Math.abs(v)));
    }),
  );
}

const wave = (shape: number[]) =>
  float32(
    shape,
    Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => Math.sin(i)),
  );

/** Every kind of use: linear with and without bias, [K, N], a factor, a narrow one, a look-up, a convolution. */
function kinds(): Graph {
  const g = new GraphBuilder('kinds');
  const x = g.input('x', 'float32', ['rows', 48]);
  const ids = g.input('ids', 'int64', ['rows']);
  const tied = g.param('tied', [40, 48]);
  const hidden = g.add(x, g.gather(tied, ids));
  const a = g.gemm(hidden, g.param('a', [33, 48]), g.param('a.bias', [33]), { transB: 1 });
  const b = g.matmul(a, g.param('b', [33, 48]));
  const square = g.param('square', [48, 48]);
  const c = g.gemm(g.matmul(b, square), square, g.param('c.bias', [1, 48]), { transB: 1 });
  const d = g.gemm(c, g.param('scaled', [48, 48]), null, { transB: 1, alpha: 0.5 });
  const narrow = g.gemm(d, g.param('up', [16, 48]), null, { transB: 1 });
  const e = g.gemm(narrow, g.param('narrow', [48, 16]), null, { transB: 1 });
  const image = g.reshape(e, ['rows', 3, 4, 4]);
  const f = g.conv(image, g.param('conv', [48, 3, 4, 4]), g.param('conv.bias', [48]));
  const normed = g.layerNorm(g.reshape(f, ['rows', 48]), g.param('norm', [48]), null, { epsilon: 1e-5 });
  g.output('y', g.gemm(normed, tied, null, { transB: 1 }));
  return g.build();
}

describe('quantise', () => {
  const graph = kinds();
  const made = quantise(graph, 4);
  const names = made.params.map((p) => p.name);

  it('converts the weights of products and nothing else', () => {
    validateGraph(made);
    const stems = ['a', 'b.T', 'square', 'square.T', 'up', 'tied'];
    const packed = made.params.filter((p) => p.packed).map((p) => p.name);
    expect(packed.sort()).toEqual(stems.flatMap((s) => [`${s}_Q4`, `${s}_scales`]).sort());
    // What is no longer read is gone; the embedding table is, by the look-up.
    for (const gone of ['a', 'b', 'square', 'up']) expect(names).not.toContain(gone);
    for (const kept of ['tied', 'scaled', 'narrow', 'conv', 'conv.bias', 'a.bias', 'c.bias', 'norm'])
      expect(names).toContain(kept);
    expect(made.inputs).toEqual(graph.inputs);
    expect(made.outputs).toEqual(graph.outputs);
    expect(made.opset).toEqual({ '': 17, 'com.microsoft': 1 });
  });

  it('lays blocks out as onnxruntime wants them', () => {
    const find = (name: string) => made.params.find((p) => p.name === name);
    expect(find('a_Q4')).toMatchObject({ dtype: 'uint8', shape: [33, 2, 16], role: 'weight' });
    expect(find('a_scales')).toMatchObject({ dtype: 'float32', shape: [66] });
    expect(find('b.T_Q4')?.packed).toMatchObject({ transposed: true, holds: 'values', twin: 'b.T_scales' });
    expect(quantise(graph, 8).params.find((p) => p.name === 'a_Q8')?.shape).toEqual([33, 2, 32]);
    const products = made.nodes.filter((n) => n.op === 'MatMulNBits');
    expect(products[0]).toMatchObject({
      domain: 'com.microsoft',
      attrs: { K: 48, N: 33, bits: 4, block_size: 32 },
    });
    expect(products.every((n) => n.attrs.accuracy_level === undefined)).toBe(true);
    const eight = quantise(graph, 8).nodes.filter((n) => n.op === 'MatMulNBits');
    expect(eight.every((n) => n.attrs.accuracy_level === 4)).toBe(true);
  });

  it.each([4, 8] as const)('with %i bits computes what the products did', (bits) => {
    const feeds = { x: wave([3, 48]), ids: int64([3], [0, 39, 7]) };
    const source = lossless(graph);
    const expected = interpret(source, {}, feeds);
    expect(apart(interpret(filled(source, bits), {}, feeds), expected)).toBeLessThan(1e-6);
    const random = seedData(graph, 0.5);
    const rounded = apart(interpret(filled(random, bits), {}, feeds), interpret(random, {}, feeds));
    expect(rounded).toBeGreaterThan(1e-4);
    expect(rounded).toBeLessThan(bits === 4 ? 0.5 : 0.05);
  });

  it('goes through a file', () => {
    const before = filled(lossless(graph), 4);
    const after = decodeOnnx(encodeOnnx(before));
    expect(after.opset).toEqual(before.opset);
    const products = (g: Graph) => g.nodes.filter((n) => n.domain === 'com.microsoft');
    expect(products(after)).toEqual(products(before));
  });

  it('leaves a graph without such weights as it is, and does not do its work twice', () => {
    const g = new GraphBuilder('plain');
    const x = g.input('x', 'float32', [2, 32]);
    g.output('y', g.matmul(x, g.input('w', 'float32', [32, 4])));
    const plain = g.build();
    expect(quantise(plain, 4)).toBe(plain);
    expect(quantise(made, 4)).toBe(made);
  });

  it('finds names of its own where they are taken', () => {
    const g = new GraphBuilder('taken');
    const x = g.input('w_Q4', 'float32', [2, 32]);
    g.output('y', g.gemm(x, g.param('w', [4, 32]), g.param('w_scales', [4]), { transB: 1 }));
    const taken = quantise(g.build(), 4);
    validateGraph(taken);
    expect(taken.params.map((p) => p.name)).toEqual(['w_Q4_1', 'w_scales_1', 'w_scales']);
  });

  it('refuses subgraphs, which may read weights unseen', () => {
    const sub = { kind: 'graph' as const, graph };
    const node = { op: 'If', name: 'if', inputs: ['x'], outputs: ['z'], attrs: { then_branch: sub } };
    expect(() => quantise({ ...graph, nodes: [...graph.nodes, node] }, 4)).toThrow(/subgraph/);
  });
});

describe('the zoo in blocks', () => {
  it.each([
    'qwen2-tiny',
    'llava-tiny',
    'clip-tiny',
    'vit-tiny',
    'qwen2-72b',
  ])('%s has the parameters and the multiply–accumulates of the model', async (name) => {
    const model = findModel(name);
    if (!model) return;
    for (const graph of Object.values(await model.build(model.config))) {
      const made = quantise(graph, 4);
      validateGraph(made);
      const symbols = graph.inputs.flatMap((i) => i.shape.filter((d) => typeof d === 'string'));
      const dims = Object.fromEntries(
        symbols.filter((d) => !d.includes('+')).map((d) => [d, d === 'past' ? 5 : 3]),
      );
      const [before, after] = [graphCost(graph, dims), graphCost(made, dims)];
      expect(after.parameters).toBe(before.parameters);
      expect(after.macs).toBe(before.macs);
      expect(after.unknown).toEqual(before.unknown);
      const products = after.operators['com.microsoft.MatMulNBits'] ?? 0;
      if (products > 20) expect(after.weightBytes).toBeLessThan(before.weightBytes / 1.9);
    }
  });
});
