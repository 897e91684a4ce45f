import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { float32 } from '../../src/core/tensor.ts';
import { GraphBuilder, type Value } from '../../src/graph/builder.ts';
import { decodeOnnx } from '../../src/graph/onnx/index.ts';
import { dropDead } from '../../src/transform/drop-dead.ts';
import { foldBatchNorm } from '../../src/transform/fold-batchnorm.ts';
import { checkPass, drawn, opsOf, type Pass } from './passes.ts';

const fold: Pass = async (graph, numbers) => dropDead(await foldBatchNorm(graph, numbers));

/** Random numbers in all weights; variances are positive. */
function weigh(graph: Graph): Graph {
  const params = graph.params.map((p, i) => {
    if (p.data) return p;
    const { data } = drawn(p.shape, i);
    return { ...p, data: /var/.test(p.name) ? (data as Float32Array).map((v) => Math.abs(v) + 0.1) : data };
  });
  return { ...graph, params };
}

function norm(g: GraphBuilder, x: Value, channels: number): Value {
  const [scale, bias] = [g.param('scale', [channels]), g.param('shift', [channels])];
  const buffer = { role: 'buffer' } as const;
  const mean = g.param('mean', [channels], undefined, buffer);
  return g.batchNorm(x, scale, bias, mean, g.param('var', [channels], undefined, buffer), 1e-3);
}

const hosts = ['Conv', 'ConvTranspose', 'Gemm', 'GemmT', 'MatMul'] as const;

/** A product of `group · out` channels from `group · depth`. */
function product(
  g: GraphBuilder,
  host: (typeof hosts)[number],
  {
    group,
    depth,
    out,
    kernel,
    bias,
  }: { group: number; depth: number; out: number; kernel: number[]; bias: boolean },
): Value {
  const [from, to] = [group * depth, group * out];
  if (host === 'Conv' || host === 'ConvTranspose') {
    const x = g.input('x', 'float32', [2, from, ...kernel.map(() => 4)]);
    const w = g.param('w', host === 'Conv' ? [to, depth, ...kernel] : [from, out, ...kernel]);
    const inputs = bias ? [x, w, g.param('b', [to])] : [x, w];
    return g.op(host, inputs, { group, kernel_shape: kernel })[0]!;
  }
  const x = g.input('x', 'float32', [2, from]);
  if (host === 'MatMul') return g.matmul(x, g.param('w', [from, to]));
  const w = g.param('w', host === 'Gemm' ? [from, to] : [to, from]);
  const transB = host === 'Gemm' ? 0 : 1;
  return g.gemm(x, w, bias ? g.param('b', [to]) : null, { transB, alpha: 0.5, beta: 0.25 });
}

describe('batch normalisation', () => {
  const sizes = fc.integer({ min: 1, max: 3 });
  const shapes = fc.record({
    host: fc.constantFrom(...hosts),
    group: sizes,
    depth: sizes,
    out: sizes,
    kernel: fc.array(sizes, { minLength: 1, maxLength: 2 }),
    bias: fc.boolean(),
  });
  const feed = (graph: Graph) => ({ x: drawn(graph.inputs[0]!.shape as number[], 9) });

  it('becomes part of the product before it', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ host, ...shape }) => {
        const g = new GraphBuilder('norm');
        g.output('y', norm(g, product(g, host, shape), shape.group * shape.out));
        const graph = weigh(g.build());
        const after = await checkPass(graph, fold, feed(graph));
        expect(opsOf(after)).toEqual({ [host === 'GemmT' || host === 'MatMul' ? 'Gemm' : host]: 1 });
        expect(after.nodes[0]!.name).toBe(graph.nodes[0]!.name);
        expect(after.params.map((p) => p.role)).toEqual(['weight', 'weight']);
      }),
      { numRuns: 60, seed: 3 },
    );
  });

  it('so do factors and shifts per channel, in either order of operands', async () => {
    const steps = fc.array(
      fc.record({ op: fc.constantFrom('Mul', 'Add', 'Sub'), first: fc.boolean(), one: fc.boolean() }),
      { minLength: 1, maxLength: 3 },
    );
    await fc.assert(
      fc.asyncProperty(shapes, steps, async ({ host, ...shape }, chain) => {
        const g = new GraphBuilder('frozen');
        let x = product(g, host, shape);
        const spread = [shape.group * shape.out, ...x.shape.slice(2).map(() => 1)];
        chain.forEach(({ op, first, one }, i) => {
          const c = g.param(`c${i}`, one ? [1] : spread);
          x = g.op(op, first && op !== 'Sub' ? [c, x] : [x, c])[0]!;
        });
        g.output('y', x);
        const graph = weigh(g.build());
        expect((await checkPass(graph, fold, feed(graph))).nodes).toHaveLength(1);
      }),
      { numRuns: 40, seed: 5 },
    );
  });

  it('by itself becomes a factor and a shift', async () => {
    const g = new GraphBuilder('alone');
    const x = g.input('x', 'float32', ['n', 3, 2, 2]);
    g.output('y', g.relu(norm(g, x, 3)));
    const after = await checkPass(weigh(g.build()), fold, { x: drawn([2, 3, 2, 2], 1) });
    expect(opsOf(after)).toEqual({ Mul: 1, Add: 1, Relu: 1 });
    expect(after.params.map((p) => p.shape)).toEqual([
      [1, 3, 1, 1],
      [1, 3, 1, 1],
    ]);
  });

  it('stays apart from a result that something else reads', async () => {
    for (const shown of [true, false]) {
      const g = new GraphBuilder('read');
      const x = product(g, 'Conv', { group: 1, depth: 2, out: 3, kernel: [1, 1], bias: true });
      const y = norm(g, x, 3);
      if (shown) g.output('raw', x);
      g.output('y', shown ? y : g.add(y, x));
      const graph = weigh(g.build());
      const after = await checkPass(graph, fold, feed(graph));
      expect(opsOf(after)).toEqual({ Conv: 1, Mul: 1, Add: shown ? 1 : 2 });
    }
  });

  it('stays where its statistics, or the weight before it, are not constant', async () => {
    const g = new GraphBuilder('fed');
    const x = g.input('x', 'float32', [2, 3, 4, 4]);
    const mean = g.input('mean', 'float32', [3]);
    const [scale, shift, variance] = ['scale', 'shift', 'var'].map((n) => g.param(n, [3])) as [
      Value,
      Value,
      Value,
    ];
    const w = g.input('w', 'float32', [3, 3, 1, 1]);
    const first = g.batchNorm(g.conv(x, g.param('k', [3, 3, 1, 1])), scale, shift, mean, variance, 1e-5);
    g.output('y', g.mul(g.conv(first, w), g.param('factor', [3, 1, 1])));
    const feeds = { x: drawn([2, 3, 4, 4], 1), mean: drawn([3], 2), w: drawn([3, 3, 1, 1], 3) };
    const after = await checkPass(weigh(g.build()), fold, feeds);
    expect(opsOf(after)).toEqual({ Conv: 2, BatchNormalization: 1, Mul: 1 });
  });

  it('stays in training mode, and where its other results are read', async () => {
    const g = new GraphBuilder('training');
    const x = g.input('x', 'float32', [2, 3, 4, 4]);
    const params = ['scale', 'shift', 'mean', 'var'].map((n) => g.param(n, [3]));
    const [y, mean, variance] = g.op(
      'BatchNormalization',
      [x, ...params],
      { training_mode: 1 },
      { outputs: 3 },
    );
    g.output('y', y!);
    g.output('m', mean!);
    g.output('v', variance!);
    const graph = weigh(g.build());
    expect(await fold(graph, { read: async (p) => float32(p.shape, p.data as Float32Array) })).toBe(graph);
  });

  it('is not confused with a constant that varies within a channel', async () => {
    const g = new GraphBuilder('wide');
    const x = product(g, 'Conv', { group: 1, depth: 2, out: 4, kernel: [1, 1], bias: true });
    g.output('y', g.mul(g.add(x, g.param('row', [4])), g.param('image', [1, 1, 4, 4])));
    const graph = weigh(g.build());
    expect(opsOf(await checkPass(graph, fold, feed(graph)))).toEqual({ Conv: 1, Add: 1, Mul: 1 });
  });

  it('is gone from a ResNet as torch exports it', async () => {
    const path = join(import.meta.dirname, '..', 'fixtures', 'onnx-resnet-bn', 'model.onnx');
    const graph = decodeOnnx(await readFile(path));
    const after = await checkPass(graph, fold, { pixel_values: drawn([1, 3, 64, 64], 1) });
    expect(opsOf(graph).BatchNormalization).toBe(12);
    expect(opsOf(after).BatchNormalization).toBeUndefined();
    expect(opsOf(after).Mul).toBeUndefined();
  });
});
