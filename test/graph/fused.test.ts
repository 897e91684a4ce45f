import { describe, expect, it } from 'vitest';
import type { Node } from '../../src/core/graph.ts';
import type { Tensor } from '../../src/core/tensor.ts';
import { nodeCosts } from '../../src/graph/cost.ts';
import { inferNode } from '../../src/graph/infer.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { VERSUS } from '../../src/graph/ops/index.ts';
import { filled } from './operator-cases.ts';

const attrs = (given: Node['attrs'] = {}): Node['attrs'] => given;

function nodeOf(op: string, inputs: number, given: Node['attrs']): Node {
  const names = Array.from({ length: inputs }, (_, i) => `in${i}`);
  return { op, domain: VERSUS, name: 'it', inputs: names, outputs: ['out'], attrs: given };
}

function shapeOf(op: string, shapes: readonly (readonly number[])[], given = attrs()) {
  const types = shapes.map((shape) => ({ dtype: 'float32' as const, shape }));
  const options = { opset: 17, strict: false, fresh: (hint: string) => hint };
  return inferNode(nodeOf(op, shapes.length, given), types, options)![0]!.shape;
}

function run(op: string, inputs: readonly Tensor[], given = attrs()): Tensor {
  const node = nodeOf(op, inputs.length, given);
  const named = inputs.map((t, i) => ({ name: `in${i}`, dtype: t.dtype, shape: t.shape }));
  const output = { name: 'out', dtype: 'float32' as const, shape: [] };
  const graph = {
    name: 'one',
    opset: { '': 17 },
    inputs: named,
    outputs: [output],
    params: [],
    nodes: [node],
  };
  return interpret(graph, {}, Object.fromEntries(inputs.map((t, i) => [`in${i}`, t]))).out!;
}

describe('operators of our own domain', () => {
  it.each<[string, number[][], Node['attrs'], RegExp]>([
    [
      'FusedMatMul',
      [
        [2, 3],
        [4, 3],
      ],
      {},
      /inner dimensions/,
    ],
    ['FusedMatMul', [[2, 3], [4, 3], [5]], { transB: 1 }, /length of the bias/],
    ['FusedMatMul', [[3], [3, 4]], { transA: 1 }, /transA of a vector/],
    [
      'FusedMatMul',
      [
        [2, 3],
        [3, 4],
      ],
      { activation: 'Softmax' },
      /activation Softmax/,
    ],
    [
      'FusedConv',
      [
        [1, 2, 4, 4],
        [3, 2, 1, 1],
      ],
      { activation: 'Softmax' },
      /activation Softmax/,
    ],
    [
      'FusedConv',
      [
        [1, 2, 4, 4],
        [3, 5, 1, 1],
      ],
      { activation: 'Relu' },
      /channels/,
    ],
    [
      'Attention',
      [
        [2, 4, 3],
        [2, 5, 4],
        [2, 5, 3],
      ],
      {},
      /width of queries/,
    ],
    [
      'Attention',
      [
        [2, 4, 3],
        [2, 5, 3],
        [2, 6, 3],
      ],
      {},
      /number of keys/,
    ],
    [
      'Attention',
      [
        [1, 5, 4, 3],
        [1, 2, 5, 3],
        [1, 2, 5, 3],
      ],
      {},
      /dimension 1 of queries/,
    ],
    [
      'Attention',
      [
        [2, 4, 3],
        [2, 5, 3],
        [2, 5, 3],
        [2, 4, 6],
      ],
      {},
      /broadcast|stretch/,
    ],
    [
      'Attention',
      [
        [2, 4, 3],
        [2, 5, 3],
        [2, 5, 3],
        [7, 2, 4, 5],
      ],
      {},
      /stretch/,
    ],
    [
      'Attention',
      [
        [4, 3],
        [5, 3],
        [5, 3],
      ],
      {},
      /rank/,
    ],
  ])('%s refuses %j %j', (op, shapes, given, message) => {
    expect(() => shapeOf(op, shapes, given)).toThrow(message);
  });

  it('have the shapes that they compute', () => {
    const cases: [string, number[][], Node['attrs']][] = [
      ['FusedMatMul', [[2, 3, 5], [4, 5], [4]], { transB: 1, activation: 'Relu', alpha: 0.5 }],
      [
        'FusedMatMul',
        [
          [1, 5, 3],
          [2, 5, 4],
        ],
        { transA: 1 },
      ],
      ['FusedConv', [[1, 4, 5, 5], [6, 2, 3, 3], [6]], { group: 2, activation: 'Sigmoid' }],
      [
        'Attention',
        [
          [2, 6, 3, 4],
          [2, 2, 5, 4],
          [2, 2, 5, 1],
          [1, 1, 3, 5],
        ],
        { scale: 0.5 },
      ],
      [
        'Attention',
        [
          [1, 2, 1, 4],
          [3, 2, 5, 4],
          [3, 2, 5, 2],
        ],
        {},
      ],
    ];
    for (const [op, shapes, given] of cases) {
      const result = run(
        op,
        shapes.map((shape, i) => filled(shape, i + 1)),
        given,
      );
      expect(result.shape).toEqual(shapeOf(op, shapes, given));
    }
  });

  it('attention of shared heads is that of repeated keys and values', () => {
    const [q, k, v] = [filled([2, 6, 3, 4], 1), filled([2, 2, 5, 4], 2), filled([2, 2, 5, 3], 3)];
    const repeated = ({ shape, data }: Tensor): Tensor => {
      const block = shape[2]! * shape[3]!;
      const parts = Array.from({ length: 12 }, (_, h) =>
        data.subarray(Math.floor(h / 3) * block).slice(0, block),
      );
      const all = parts.flatMap((part) => Array.from(part as Float32Array));
      return { dtype: 'float32', shape: [2, 6, ...shape.slice(2)], data: Float32Array.from(all) };
    };
    const given = { scale: 0.5 };
    expect(run('Attention', [q, k, v], given)).toEqual(
      run('Attention', [q, repeated(k), repeated(v)], given),
    );
  });

  it('cost what their parts cost', () => {
    const macs = (op: string, shapes: number[][], given = attrs()) => {
      const types = new Map(shapes.map((shape, i) => [`in${i}`, { dtype: 'float32' as const, shape }]));
      types.set('out', { dtype: 'float32', shape: shapeOf(op, shapes, given) as number[] });
      const graph = {
        name: '',
        opset: {},
        inputs: [],
        outputs: [],
        params: [],
        nodes: [nodeOf(op, shapes.length, given)],
      };
      return nodeCosts(graph, types)[0]!.macs;
    };
    expect(
      macs(
        'FusedMatMul',
        [
          [2, 5, 3],
          [4, 5],
        ],
        { transA: 1, transB: 1 },
      ),
    ).toBe(2 * 3 * 4 * 5);
    expect(
      macs(
        'FusedConv',
        [
          [1, 4, 5, 5],
          [6, 2, 3, 3],
        ],
        { group: 2 },
      ),
    ).toBe(6 * 9 * 2 * 9);
    expect(
      macs('Attention', [
        [2, 6, 3, 4],
        [2, 2, 5, 4],
        [2, 2, 5, 7],
      ]),
    ).toBe(2 * 6 * 3 * 5 * (4 + 7));
  });
});
