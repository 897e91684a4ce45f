import { describe, expect, it } from 'vitest';
import type { Graph, Node } from '../../src/core/graph.ts';
import { random } from '../../src/core/random.ts';
import { elementCount, float32, int64, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { validateGraph } from '../../src/graph/validate.ts';
import { lower, type Target } from '../../src/transform/lower/index.ts';

type Given = Pick<Node, 'op'> & Partial<Node>;

/** A graph of one node between two others, which are there to keep their names. */
function graphOf(node: Given, shapes: readonly (readonly number[])[], opset = 17): Graph {
  const inputs = shapes.map((shape, i) => ({ name: `in${i}`, dtype: 'float32' as const, shape }));
  const nodes: Node[] = [
    { op: 'Neg', name: 'before', inputs: ['in0'], outputs: ['x'], attrs: {} },
    {
      name: 'it',
      attrs: {},
      outputs: ['y'],
      inputs: ['x', ...inputs.slice(1).map(({ name }) => name)],
      ...node,
    },
    { op: 'Neg', name: 'after', inputs: ['y'], outputs: ['out'], attrs: {} },
  ];
  const outputs = ['y', 'out'].map((name) => ({ name, dtype: 'float32' as const, shape: [] }));
  return {
    name: 'case',
    opset: { '': opset, ...(node.domain && { [node.domain]: 1 }) },
    inputs,
    params: [],
    outputs,
    nodes,
  };
}

function check(graph: Graph, feeds: Tensors, target: Target = {}): Graph {
  const lowered = lower(graph, target);
  validateGraph(lowered);
  const [before, after] = [interpret(graph, {}, feeds), interpret(lowered, {}, feeds)];
  expect(Object.keys(after)).toEqual(Object.keys(before));
  for (const [name, tensor] of Object.entries(before)) {
    expect(after[name]!.shape).toEqual(tensor.shape);
    const numbers = toNumbers(after[name]!);
    for (const [i, v] of toNumbers(tensor).entries()) expect(numbers[i]).toBeCloseTo(v, 5);
  }
  return lowered;
}

const feedsOf = (shapes: readonly (readonly number[])[]): Tensors => {
  const rand = random(3);
  const draw = (): number => rand.uniform() * 4 - 2;
  return Object.fromEntries(
    shapes.map((shape, i) => [`in${i}`, float32(shape, Array.from({ length: elementCount(shape) }, draw))]),
  );
};

const CASES: readonly [what: string, node: Given, shapes: number[][], microsoft: string[]][] = [
  ['GELU', { op: 'Gelu' }, [[2, 3]], ['com.microsoft.Gelu']],
  ['GELU by tanh', { op: 'Gelu', attrs: { approximate: 'tanh' } }, [[2, 3]], ['com.microsoft.FastGelu']],
  ['SiLU', { op: 'Swish' }, [[2, 3]], ['com.microsoft.QuickGelu']],
  [
    'QuickGELU',
    { op: 'Swish', attrs: { alpha: 1.702 }, floats: ['alpha'] },
    [[2, 3]],
    ['com.microsoft.QuickGelu'],
  ],
  ['Mish', { op: 'Mish' }, [[2, 3]], ['Softplus', 'Tanh', 'Mul']],
  ['RMSNorm', { op: 'RMSNormalization', attrs: { axis: -1, epsilon: 1e-3 } }, [[2, 3], [3]], []],
  [
    'RMSNorm over two',
    { op: 'RMSNormalization', attrs: { axis: 1 } },
    [
      [2, 3, 2],
      [3, 2],
    ],
    [],
  ],
  [
    'a product with all that it has',
    { op: 'FusedMatMul', domain: 'versus', attrs: { transA: 1, transB: 1, alpha: 0.5, activation: 'Relu' } },
    [[2, 3, 2], [4, 3], [4]],
    [],
  ],
  [
    'a convolution with its activation',
    {
      op: 'FusedConv',
      domain: 'versus',
      attrs: { pads: [1, 1, 1, 1], activation: 'LeakyRelu', activation_alpha: 0.3 },
    },
    [[1, 2, 3, 3], [2, 2, 3, 3], [2]],
    [],
  ],
  [
    'attention',
    { op: 'Attention', domain: 'versus', attrs: { scale: 0.5 } },
    [
      [2, 3, 4],
      [2, 5, 4],
      [2, 5, 3],
      [3, 5],
    ],
    [],
  ],
  [
    'attention whose heads share keys',
    { op: 'Attention', domain: 'versus', attrs: { scale: 0.5 } },
    [
      [1, 4, 3, 2],
      [1, 2, 5, 2],
      [1, 2, 5, 3],
      [4, 3, 5],
    ],
    [],
  ],
];

describe('lower', () => {
  it.each(CASES)('%s', (_, node, shapes, own) => {
    const graph = graphOf(node, shapes);
    const lowered = check(graph, feedsOf(shapes));
    expect(lowered.nodes.every((n) => !n.domain && n.op !== node.op)).toBe(true);
    expect(Object.keys(lowered.opset)).toEqual(['']);
    const forOnnxruntime = check(graph, feedsOf(shapes), { microsoft: true });
    if (own.length > 0) {
      const made = forOnnxruntime.nodes.slice(1, -1).map((n) => (n.domain ? `${n.domain}.${n.op}` : n.op));
      expect(made).toEqual(own);
    }
    expect(lower(graph, { keep: ({ op }) => op === node.op })).toBe(graph);
  });

  it('leaves what the opset has', () => {
    const graph = graphOf({ op: 'Gelu' }, [[2]], 20);
    expect(lower(graph)).toBe(graph);
  });

  it('the loss, in all its forms', () => {
    const shapes = [[2, 3, 2]];
    for (const reduction of ['none', 'sum', 'mean']) {
      for (const ignored of [undefined, 1, -100]) {
        for (const weighed of [false, true]) {
          const labels = int64([2, 2], [0, 2, ignored ?? 1, 1]);
          const weights = float32([3], [0.5, 1, 2]);
          const inputs = ['x', 'labels', ...(weighed ? ['weights'] : [])];
          const attrs = { reduction, ...(ignored !== undefined && { ignore_index: ignored }) };
          const graph = graphOf(
            { op: 'SoftmaxCrossEntropyLoss', inputs, outputs: ['y', 'log'], attrs },
            shapes,
          );
          const params = [
            { name: 'labels', role: 'constant' as const, ...labels },
            ...(weighed ? [{ name: 'weights', role: 'constant' as const, ...weights }] : []),
          ];
          const lowered = check({ ...graph, params }, feedsOf(shapes));
          expect(lowered.nodes.map(({ op }) => op)).not.toContain('SoftmaxCrossEntropyLoss');
        }
      }
    }
  });
});
