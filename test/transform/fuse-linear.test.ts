import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { GraphBuilder, type Value } from '../../src/graph/builder.ts';
import { inferTypes } from '../../src/graph/infer.ts';
import { dropDead } from '../../src/transform/drop-dead.ts';
import { fuseLinear } from '../../src/transform/fuse-linear.ts';
import { checkPass, drawn, opsOf, type Pass } from './passes.ts';

const fuse: Pass = async (graph, numbers) => dropDead(await fuseLinear(graph, numbers));

function weigh(graph: Graph): Graph {
  return {
    ...graph,
    params: graph.params.map((p, i) => (p.data ? p : { ...p, data: drawn(p.shape, i).data })),
  };
}

function feeds(graph: Graph, scale = 1) {
  return Object.fromEntries(graph.inputs.map((x, i) => [x.name, drawn(x.shape as number[], i, scale)]));
}

const ACTIVATIONS: Record<string, (g: GraphBuilder, x: Value) => Value> = {
  none: (_, x) => x,
  Relu: (g, x) => g.relu(x),
  Sigmoid: (g, x) => g.sigmoid(x),
  LeakyRelu: (g, x) => g.op('LeakyRelu', [x], { alpha: 0.2 })[0]!,
  Elu: (g, x) => g.op('Elu', [x])[0]!,
  Relu6: (g, x) => g.op('Clip', [x, g.scalar(0), g.scalar(6)])[0]!,
};

const linear = fc.record({
  gemm: fc.boolean(),
  lead: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
  sizes: fc.tuple(
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 4 }),
  ),
  transA: fc.boolean(),
  transB: fc.boolean(),
  shared: fc.boolean(),
  scale: fc.constantFrom(null, 'Mul', 'Div'),
  bias: fc.constantFrom('none', 'left', 'right', 'wide'),
  activation: fc.constantFrom(...Object.keys(ACTIVATIONS)),
  opset: fc.constantFrom(13, 17, 20),
});

describe('products', () => {
  it('take transposes, factor, bias and activation in', async () => {
    await fc.assert(
      fc.asyncProperty(linear, async (c) => {
        const g = new GraphBuilder('linear', { opset: c.opset });
        const [m, k, n] = c.sizes;
        const lead = c.gemm ? [] : c.lead;
        const own = c.shared ? [] : lead;
        const swap = (x: Value) =>
          g.transpose(
            x,
            x.shape.map((_, i, s) => (i < s.length - 2 ? i : 2 * s.length - 3 - i)),
          );
        const a = g.input('a', 'float32', [...lead, ...(c.transA ? [k, m] : [m, k])]);
        const b = g.input('b', 'float32', [...own, ...(c.transB ? [n, k] : [k, n])]);
        const bias = () => g.param('bias', c.bias === 'wide' ? [1, n] : [n]);
        let x: Value;
        if (c.gemm) {
          const flags = { transA: c.transA ? 1 : 0, transB: c.transB ? 1 : 0 } as const;
          x = g.gemm(a, b, c.bias === 'none' ? null : bias(), { ...flags, alpha: 0.5 });
        } else {
          x = g.matmul(c.transA ? swap(a) : a, c.transB ? swap(b) : b);
          if (c.scale)
            x = g.op(c.scale, c.scale === 'Mul' && m > 1 ? [g.scalar(0.3), x] : [x, g.scalar(0.3)])[0]!;
          if (c.bias !== 'none') x = c.bias === 'left' ? g.add(bias(), x) : g.add(x, bias());
        }
        g.output('y', ACTIVATIONS[c.activation]!(g, x));
        const graph = weigh(g.build());
        const after = await checkPass(graph, fuse, feeds(graph, 3));
        const changes =
          c.activation !== 'none' || (!c.gemm && (c.transA || c.transB || c.scale || c.bias !== 'none'));
        expect(opsOf(after)).toEqual({ [changes ? 'versus:FusedMatMul' : c.gemm ? 'Gemm' : 'MatMul']: 1 });
        const product = graph.nodes.find((node) => /^(MatMul|Gemm)$/.test(node.op))!;
        expect(after.nodes[0]!.name).toBe(product.name);
        expect(inferTypes(after, {}).types.get('y')!.shape).toEqual([...lead, m, n]);
      }),
      { numRuns: 150, seed: 2 },
    );
  });

  const near: Record<string, (g: GraphBuilder, a: Value, b: Value) => Value> = {
    'a transpose of other dimensions': (g, a, b) => g.relu(g.matmul(g.transpose(a, [1, 0, 2]), b)),
    'a bias that is fed': (g, a, b) => g.add(g.matmul(a, b), g.input('c', 'float32', [3])),
    'a bias by rows': (g, a, b) => g.add(g.matmul(a, b), g.param('c', [3, 1])),
    'a matrix': (g, a, b) => g.add(g.matmul(a, b), g.param('c', [3, 3])),
    'a bias that makes it wider': (g, a, b) => g.add(g.matmul(a, b), g.param('c', [1, 1, 1, 3])),
    'an Elu of another steepness': (g, a, b) => g.op('Elu', [g.matmul(a, b)], { alpha: 0.5 })[0]!,
    'a Clip to other bounds': (g, a, b) => g.op('Clip', [g.matmul(a, b), g.scalar(0), g.scalar(5)])[0]!,
    'a quotient by it': (g, a, b) => g.div(1, g.matmul(a, b)),
    'a factor that is fed': (g, a, b) => g.mul(g.matmul(a, b), g.input('c', 'float32', [])),
  };
  it.each(Object.entries(near))('leave %s outside', async (name, build) => {
    const g = new GraphBuilder('near');
    const [a, b] = [g.input('a', 'float32', [3, 3, 3]), g.input('b', 'float32', [3, 3])];
    g.output('y', build(g, a, b));
    const graph = weigh(g.build());
    const after = await checkPass(graph, fuse, feeds(graph));
    const fused = opsOf(after)['versus:FusedMatMul'];
    if (name === 'a transpose of other dimensions') expect(opsOf(after).Transpose).toBe(1);
    else expect(fused).toBeUndefined();
  });

  it.each([
    ['a factor on its bias', [3], 0.5],
    ['a bias by rows', [3, 1], 1],
    ['a matrix for a bias', [3, 3], 1],
  ])('stay a Gemm with %s', async (_, shape, beta) => {
    const g = new GraphBuilder('gemm');
    const [a, b] = [g.input('a', 'float32', [3, 3]), g.input('b', 'float32', [3, 3])];
    g.output('y', g.relu(g.gemm(a, b, g.param('c', shape), { beta })));
    const graph = weigh(g.build());
    expect(opsOf(await checkPass(graph, fuse, feeds(graph)))).toEqual({ Gemm: 1, Relu: 1 });
  });

  it('keep results and transposes that something else reads', async () => {
    const g = new GraphBuilder('read');
    const [a, b] = [g.input('a', 'float32', [3, 3]), g.input('b', 'float32', [3, 3])];
    const turned = g.transpose(b, [1, 0]);
    const x = g.matmul(a, turned);
    g.output('y', g.add(g.relu(x), g.add(x, turned)));
    const raw = g.matmul(a, b);
    g.output('raw', raw);
    g.output('z', g.relu(raw));
    const graph = g.build();
    const after = await checkPass(graph, fuse, feeds(graph));
    expect(opsOf(after)).toEqual(opsOf(graph));
  });

  it.each(['left', 'right'])('of a vector on the %s and a batch stay', async (side) => {
    const g = new GraphBuilder('vector');
    const [a, b] = [g.input('a', 'float32', [2, 3, 3]), g.input('b', 'float32', [3])];
    g.output('y', g.relu(g.add(side === 'left' ? g.matmul(b, a) : g.matmul(a, b), g.param('c', [3]))));
    const graph = weigh(g.build());
    expect(opsOf(await checkPass(graph, fuse, feeds(graph)))).toEqual({ MatMul: 1, Add: 1, Relu: 1 });
  });

  it('of whole numbers stay', async () => {
    const g = new GraphBuilder('whole');
    const a = g.input('a', 'int32', [2, 2]);
    g.output('y', g.matmul(a, g.transpose(a, [1, 0])));
    const feed = { dtype: 'int32', shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) } as const;
    expect(opsOf(await checkPass(g.build(), fuse, { a: feed }))).toEqual({ Transpose: 1, MatMul: 1 });
  });
});

describe('convolutions', () => {
  it.each(Object.keys(ACTIVATIONS))('take %s in', async (activation) => {
    const g = new GraphBuilder('conv');
    const x = g.input('x', 'float32', ['n', 4, 5, 5]);
    const options = { group: 2, strides: [2, 1], pads: [1, 0, 1, 2] };
    const y = g.conv(x, g.param('w', [6, 2, 3, 2]), g.param('b', [6]), options);
    g.output('y', ACTIVATIONS[activation]!(g, y));
    const graph = weigh(g.build());
    const after = await checkPass(graph, fuse, { x: drawn([2, 4, 5, 5], 1, 4) });
    expect(opsOf(after)).toEqual({ [activation === 'none' ? 'Conv' : 'versus:FusedConv']: 1 });
    expect(after.nodes[0]!.name).toBe('Conv');
    expect(inferTypes(after, {}).types.get('y')).toEqual(inferTypes(graph, {}).types.get('y'));
  });

  it('keep a result that something else reads', async () => {
    const g = new GraphBuilder('conv');
    const x = g.conv(g.input('x', 'float32', [1, 2, 4, 4]), g.param('w', [2, 2, 1, 1]));
    g.output('y', g.mul(x, g.sigmoid(x)));
    const graph = weigh(g.build());
    expect(opsOf(await checkPass(graph, fuse, feeds(graph)))).toEqual(opsOf(graph));
  });
});
