import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { reference } from '../../src/backends/reference.ts';
import type { Graph, Node, Param, ValueInfo } from '../../src/core/graph.ts';
import { float32, toNumbers } from '../../src/core/tensor.ts';
import { decodeOnnx, encodeOnnx } from '../../src/graph/onnx/index.ts';
import { validateGraph } from '../../src/graph/validate.ts';
import { foldIfs } from '../../src/transform/fold-if.ts';
import { workplace } from '../backends/artifact.ts';
import { oneThread } from '../one-thread.ts';

const files = workplace();
const value = (name: string): ValueInfo => ({ name, dtype: 'float32', shape: [2] });
const node = (op: string, inputs: string[], outputs: string[], attrs: Node['attrs'] = {}): Node => ({
  ...{ op, name: `${op}.${outputs[0]}`, inputs, outputs, attrs },
});
const flag = (name: string, on: boolean): Param => ({
  ...{ name, dtype: 'bool', shape: [], role: 'constant', data: Uint8Array.of(on ? 1 : 0) },
});
const opset = { '': 17 };

function branch(nodes: readonly Node[], outputs: readonly string[], params: readonly Param[] = []): Graph {
  return { name: 'branch', opset, inputs: [], outputs: outputs.map(value), params, nodes };
}
const iff = (condition: string, outputs: string[], then: Graph, otherwise: Graph): Node =>
  node('If', [condition], outputs, {
    then_branch: { kind: 'graph', graph: then },
    else_branch: { kind: 'graph', graph: otherwise },
  });

function whole(nodes: readonly Node[], params: readonly Param[], outputs = ['y']): Graph {
  return { name: 'g', opset, inputs: [value('x')], outputs: outputs.map(value), params, nodes };
}

/** What onnxruntime makes of the graph as it is, and the interpreter of the folded one. */
async function both(graph: Graph): Promise<[unknown, unknown]> {
  const artifact = await files.write(graph);
  const run = async (backend: typeof reference) => {
    const session = await backend.open(artifact, { precision: 'fp32' });
    const outputs = await session.run({ x: float32([2], [0.5, -2]) });
    await session.close();
    return Object.fromEntries(
      Object.entries(outputs)
        .sort()
        .map(([name, t]) => [name, [...toNumbers(t)].map((v) => Number(v.toFixed(5)))]),
    );
  };
  return [await run(oneThread()), await run(reference)];
}

describe('folding If', () => {
  it.each([
    true,
    false,
  ])('takes the branch of a constant (%s) and leaves no trace of the other', async (on) => {
    const graph = whole(
      [
        iff(
          'c',
          ['y'],
          branch([node('Abs', ['x'], ['r'])], ['r']),
          branch([node('Neg', ['x'], ['r'])], ['r']),
        ),
      ],
      [flag('c', on)],
    );
    const folded = foldIfs(graph);
    expect(folded.nodes.map((n) => n.op)).toEqual([on ? 'Abs' : 'Neg']);
    expect(folded.nodes[0]).toMatchObject({ inputs: ['x'], outputs: ['y'] });
    validateGraph(folded);
    const [theirs, ours] = await both(graph);
    expect(ours).toEqual(theirs);
  });

  it('follows shapes to the condition, as exporters write it for Squeeze', () => {
    const constant = (name: string, number: number): Node =>
      node('Constant', [], [name], {
        value: { kind: 'tensor', dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(number)) },
      });
    const graph = (of: number): Graph =>
      whole(
        [
          node('Shape', ['x'], ['s']),
          constant('0', 0),
          constant('n', of),
          node('Gather', ['s', '0'], ['d']),
          node('Equal', ['d', 'n'], ['c']),
          iff(
            'c',
            ['y'],
            branch([node('Abs', ['x'], ['r'])], ['r']),
            branch([node('Identity', ['x'], ['r'])], ['r']),
          ),
        ],
        [],
      );
    expect(foldIfs(graph(2)).nodes.at(-1)!.op).toBe('Abs');
    expect(foldIfs(graph(1)).nodes.at(-1)!.op).toBe('Identity');
    const open = { ...graph(3), inputs: [{ ...value('x'), shape: ['rows'] }] };
    expect(foldIfs(open)).toBe(open);
    expect(foldIfs(open, { rows: 3 }).nodes.at(-1)!.op).toBe('Abs');
  });

  it('keeps apart what branches and the graph around them call by the same names', async () => {
    const weight: Param = {
      name: 'w',
      dtype: 'float32',
      shape: [2],
      role: 'constant',
      data: Float32Array.of(3, 4),
    };
    const own: Param = { ...weight, data: Float32Array.of(10, 20) };
    const inner = branch([node('Mul', ['a', 'w2'], ['t'])], ['t'], [{ ...own, name: 'w2' }]);
    const v: Param = { ...weight, name: 'v' };
    /** onnxruntime wants an Identity where a branch hands on what it captures; others write it as it is. */
    const handed = (
      direct: boolean,
      nodes: readonly Node[],
      outputs: readonly string[],
      params: Param[] = [],
    ) =>
      direct
        ? branch(nodes, outputs, params)
        : branch(
            [...nodes, ...outputs.map((o, i) => node('Identity', [o], [`${o}.${i}`]))],
            outputs.map((o, i) => `${o}.${i}`),
            params,
          );
    const make = (direct: boolean, c: boolean, c2: boolean): Graph => {
      const nested = iff('c2', ['p'], handed(direct, [], ['a']), inner);
      const nodes = [node('Add', ['x', 'w'], ['a']), nested, node('Mul', ['p', 'v'], ['q'])];
      const taken = handed(direct, nodes, ['q', 'a', 'x'], [v]);
      const other = handed(direct, [node('Neg', ['x'], ['a'])], ['a', 'a', 'w']);
      return whole(
        [
          iff('c', ['y', 'z', 'u'], taken, other),
          iff('c', ['y2', 'z2', 'u2'], taken, other),
          node('Sub', ['y2', 'y'], ['d']),
        ],
        [weight, flag('c', c), flag('c2', c2)],
        ['y', 'z', 'u', 'd'],
      );
    };
    for (const [c, c2] of [
      [true, true],
      [true, false],
      [false, true],
    ] as const) {
      const [theirs, ours] = await both(make(false, c, c2));
      expect(ours).toEqual(theirs);
      const graph = make(true, c, c2);
      const folded = foldIfs(graph);
      validateGraph(folded);
      expect(folded.nodes.some((n) => n.op === 'If')).toBe(false);
      expect(folded.outputs).toEqual(graph.outputs);
      expect(decodeOnnx(encodeOnnx(folded)).nodes).toHaveLength(folded.nodes.length);
      expect((await both(folded))[1]).toEqual(theirs);
    }
  });

  it('leaves what depends on what is fed, and the loops within a branch read what is renamed', () => {
    const body: Graph = {
      ...branch([node('Identity', ['go'], ['on']), node('Add', ['carried', 'a'], ['next'])], []),
      inputs: [
        { name: 'i', dtype: 'int64', shape: [] },
        { name: 'go', dtype: 'bool', shape: [] },
        value('carried'),
      ],
      outputs: [{ name: 'on', dtype: 'bool', shape: [] }, value('next')],
    };
    const trips: Param = {
      name: 'trips',
      dtype: 'int64',
      shape: [],
      role: 'constant',
      data: BigInt64Array.of(3n),
    };
    const taken = branch(
      [
        node('Abs', ['x'], ['a']),
        node('Loop', ['trips', '', 'a'], ['r'], { body: { kind: 'graph', graph: body } }),
      ],
      ['r'],
      [trips],
    );
    const folded = foldIfs(whole([iff('c', ['y'], taken, branch([], ['x']))], [flag('c', true)]));
    validateGraph(folded);
    const loop = folded.nodes.find((n) => n.op === 'Loop')!;
    const captured = (loop.attrs.body as { graph: Graph }).graph.nodes[1]!.inputs;
    expect(captured).toEqual(['carried', folded.nodes[0]!.outputs[0]]);
    const fed = {
      ...whole([iff('c', ['y'], taken, branch([], ['x']))], []),
      inputs: [value('x'), { name: 'c', dtype: 'bool' as const, shape: [] }],
    };
    expect(foldIfs(fed)).toBe(fed);
  });

  it('computes the same as the graph did, whatever is nested in what', async () => {
    const tree = fc.letrec<{ nodes: Tree }>((tie) => ({
      nodes: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom('Abs', 'Neg', 'Tanh').map((op): Tree => ({ op })),
        fc
          .tuple(fc.boolean(), tie('nodes'), tie('nodes'), fc.boolean())
          .map(([on, a, b, capture]): Tree => ({ on, a, b, capture })),
      ),
    })).nodes;
    await fc.assert(
      fc.asyncProperty(fc.array(tree, { minLength: 1, maxLength: 3 }), async (trees) => {
        const nodes = trees.flatMap((t, i) => nodesOf(t, i === 0 ? 'x' : `v${i - 1}`, `v${i}`));
        const graph = whole(
          [...nodes, node('Add', ['x', `v${trees.length - 1}`], ['y'])],
          [flag('yes', true), flag('no', false)],
        );
        const folded = foldIfs(graph);
        validateGraph(folded);
        expect(folded.nodes.some((n) => n.op === 'If')).toBe(false);
        const [theirs, ours] = await both(graph);
        expect(ours).toEqual(theirs);
      }),
      { numRuns: 25 },
    );
  });
});

type Tree =
  | { readonly op: string }
  | { readonly on: boolean; readonly a: Tree; readonly b: Tree; readonly capture: boolean };

/** Nodes that make `to` of `from`; inner values have the same names in every branch. */
function nodesOf(tree: Tree, from: string, to: string): Node[] {
  if ('op' in tree) return [node(tree.op, [from], [to])];
  const inner = (t: Tree): Graph =>
    tree.capture
      ? branch(nodesOf(t, from, `${to}i`), [`${to}i`])
      : branch([node('Identity', ['x'], [`${to}x`]), ...nodesOf(t, `${to}x`, `${to}i`)], [`${to}i`]);
  return [iff(tree.on ? 'yes' : 'no', [to], inner(tree.a), inner(tree.b))];
}
