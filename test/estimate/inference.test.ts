import { describe, expect, it } from 'vitest';
import type { Device } from '../../src/estimate/devices.ts';
import { DEVICES } from '../../src/estimate/devices.ts';
import { type EstimateOptions, estimateInference } from '../../src/estimate/index.ts';
import { kernelsOf } from '../../src/estimate/kernels.ts';
import { paramBytes, productWeights } from '../../src/estimate/precision.ts';
import { resized } from '../../src/estimate/resize.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { graphCost } from '../../src/graph/cost.ts';
import { inferTypes } from '../../src/graph/infer.ts';
import { model, models } from '../../src/zoo/index.ts';

/** One FLOP and one byte a second: a roofline in seconds is then a count. */
const SLOW: Device = {
  ...{
    name: 'slow',
    label: 'slow',
    flops: { fp32: 1, fp16: null },
    bandwidth: 1,
    memory: 1e9,
    source: 'test',
  },
};
const OPTIONS: EstimateOptions = { batch: 1, newTokens: 4, stored: 'fp32', device: SLOW };

describe('kernels', () => {
  const g = new GraphBuilder('mlp');
  const x = g.input('x', 'float32', [4, 8]);
  const hidden = g.gelu(g.gemm(x, g.param('a', [16, 8]), null, { transB: 1 }));
  g.output('y', g.reshape(g.gemm(hidden, g.param('b', [8, 16]), null, { transB: 1 }), [32]));
  const graph = g.build();
  const kernels = kernelsOf(graph, inferTypes(graph, {}).types);

  it('fuse activations and reshapes into the product before them', () => {
    expect(kernels.map((k) => k.op)).toEqual(['Gemm', 'Gemm']);
    expect(kernels[0]!.reads).toEqual(expect.arrayContaining(['x', 'a']));
    expect(kernels[0]!.writes).toHaveLength(1);
    expect(kernels[1]!.writes).toEqual(['y']);
  });

  it('do all the work of the graph', () => {
    expect(kernels.reduce((sum, k) => sum + k.macs, 0)).toBe(graphCost(graph, {}).macs);
  });

  it('read of an embedding table only the rows that are asked for', async () => {
    const e = await estimateInference(model('qwen2-tiny'), OPTIONS);
    const decode = e.phases.find((p) => p.name === 'decode')!;
    expect(decode.bytes).toBeLessThan(3 * 4 * e.parameters);
  });
});

describe('an estimate', () => {
  it.each(
    models()
      .filter((m) => m.published?.macs !== undefined && m.task === 'classify')
      .map((m) => [m.name, m] as const),
  )('%s has the published MACs', async (_, m) => {
    const { phases } = await estimateInference(m, OPTIONS);
    expect(Math.abs(phases[0]!.macs / m.published!.macs! - 1)).toBeLessThan(0.01);
  });

  it('takes the longer of arithmetic and memory, kernel by kernel', async () => {
    const m = model('vit-tiny');
    const { phases } = await estimateInference(m, OPTIONS);
    const [infer] = phases;
    expect(infer!.seconds).toBeGreaterThanOrEqual(Math.max(2 * infer!.macs, infer!.bytes));
    expect(infer!.seconds).toBeLessThanOrEqual(2 * infer!.macs + infer!.bytes);
    const wide = await estimateInference(m, { ...OPTIONS, device: { ...SLOW, bandwidth: 1e9 } });
    expect(wide.phases[0]!.seconds).toBeCloseTo(2 * infer!.macs, -1);
    expect(wide.phases[0]!.memoryBound).toBeLessThan(0.01);
  });

  it('of a 72-billion-parameter model takes no weights and little time', async () => {
    const e = await estimateInference(model('qwen2-7b'), { ...OPTIONS, stored: 'int4', device: DEVICES[0]! });
    expect(e.parameters).toBe(7_615_616_512);
    // 28 layers × (key, value) × 4 heads × 128, two bytes each.
    expect(e.cachePerToken).toBe(28 * 2 * 4 * 128 * 2);
    expect(e.memory.cache).toBe(e.cachePerToken! * (128 + 4));
    // Half a byte a weight and a scale per 32, embeddings in half precision.
    const embedding = 152064 * 3584;
    expect(e.weights.int4 / ((e.parameters - embedding) * (0.5 + 4 / 32) + embedding * 2)).toBeCloseTo(1, 2);
  });

  it('counts image tokens into the prompt', async () => {
    const e = await estimateInference(model('llava-tiny'), { ...OPTIONS, prompt: 10 });
    expect(e.imageTokens).toBe(64);
    expect(e.context).toBe(74);
    expect(e.phases.map((p) => p.name)).toEqual(['vision', 'prefill', 'decode']);
  });

  it('a larger resolution has quadratically more tokens', async () => {
    const at = async (side: number) => {
      const { phases } = await estimateInference(resized(model('vit-b-16'), [side, side]), OPTIONS);
      return phases[0]!.macs;
    };
    expect((await at(448)) / (await at(224))).toBeGreaterThan(4);
    expect(() => resized(model('qwen2-tiny'), [224, 224])).toThrow(/no image size/);
  });

  it('the peak of inference is the weights and the widest moment', async () => {
    const { memory, weights } = await estimateInference(model('resnet-50'), OPTIONS);
    expect(memory.weights).toBe(weights.fp32);
    expect(memory.peak).toBe(memory.weights + memory.activations);
    // Two maps of [256, 56, 56], one that is computed from them, and the image, which its caller holds.
    expect(memory.activations).toBe((3 * 256 * 56 * 56 + 3 * 224 * 224) * 4);
  });
});

describe('stored sizes', () => {
  it('quantise only right operands of products that nothing else reads', () => {
    const g = new GraphBuilder('tied');
    const table = g.param('table', [32, 64]);
    const rows = g.gather(table, g.input('ids', 'int64', ['n']), 0);
    g.output('logits', g.gemm(g.gemm(rows, g.param('w', [64, 64])), table, null, { transB: 1 }));
    expect([...productWeights(g.build())]).toEqual(['w']);
  });

  it('count blocks of 32 with a scale, the last one whole', () => {
    const param = { name: 'w', dtype: 'float32', shape: [3, 40], role: 'weight' } as const;
    expect(paramBytes(param, 'int4', true, false)).toBe(3 * 2 * (16 + 4));
    expect(paramBytes(param, 'int8', true, false)).toBe(3 * 2 * (32 + 4));
    expect(paramBytes(param, 'int4', false, true)).toBe(3 * 40 * 2);
    expect(paramBytes(param, 'fp32', true, true)).toBe(3 * 40 * 4);
  });
});
