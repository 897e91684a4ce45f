import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import type { Graph, Node } from '../../src/core/graph.ts';
import { validateGraph } from '../../src/graph/validate.ts';

const node = (name: string, inputs: string[], outputs: string[], attrs: Node['attrs'] = {}): Node => ({
  op: 'Sum',
  name,
  inputs,
  outputs,
  attrs,
});
const value = (name: string) => ({ name, dtype: 'float32' as const, shape: [1] });
const good: Graph = {
  name: 'g',
  opset: { '': 17 },
  inputs: [value('x')],
  outputs: [value('y')],
  params: [{ ...value('w'), role: 'weight' }],
  nodes: [node('a', ['x', 'w'], ['h']), node('b', ['h', ''], ['y'])],
};

it('lets a graph through', () => {
  expect(() => validateGraph(good)).not.toThrow();
});

describe('names what is wrong', () => {
  it.each<[string, Partial<Graph>, RegExp]>([
    [
      'two producers',
      { nodes: [...good.nodes, node('c', ['x'], ['h'])] },
      /h has two producers[\s\S]*node c/,
    ],
    ['a producer of an input', { nodes: [...good.nodes, node('c', ['h'], ['x'])] }, /x has two producers/],
    ['two parameters', { params: [...good.params, ...good.params] }, /w has two producers/],
    [
      'a missing input',
      { nodes: [node('a', ['x', 'nowhere'], ['y'])] },
      /reads nowhere, which nothing produces[\s\S]*node a/,
    ],
    [
      'wrong order',
      { nodes: [...good.nodes].reverse() },
      /reads h, which a later node produces: .* topological/,
    ],
    [
      'a cycle',
      { nodes: [node('a', ['x', 'y'], ['h']), node('b', ['h'], ['y'])] },
      /reads y, .* cycle[\s\S]*node a/,
    ],
    ['a node that reads itself', { nodes: [node('a', ['y'], ['y'])] }, /cycle/],
    ['no outputs', { outputs: [] }, /no outputs/],
    ['an output from nowhere', { outputs: [value('z')] }, /output z is produced by nothing/],
    ['an output twice', { outputs: [value('y'), value('y')] }, /output y is declared twice/],
    ['an empty input name', { inputs: [...good.inputs, value('')] }, /empty name/],
    ['a node without outputs', { nodes: [...good.nodes, node('c', ['x'], [''])] }, /no output[\s\S]*node c/],
    [
      'a node without an operator',
      { nodes: [...good.nodes, { ...node('c', ['x'], ['z']), op: '' }] },
      /without an operator/,
    ],
  ])('%s', (_, change, message) => {
    let error: unknown;
    try {
      validateGraph({ ...good, ...change });
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(VersusError);
    expect((error as VersusError).describe()).toMatch(message);
  });
});

describe('subgraphs', () => {
  const inner = (reads: string): Graph => ({
    ...good,
    name: 'inner',
    inputs: [],
    params: [],
    nodes: [node('i', [reads], ['y2'])],
    outputs: [value('y2')],
  });
  const outer = (reads: string): Graph => {
    const body = { kind: 'graph' as const, graph: inner(reads) };
    return { ...good, nodes: [good.nodes[0]!, node('if', ['h'], ['y'], { then_branch: body })] };
  };

  it('read what the outer graph has produced', () => {
    expect(() => validateGraph(outer('h'))).not.toThrow();
    expect(() => validateGraph(outer('y'))).toThrow(/reads y, which nothing produces/);
  });
});
