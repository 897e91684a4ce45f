import fc from 'fast-check';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { random, seedOf } from '../../src/core/random.ts';
import { float32, type Tensors, tensor, toNumbers } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { graphCost } from '../../src/graph/cost.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';
import { compareOutputs } from '../../src/stats/parity.ts';
import { buildAlexNet } from '../../src/zoo/alexnet.ts';
import { buildConvNext, type ConvNextConfig } from '../../src/zoo/convnext.ts';
import { model } from '../../src/zoo/index.ts';
import { adaptiveAveragePool } from '../../src/zoo/pooling.ts';
import { buildSwin, type SwinConfig } from '../../src/zoo/swin.ts';
import { buildVgg } from '../../src/zoo/vgg.ts';
import { largest, waves } from './run-model.ts';

const side = (min: number, max: number) => fc.integer({ min, max });
const ACTIVATIONS = ['gelu', 'gelu_tanh', 'quick_gelu', 'relu', 'silu'] as const;

const swins = fc
  .record({
    image: fc.tuple(side(9, 40), side(9, 40)),
    patch: fc.tuple(side(2, 4), side(2, 4)),
    window: fc.tuple(side(1, 4), side(1, 4)),
    heads: fc.array(fc.constantFrom(1, 2, 4), { minLength: 1, maxLength: 3 }),
    depth: side(1, 2),
    mlpRatio: fc.constantFrom(1, 2.5, 4),
    activation: fc.constantFrom(...ACTIVATIONS),
    qkvBias: fc.boolean(),
    naming: fc.constantFrom('transformers', 'torchvision'),
  })
  .map(({ depth, window, ...c }): SwinConfig => {
    const least = Math.min(...c.image.map((s, a) => Math.ceil(s / c.patch[a]! / 2 ** (c.heads.length - 1))));
    const edge = Math.min(window[0], least);
    return {
      ...{ ...c, channels: 3, width: 8, depths: c.heads.map(() => depth), classes: 5, eps: 1e-5 },
      ...{ window: c.naming === 'transformers' ? [edge, edge] : window, taps: true },
    };
  });

const convnexts = fc
  .record({
    image: fc.tuple(side(16, 40), side(16, 40)),
    patch: fc.tuple(side(2, 4), side(2, 4)),
    widths: fc.array(side(4, 9), { minLength: 1, maxLength: 3 }),
    depth: side(1, 2),
    activation: fc.constantFrom(...ACTIVATIONS),
    layerScale: fc.boolean(),
    naming: fc.constantFrom('transformers', 'torchvision'),
  })
  .map(({ depth, ...c }): ConvNextConfig => {
    const depths = c.widths.map(() => depth);
    return { ...c, channels: 2, depths, classes: 5, headEps: 1e-6, taps: true };
  });

const alexnets = fc
  .record({
    image: fc.tuple(side(63, 110), side(63, 110)),
    pool: fc.tuple(side(1, 4), side(1, 4)),
    widths: fc.tuple(side(1, 6), side(1, 6), side(1, 6), side(1, 6), side(1, 6)),
  })
  .map((c) => ({ ...c, channels: 3, hidden: 7, classes: 5 }));

const vggs = fc
  .record({
    image: fc.tuple(side(8, 30), side(8, 30)),
    pool: fc.tuple(side(1, 8), side(1, 8)),
    layers: fc.array(fc.oneof(side(1, 6), fc.constant('M' as const)), { minLength: 1, maxLength: 6 }),
    batchNorm: fc.boolean(),
  })
  .filter((c) => c.layers.filter((l) => l === 'M').length <= 3)
  .map((c) => ({ ...c, channels: 3, hidden: 7, classes: 5 }));

const small: readonly [string, fc.Arbitrary<Drawn>][] = [
  ['swin', swins.map((c) => drawn(c, buildSwin(c)))],
  ['convnext', convnexts.map((c) => drawn(c, buildConvNext(c)))],
  ['alexnet', alexnets.map((c) => drawn(c, buildAlexNet(c)))],
  ['vgg', vggs.map((c) => drawn(c, buildVgg(c)))],
];

/** A configuration's graph with numbers in all its weights, biases and statistics. */
interface Drawn {
  readonly config: { readonly channels: number; readonly image: readonly [number, number] };
  readonly graph: Graph;
  readonly weights: Tensors;
}

function drawn(config: Drawn['config'], { model: graph }: Record<string, Graph>): Drawn {
  const params = graph!.params.map((p) => {
    if (p.data) return p;
    const draw = random(seedOf(p.name));
    const fan = p.shape.slice(1).reduce((a, b) => a * b, 1);
    const number = () => (p.name.endsWith('running_var') ? 0.5 : -0.5) + draw.uniform();
    const length = fan * p.shape[0]!;
    return { ...p, data: Float32Array.from({ length }, () => number() / Math.sqrt(fan)) };
  });
  const weights = params.map((p) => [p.name, tensor(p.dtype, p.shape, p.data!)] as const);
  return { config, graph: { ...graph!, params }, weights: Object.fromEntries(weights) };
}

const imagesFor = ({ config }: Drawn, batch: number) => waves([batch, config.channels, ...config.image]);

async function onnxruntime(graph: Graph, feeds: Tensors): Promise<Tensors> {
  const session = await ort.InferenceSession.create(encodeOnnx(graph));
  const given = Object.entries(feeds).map(
    ([k, t]) => [k, new ort.Tensor('float32', t.data as Float32Array, t.shape)] as const,
  );
  const results = await session.run(Object.fromEntries(given));
  await session.release();
  return Object.fromEntries(
    Object.entries(results).map(([k, t]) => [k, float32(t.dims, t.data as Float32Array)]),
  );
}

describe('any small configuration', () => {
  it.each(small)('of %s: onnxruntime computes what the interpreter computes', async (_, models) => {
    await fc.assert(
      fc.asyncProperty(models, async (m) => {
        const feeds = { pixel_values: imagesFor(m, 2) };
        const expected = interpret(m.graph, m.weights, feeds);
        expect(largest(expected)).toBeGreaterThan(0);
        const computed = await onnxruntime(m.graph, feeds);
        expect(compareOutputs(computed, expected, 1e-4).filter((o) => !o.agrees)).toEqual([]);
      }),
      { numRuns: 12 },
    );
  });

  it.each(small)('of %s: images of a batch do not see each other', (_, models) => {
    fc.assert(
      fc.property(models, (m) => {
        const both = imagesFor(m, 2);
        const { logits } = interpret(m.graph, m.weights, { pixel_values: both });
        const half = both.data.length / 2;
        for (const i of [0, 1]) {
          const image = both.data.subarray(i * half, (i + 1) * half) as Float32Array;
          const one = { pixel_values: float32([1, ...both.shape.slice(1)], image) };
          const expected = float32([1, 5], logits!.data.subarray(5 * i, 5 * i + 5) as Float32Array);
          const alone = interpret(m.graph, m.weights, one);
          const [difference] = compareOutputs(alone, { logits: expected }, 1e-6);
          expect(difference?.agrees).toBe(true);
        }
      }),
      { numRuns: 6 },
    );
  });
});

describe('pooling to a fixed size', () => {
  it('averages each cell between its rounded edges', () => {
    fc.assert(
      fc.property(fc.tuple(side(1, 9), side(1, 9)), fc.tuple(side(1, 9), side(1, 9)), (from, to) => {
        const g = new GraphBuilder('pool');
        g.output('y', adaptiveAveragePool(g, g.identity(g.input('x', 'float32', [1, 2, ...from])), to));
        const x = waves([1, 2, ...from]);
        const values = toNumbers(x);
        const edges = (i: number, a: 0 | 1) =>
          [Math.floor((i * from[a]) / to[a]), Math.ceil(((i + 1) * from[a]) / to[a])] as const;
        const expected: number[] = [];
        for (let c = 0; c < 2; c++)
          for (let i = 0; i < to[0]; i++)
            for (let j = 0; j < to[1]; j++) {
              const [[top, bottom], [left, right]] = [edges(i, 0), edges(j, 1)];
              let sum = 0;
              for (let r = top; r < bottom; r++)
                for (let s = left; s < right; s++) sum += values[(c * from[0] + r) * from[1] + s]!;
              expected.push(sum / ((bottom - top) * (right - left)));
            }
        const graph = g.build();
        const matrices = graph.params.map((p) => [p.name, tensor(p.dtype, p.shape, p.data!)] as const);
        const { y } = interpret(graph, Object.fromEntries(matrices), { x });
        const [difference] = compareOutputs({ y: y! }, { y: float32([1, 2, ...to], expected) }, 1e-6);
        expect(difference?.agrees).toBe(true);
      }),
    );
  });
});

describe('the members', () => {
  const weightsOf = (graph: Graph) => graph.params.filter((p) => p.role === 'weight');
  const countOf = (graph: Graph) =>
    weightsOf(graph).reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0);

  it("have as many parameters under torchvision's names", async () => {
    const under = async (name: string) => {
      const m = model(name);
      return (await m.build({ ...(m.config as object), naming: 'torchvision' })).model!;
    };
    const swin = await under('swin-t');
    expect(countOf(swin)).toBe(28_288_354);
    const shapes = new Map(weightsOf(swin).map((p) => [p.name, p.shape]));
    expect(shapes.get('features.7.1.attn.qkv.weight')).toEqual([2304, 768]);
    expect(shapes.get('features.6.reduction.weight')).toEqual([768, 1536]);
    const convnext = await under('convnext-t');
    expect(countOf(convnext)).toBe(28_589_128);
    const scale = convnext.params.find((p) => p.name === 'features.5.8.layer_scale');
    expect(scale?.shape).toEqual([384, 1, 1]);
  });

  it('vit-l-14-336 does the work that timm publishes', async () => {
    const m = model('vit-l-14-336');
    const graph = (await m.build(m.config)).model!;
    expect(countOf(graph)).toBe(304_532_456);
    const macs = Number(graphCost(graph, { batch: 1 }).macs);
    expect(Math.abs(macs / m.published!.macs! - 1)).toBeLessThan(0.01);
  });

  it('of the kind that shifts windows carry no index or mask in their checkpoint', async () => {
    const m = model('swin-tiny');
    const graph = (await m.build(m.config)).model!;
    const masks = graph.params.filter((p) => p.name.startsWith('const/shift_mask'));
    // Grids of 16 and 8 have windows of their own; the last one is a single window.
    expect(masks.map((p) => p.shape)).toEqual([
      [16, 1, 16, 16],
      [4, 1, 16, 16],
    ]);
    expect(masks.every((p) => p.role === 'constant')).toBe(true);
    expect(graph.params.filter((p) => p.role === 'buffer')).toEqual([]);
  });
});
