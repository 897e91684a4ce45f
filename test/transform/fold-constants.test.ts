import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Graph, Node } from '../../src/core/graph.ts';
import { float32, int64, type Tensor } from '../../src/core/tensor.ts';
import { GraphBuilder, type Value } from '../../src/graph/builder.ts';
import { dropDead } from '../../src/transform/drop-dead.ts';
import { foldConstants } from '../../src/transform/fold-constants.ts';
import { checkPass, detach, drawn, opsOf, type Pass } from './passes.ts';

const fold: Pass = async (graph, numbers) => dropDead(await foldConstants(graph, numbers));

/** A weight with numbers. */
function weigh(graph: Graph, scale = 1): Graph {
  const params = graph.params.map((p, i) => (p.data ? p : { ...p, data: drawn(p.shape, i, scale).data }));
  return { ...graph, params };
}

function node(op: string, inputs: string[], outputs: string[], attrs: Node['attrs'] = {}): Node {
  return { op, name: `n_${outputs[0]}`, inputs, outputs, attrs };
}

const steps = ['add', 'mul', 'transpose', 'neg', 'matmul', 'concat', 'cast', 'identity', 'reshape'] as const;

describe('constant folding', () => {
  it('computes the same on random graphs of weights and inputs, and leaves no operator between constants', async () => {
    const pick = fc.record({ step: fc.constantFrom(...steps), a: fc.nat(99), b: fc.nat(99) });
    const arbitrary = fc.record({
      n: fc.integer({ min: 1, max: 4 }),
      picks: fc.array(pick, { minLength: 1, maxLength: 14 }),
      last: fc.nat(99),
    });
    await fc.assert(
      fc.asyncProperty(arbitrary, async ({ n, picks, last }) => {
        const g = new GraphBuilder('random', { opset: 17 });
        const values: Value[] = [
          g.input('x', 'float32', [n, n]),
          g.param('w', [n, n]),
          g.param('v', [n, n]),
          g.constant(drawn([n, n], 5)),
        ];
        for (const { step, a, b } of picks) {
          const [x, y] = [values[a % values.length]!, values[b % values.length]!];
          if (step === 'add' || step === 'mul' || step === 'matmul') values.push(g[step](x, y));
          else if (step === 'transpose') values.push(g.transpose(x, [1, 0]));
          else if (step === 'concat')
            values.push(g.slice(g.concat([x, y], b % 2), [b % n], [(b % n) + n], [b % 2]));
          else if (step === 'cast') values.push(g.cast(x, 'float32'));
          else if (step === 'reshape') values.push(g.reshape(g.reshape(x, [n * n]), [n, n]));
          else values.push(step === 'neg' ? g.neg(x) : g.identity(x));
        }
        g.output('y', values[last % values.length]!);
        g.output('z', values.at(-1)!);
        // Whatever was not used is dead: the builder would refuse it.
        const reachable = weigh(dropDead(unchecked(g)));
        const after = await checkPass(reachable, fold, { x: drawn([n, n], 1) });
        const constant = new Set(after.params.map((p) => p.name));
        const outputs = new Set(after.outputs.map((o) => o.name));
        for (const { inputs, outputs: made } of after.nodes)
          if (!made.some((o) => outputs.has(o))) expect(inputs.every((i) => constant.has(i))).toBe(false);
      }),
      { numRuns: 60, seed: 4 },
    );
  });

  it('follows shape arithmetic of static sizes, though it hangs on an input', async () => {
    const g = new GraphBuilder('shapes');
    const x = g.input('x', 'float32', [2, 3, 4]);
    const rows = g.gather(g.shapeOf(x), g.ints([0]), 0);
    const rest = g.mul(g.gather(g.shapeOf(x), g.ints([1]), 0), g.gather(g.shapeOf(x), g.ints([2]), 0));
    g.output('y', g.op('Reshape', [x, g.concat([rows, rest], 0)])[0]!);
    const after = await checkPass(g.build(), fold, { x: drawn([2, 3, 4], 1) });
    expect(opsOf(after)).toEqual({ Reshape: 1 });
  });

  it('drops what adds nothing: sums with zeros, and parts of no length in a Concat', async () => {
    const g = new GraphBuilder('nothing');
    const x = g.input('x', 'float32', [2, 3]);
    const w = g.param('w', [2, 3]);
    const none = g.constant(float32([2, 0], new Float32Array(0)));
    const zeros = g.constant(float32([1, 3], new Float32Array(3)));
    g.output('one', g.neg(g.add(g.concat([none, x], 1), zeros)));
    g.output('two', g.neg(g.concat([x, none, w, none], 1)));
    // It stretches its operand, and this one is an output itself.
    g.output(
      'wide',
      g.neg(g.add(g.slice(x, [0], [1], [0]), g.constant(float32([2, 3], new Float32Array(6))))),
    );
    g.output('shown', g.add(x, zeros));
    const after = await checkPass(weigh(g.build()), fold, { x: drawn([2, 3], 1) });
    expect(opsOf(after)).toEqual({ Neg: 3, Concat: 1, Slice: 1, Add: 2 });
    expect(after.nodes.find((n) => n.op === 'Concat')!.inputs).toEqual(['x', 'w']);
  });

  it('keeps what hangs on a size that is not known', async () => {
    const g = new GraphBuilder('open');
    const x = g.input('x', 'float32', ['batch', 3, 4]);
    g.output('y', g.reshape(g.mul(x, 2), [12, 'batch']));
    g.output('z', g.expand(g.constant(drawn([1, 3], 2)), g.dims(['batch', 3])));
    const after = await checkPass(g.build(), fold, { x: drawn([5, 3, 4], 1) });
    expect(opsOf(after).Expand).toBe(1);
  });

  it('dequantises, transposes, reshapes and casts weights', async () => {
    const w: Tensor = { dtype: 'int8', shape: [2, 3], data: Int8Array.from([-3, 5, 7, 0, 127, -128]) };
    const graph: Graph = {
      name: 'weights',
      opset: { '': 13 },
      inputs: [{ name: 'x', dtype: 'float32', shape: [4, 3] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: [4, 2] }],
      params: [
        { name: 'w', role: 'weight', ...w },
        { name: 's', role: 'weight', ...float32([2], [0.5, 0.25]) },
      ],
      nodes: [
        node('DequantizeLinear', ['w', 's'], ['f'], { axis: 0 }),
        node('Transpose', ['f'], ['t'], { perm: [1, 0] }),
        node('Cast', ['t'], ['d'], { to: 11 }),
        node('Cast', ['d'], ['u'], { to: 1 }),
        node('MatMul', ['x', 'u'], ['y']),
      ],
    };
    const after = await checkPass(graph, fold, { x: drawn([4, 3], 1) });
    expect(opsOf(after)).toEqual({ MatMul: 1 });
    expect(after.params).toMatchObject([{ name: 'u', dtype: 'float32', shape: [3, 2], role: 'constant' }]);
  });

  it('takes Identity, Dropout and Casts that change nothing away, and keeps the names of outputs', async () => {
    const graph: Graph = {
      name: 'same',
      opset: { '': 13 },
      inputs: [{ name: 'x', dtype: 'float32', shape: [2] }],
      outputs: ['y', 'z', 'same'].map((name) => ({ name, dtype: 'float32', shape: [2] })),
      params: [
        { name: 'ratio', role: 'constant', ...float32([], [0.5]) },
        { name: 'off', role: 'constant', dtype: 'bool', shape: [], data: Uint8Array.of(0) },
      ],
      nodes: [
        node('Identity', ['x'], ['a']),
        node('Dropout', ['a', 'ratio', 'off'], ['b', 'mask']),
        node('Exp', ['b'], ['c']),
        node('Cast', ['c'], ['d'], { to: 1 }),
        node('Identity', ['d'], ['y']),
        node('Neg', ['d'], ['z']),
        node('Identity', ['x'], ['same']),
      ],
    };
    const after = await checkPass(graph, fold, { x: drawn([2], 1) });
    expect(after.nodes.map((n) => [n.op, ...n.inputs, ...n.outputs])).toEqual([
      ['Exp', 'x', 'y'],
      ['Neg', 'y', 'z'],
      ['Identity', 'x', 'same'],
    ]);
  });

  it('leaves a Dropout that may train, and one whose mask is read', async () => {
    const graph: Graph = {
      name: 'drop',
      opset: { '': 13 },
      inputs: [
        { name: 'x', dtype: 'float32', shape: [2] },
        { name: 'training', dtype: 'bool', shape: [] },
      ],
      outputs: [
        { name: 'y', dtype: 'float32', shape: [2] },
        { name: 'mask', dtype: 'bool', shape: [2] },
      ],
      params: [{ name: 'ratio', role: 'constant', ...float32([], [0.5]) }],
      nodes: [
        node('Dropout', ['x', 'ratio', 'training'], ['a']),
        node('Dropout', ['a'], ['b', 'mask']),
        node('Exp', ['b'], ['y']),
      ],
    };
    const off: Tensor = { dtype: 'bool', shape: [], data: Uint8Array.of(0) };
    const after = await checkPass(graph, fold, { x: drawn([2], 1), training: off });
    expect(opsOf(after)).toEqual({ Dropout: 2, Exp: 1 });
  });

  it.each([
    ['Expand', [8192, 8192]],
    ['ConstantOfShape', [4096, 4097]],
    ['Tile', [1024, 1025]],
  ] as const)('does not blow up a %s', async (op, shape) => {
    const g = new GraphBuilder('large');
    const x = g.input('x', 'float32', [1, shape[1]]);
    const size = g.ints(shape);
    const one = g.constant(float32([1, 1], [1]));
    const large = op === 'ConstantOfShape' ? g.op(op, [size])[0]! : g.op(op, [one, size])[0]!;
    g.output('y', g.add(x, large));
    const { graph, numbers } = detach(g.build());
    expect(opsOf(await fold(graph, numbers))[op]).toBe(1);
  });

  it('does not store a large weight twice', async () => {
    const g = new GraphBuilder('tied');
    const ids = g.input('ids', 'int64', [3]);
    const table = g.param('table', [2048, 256]);
    g.output('y', g.matmul(g.gather(table, ids), g.transpose(table, [1, 0])));
    const { graph, numbers } = detach(weigh(g.build()));
    expect(opsOf(await fold(graph, numbers))).toEqual({ Gather: 1, Transpose: 1, MatMul: 1 });
  });

  it('keeps what a kernel refuses, what is random, and what a subgraph reads', async () => {
    const inner: Graph = {
      name: 'then',
      opset: { '': 13 },
      inputs: [],
      outputs: [{ name: 'r', dtype: 'float32', shape: [2] }],
      params: [],
      nodes: [node('Exp', ['a'], ['r'])],
    };
    const graph: Graph = {
      name: 'outer',
      opset: { '': 13 },
      inputs: [{ name: 'c', dtype: 'bool', shape: [] }],
      outputs: ['y', 'noise', 'bad'].map((name) => ({ name, dtype: 'float32', shape: [2] })),
      params: [
        { name: 'w', role: 'weight', ...float32([2], [1, 2]) },
        { name: 'zero', role: 'constant', ...int64([], [0]) },
        { name: 'scale', role: 'constant', ...float32([], [1]) },
      ],
      nodes: [
        node('Identity', ['w'], ['a']),
        node('If', ['c'], ['y'], {
          then_branch: { kind: 'graph', graph: inner },
          else_branch: { kind: 'graph', graph: inner },
        }),
        node('RandomNormal', [], ['rn'], { shape: [2] }),
        node('Identity', ['rn'], ['noise']),
        node('QuantizeLinear', ['w', 'scale', 'zero'], ['q']),
        node('Cast', ['q'], ['g'], { to: 1 }),
        node('Add', ['g', 'rn'], ['bad']),
      ],
    };
    const { graph: bare, numbers } = detach(graph);
    const after = await fold(bare, numbers);
    expect(opsOf(after)).toEqual({
      ...{ Identity: 1, If: 1, RandomNormal: 1, QuantizeLinear: 1, Cast: 1, Add: 1 },
    });
  });

  it('takes an initialiser that is an input, too, for no constant', async () => {
    const graph: Graph = {
      name: 'default',
      opset: { '': 13 },
      inputs: [
        { name: 'x', dtype: 'float32', shape: [2] },
        { name: 'w', dtype: 'float32', shape: [2] },
      ],
      outputs: [{ name: 'y', dtype: 'float32', shape: [2] }],
      params: [{ name: 'w', role: 'weight', ...float32([2], [1, 2]) }],
      nodes: [node('Exp', ['w'], ['e']), node('Add', ['x', 'e'], ['y'])],
    };
    const feeds = { x: drawn([2], 1), w: drawn([2], 2) };
    expect(opsOf(await checkPass(graph, fold, feeds))).toEqual({ Exp: 1, Add: 1 });
  });
});

describe('dead nodes', () => {
  it('go with their parameters, and nothing else does', () => {
    const g = new GraphBuilder('dead');
    const x = g.input('x', 'float32', [2]);
    g.input('unused', 'float32', [2]);
    const kept = g.add(x, g.param('kept', [2]));
    g.mul(g.exp(kept), g.param('lost', [2]));
    g.output('y', g.neg(kept));
    const graph = unchecked(g);
    const after = dropDead(graph);
    expect(opsOf(after)).toEqual({ Add: 1, Neg: 1 });
    expect(after.params.map((p) => p.name)).toEqual(['kept']);
    expect(after.inputs).toEqual(graph.inputs);
    expect(Object.keys(after.values!).sort()).toEqual(['Add', 'kept', 'unused', 'x', 'y']);
    expect(dropDead(after)).toBe(after);
  });
});

/** What a builder has made, dead nodes included, which `build` refuses: they are kept alive by outputs that are taken off. */
function unchecked(g: GraphBuilder): Graph {
  for (;;) {
    try {
      const graph = g.build();
      return { ...graph, outputs: graph.outputs.filter((o) => !o.name.startsWith('spare/')) };
    } catch (error) {
      const where = /node (.+)$/.exec((error as { where?: string }).where ?? '')?.[1];
      const param = /^parameter (\S+) is used by nothing/.exec((error as Error).message)?.[1];
      if (!where && !param) throw error;
      spare(g, (where ?? param)!);
    }
  }
}

function spare(g: GraphBuilder, name: string): void {
  g.output(`spare/${name}`, { name, dtype: 'float32', shape: [] });
}
