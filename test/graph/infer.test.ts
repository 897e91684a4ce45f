import { describe, expect, it } from 'vitest';
import type { Graph, Node, Param } from '../../src/core/graph.ts';
import { int64 } from '../../src/core/tensor.ts';
import { inferShapes, inferTypes } from '../../src/graph/infer.ts';

const node = (op: string, inputs: string[], outputs: string[], attrs: Node['attrs'] = {}): Node => ({
  op,
  name: outputs[0]!,
  inputs,
  outputs,
  attrs,
});
const vector = (name: string, values: number[]): Param => ({
  name,
  ...int64([values.length], values),
  role: 'constant',
});
const graphOf = (
  nodes: Node[],
  params: Param[] = [],
  shape: (number | string)[] = ['batch', 'sequence', 12],
): Graph => ({
  name: 'g',
  opset: { '': 17 },
  inputs: [{ name: 'x', dtype: 'float32', shape }],
  outputs: [],
  params,
  nodes,
});

describe('shape arithmetic', () => {
  it('follows symbols through the nodes that exporters write', () => {
    // x.view(x.size(0), -1, 4, x.size(2) // 4) as torch.onnx.export spells it out.
    const graph = graphOf(
      [
        node('Shape', ['x'], ['shape']),
        node('Gather', ['shape', 'zero'], ['b'], { axis: 0 }),
        node('Gather', ['shape', 'two'], ['c'], { axis: 0 }),
        node('Div', ['c', 'four'], ['quarter']),
        node('Concat', ['b', 'open', 'four', 'quarter'], ['target'], { axis: 0 }),
        node('Reshape', ['x', 'target'], ['y']),
      ],
      [vector('zero', [0]), vector('two', [2]), vector('four', [4]), vector('open', [-1])],
    );
    expect(inferShapes(graph).values!.y!.shape).toEqual(['batch', 'sequence', 4, 3]);
  });

  it('follows a broadcast target with -1, as Expand is exported', () => {
    const graph = graphOf(
      [
        node('Shape', ['x'], ['shape']),
        node('Gather', ['shape', 'zero'], ['b'], { axis: 0 }),
        node('Concat', ['b', 'rest'], ['wanted'], { axis: 0 }),
        node('Equal', ['wanted', 'minus'], ['keep']),
        node('Where', ['keep', 'ones', 'wanted'], ['target']),
        node('Expand', ['token', 'target'], ['y']),
      ],
      [
        vector('zero', [0]),
        vector('rest', [-1, -1]),
        vector('minus', [-1, -1, -1]),
        vector('ones', [1, 1, 1]),
        { name: 'token', dtype: 'float32', shape: [1, 1, 12], role: 'weight' },
      ],
    );
    expect(inferShapes(graph).values!.y!.shape).toEqual(['batch', 1, 12]);
  });

  it('adds along a concatenation and takes apart again', () => {
    const graph: Graph = {
      ...graphOf(
        [
          node('Concat', ['past', 'x'], ['all'], { axis: 1 }),
          node('Shape', ['all'], ['shape']),
          node('Slice', ['shape', 'one', 'two'], ['length']),
          node('Slice', ['all', 'one', 'length', 'one'], ['tail']),
        ],
        [vector('one', [1]), vector('two', [2])],
      ),
      inputs: [
        { name: 'x', dtype: 'float32', shape: ['batch', 'sequence', 12] },
        { name: 'past', dtype: 'float32', shape: ['batch', 'past', 12] },
      ],
    };
    const { values } = inferShapes(graph);
    expect(values!.all!.shape).toEqual(['batch', 'past+sequence', 12]);
    expect(values!.tail!.shape).toEqual(['batch', 'past+sequence-1', 12]);
    expect(inferShapes(graph, { batch: 1, past: 5, sequence: 2 }).values!.tail!.shape).toEqual([1, 6, 12]);
    expect(inferTypes(graph, {}).types.get('length')!.value).toEqual(['past+sequence']);
  });

  it('gives sizes that depend on data a name of their own', () => {
    const shape = inferShapes(graphOf([node('NonZero', ['x'], ['y'])])).values!.y!.shape;
    expect(shape[0]).toBe(3);
    expect(shape[1]).toMatch(/^\?/);
  });
});

describe('sums of dimensions', () => {
  it('follow from their parts', () => {
    const graph = graphOf([], [], ['batch', 'past+sequence']);
    expect(inferShapes(graph, { batch: 2, past: 3, sequence: 4 }).inputs[0]!.shape).toEqual([2, 7]);
  });
});

describe('contradictions', () => {
  it('are errors with operator, node and shapes', () => {
    const graph = graphOf(
      [node('MatMul', ['x', 'w'], ['y'])],
      [{ name: 'w', dtype: 'float32', shape: [5, 2], role: 'weight' }],
    );
    expect(() => inferShapes(graph)).toThrow(/MatMul: .*float32\[batch, sequence, 12\], float32\[5, 2\]/);
  });

  it('that may turn out right are not', () => {
    const w: Param = { name: 'w', dtype: 'float32', shape: [7, 12], role: 'weight' };
    expect(inferShapes(graphOf([node('Add', ['x', 'w'], ['y'])], [w])).values!.y!.shape).toEqual([
      'batch',
      7,
      12,
    ]);
  });

  it('of the sizes that are given are errors', () => {
    const w: Param = { name: 'w', dtype: 'float32', shape: [7, 12], role: 'weight' };
    const graph = graphOf([node('Add', ['x', 'w'], ['y'])], [w]);
    expect(() => inferShapes(graph, { batch: 1, sequence: 3 })).toThrow(/don't broadcast/);
  });
});

it('leaves values behind an unknown operator unknown', () => {
  const graph = graphOf([
    node('Relu', ['x'], ['a']),
    { ...node('Twist', ['a'], ['b']), domain: 'com.example' },
    node('Relu', ['b'], ['c']),
  ]);
  expect(Object.keys(inferShapes(graph).values!)).toEqual(['x', 'a']);
});

it('knows nothing of an input whose rank is open', () => {
  const graph = graphOf([node('Relu', ['x'], ['y'])], [], ['...']);
  expect(Object.keys(inferShapes(graph).values!)).toEqual([]);
});
