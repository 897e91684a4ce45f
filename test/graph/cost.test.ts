import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { graphCost } from '../../src/graph/cost.ts';
import { findModel } from '../../src/zoo/index.ts';

/** Multiply–accumulates at batch 1 in timm's benchmark tables, to the last digit that they print. */
describe('published counts', () => {
  it.each([
    ['resnet-18', 1.82],
    ['resnet-50', 4.11],
    ['resnet-152', 11.56],
    ['vit-b-16', 17.58],
    ['deit-s-16', 4.61],
    ['deit-s-16-distilled', 4.63],
  ])('%s has %f G', async (name, gmacs) => {
    const model = findModel(name)!;
    const graph = (await model.build(model.config)).model!;
    const cost = graphCost(graph, { batch: 1 });
    expect(Math.round(cost.macs / 1e7) / 100).toBe(gmacs);
    expect(cost.unknown).toEqual([]);
    expect(cost.weightBytes).toBeGreaterThanOrEqual(4 * cost.parameters);
  });
});

describe('one operator', () => {
  it('counts a grouped convolution by its group', () => {
    const b = new GraphBuilder('conv');
    const x = b.input('x', 'float32', ['batch', 8, 10, 10]);
    b.output('y', b.conv(x, b.param('w', [12, 4, 3, 3]), b.param('b', [12]), { group: 2 }));
    const cost = graphCost(b.build(), { batch: 2 });
    expect(cost.macs).toBe(2 * 12 * 8 * 8 * (4 * 9));
    expect(cost.bytesMoved).toBe(4 * (2 * 800 + 432 + 12 + 2 * 12 * 64));
    expect(cost.parameters).toBe(432 + 12);
  });

  it('counts matrix products over all batches, transposed or not', () => {
    const b = new GraphBuilder('products');
    const x = b.input('x', 'float32', ['n', 3, 5]);
    b.output('y', b.matmul(x, b.param('w', [5, 7])));
    const [a, c] = [b.param('a', [11, 13]), b.param('c', [17, 11])];
    b.output('z', b.gemm(a, c, null, { transA: 1, transB: 1 }));
    expect(graphCost(b.build(), { n: 2 }).macs).toBe(2 * 3 * 5 * 7 + 13 * 11 * 17);
  });

  it('moves nothing for a view and twice the result for a look-up', () => {
    const b = new GraphBuilder('moves');
    const ids = b.input('ids', 'int64', ['n']);
    b.output('y', b.reshape(b.gather(b.param('w', [1000, 16]), ids), [4, '4*n']));
    expect(graphCost(b.build(), { n: 3 }).bytesMoved).toBe(2 * 3 * 16 * 4);
  });
});

describe('what is not known', () => {
  const graph: Graph = {
    name: 'foreign',
    opset: { '': 17, 'com.example': 1 },
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 4] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 4] }],
    params: [],
    nodes: [
      { op: 'Relu', name: 'r', inputs: ['x'], outputs: ['h'], attrs: {} },
      { op: 'Magic', domain: 'com.example', name: 'm', inputs: ['h'], outputs: ['k'], attrs: {} },
      { op: 'Tanh', name: 't', inputs: ['k'], outputs: ['y'], attrs: {} },
    ],
  };

  it('is said', () => {
    const cost = graphCost(graph, { n: 2 });
    expect(cost.unknown).toEqual(['Tanh', 'com.example.Magic']);
    expect(cost.operators).toEqual({ Relu: 1, 'com.example.Magic': 1, Tanh: 1 });
    expect(cost.bytesMoved).toBe(2 * 2 * 4 * 4);
  });

  it('is less where the file declares types', () => {
    const values = { k: { name: 'k', dtype: 'float32' as const, shape: ['n', 4] } };
    expect(graphCost({ ...graph, values }, { n: 2 }).unknown).toEqual(['com.example.Magic']);
  });

  it('must not be an input', () => {
    expect(() => graphCost(graph, {})).toThrow(/dimension n of input x is not given/);
    expect(() => graphCost(graph, { n: -1 })).toThrow(/can't be -1/);
  });
});
