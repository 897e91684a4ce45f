import { describe, expect, it } from 'vitest';
import type { Graph, Node, Param } from '../../src/core/graph.ts';
import { moduleNames } from '../../src/graph/module-names.ts';

const param = (name: string): Param => ({ name, dtype: 'float32', shape: [2, 2], role: 'weight' });
const node = (op: string, name: string, inputs: string[], outputs = [`${name}_output_0`]): Node => ({
  ...{ op, name, inputs, outputs, attrs: {} },
});

function dotted(name: string, nodes: readonly Node[] = []): string {
  const graph: Graph = {
    name: 'g',
    opset: { '': 17 },
    inputs: [],
    outputs: [],
    params: [param(name)],
    nodes,
  };
  return moduleNames(graph, () => true).get(name)!.dotted;
}

describe('the module of a parameter', () => {
  it.each([
    ['encoder.layers.0.weight', 'encoder.layers.0.weight'],
    ['class_token', 'class_token'],
    ['model/dense/kernel:0', 'model.dense.kernel:0'],
    ['/encoder/encoder.0/Constant_output_0', 'encoder.0.Constant_output_0'],
    ['a..b', 'a.b'],
    ['...', '...'],
  ])('%s is %s', (name, expected) => {
    expect(dotted(name)).toBe(expected);
  });

  it.each([
    ['MatMul', '/layer1/layer1.0/conv/MatMul', 1, 'layer1.0.conv.weight'],
    ['Gemm', '/features/features.0/features.0.3/Gemm', 2, 'features.0.3.bias'],
    [
      'MatMul',
      '/vit/encoder/layer.11/attention/query/MatMul',
      1,
      'vit.encoder.layer.11.attention.query.weight',
    ],
    ['BatchNormalization', '/bn/BatchNormalization', 3, 'bn.running_mean'],
    ['Add', '/encoder/Add', 1, 'encoder.add'],
  ])('a nameless tensor of %s %s, input %i, is %s', (op, name, input, expected) => {
    const inputs = Array.from({ length: 5 }, (_, i) => (i === input ? 'onnx::X_7' : `v${i}`));
    expect(dotted('onnx::X_7', [node(op, name, inputs)])).toBe(expected);
  });

  it('leaves a nameless tensor at the root where no node says more', () => {
    expect(dotted('123', [node('MatMul', 'MatMul_4', ['x', '123'])])).toBe('123');
    expect(dotted('123', [node('MatMul', '', ['x', '123'], ['/a/b/MatMul_output_0'])])).toBe('a.b.weight');
  });

  it('bounds the depth and loses no part of the name', () => {
    const name = Array.from({ length: 5000 }, (_, i) => `m${i}`).join('.');
    const graph: Graph = { name: 'g', opset: {}, inputs: [], outputs: [], params: [param(name)], nodes: [] };
    const found = moduleNames(graph, () => true).get(name)!;
    expect(found.path.length).toBeLessThan(64);
    expect([...found.path, found.leaf].join('.')).toBe(name);
  });
});
