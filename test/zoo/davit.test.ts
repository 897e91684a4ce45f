import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import { float32, type Tensors } from '../../src/core/tensor.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { compareOutputs } from '../../src/stats/parity.ts';
import { toHalf } from '../../src/transform/precision.ts';
import { fromCheckpointConfig } from '../../src/zoo/checkpoint/index.ts';
import { buildDavit, type DavitConfig, type DavitStage, davitGrid } from '../../src/zoo/davit.ts';
import { model } from '../../src/zoo/index.ts';
import {
  add,
  channelAttention,
  type Image,
  linear,
  norm,
  paramsOf,
  positions,
  windowAttention,
} from './davit-loops.ts';
import { drawn, onOnnxruntime } from './drawn.ts';
import { waves } from './run-model.ts';

const WHOLE = { kernel: 1, stride: 1, pad: 0, fill: 1, normFirst: false } as const;
const stage = (other: Partial<DavitStage> = {}): DavitStage => ({
  ...{ width: 4, depth: 1, heads: 2, groups: 2, mlpWidth: null, patch: WHOLE },
  ...other,
});
const config = (other: Partial<DavitConfig> = {}): DavitConfig => ({
  ...{ image: [5, 7], channels: 2, stages: [stage()], attentions: ['spatial'], window: 3 },
  ...{ channelForm: 'key-value', eps: 1e-5, activation: 'gelu', qkvBias: true, positionActivation: false },
  ...{ naming: 'timm', classes: 3, taps: true },
  ...other,
});

const allAgree = (computed: Tensors, expected: Tensors, tolerance: number) =>
  expect(compareOutputs(computed, expected, tolerance).filter((o) => !o.agrees)).toEqual([]);

/** One block by the graph and by loops over pixels. */
function bothWays(c: DavitConfig, attend: (image: Image, p: ReturnType<typeof paramsOf>) => Image) {
  const graph = drawn(buildDavit(c).model!);
  const [height, width] = c.image;
  const input = waves([1, 2, height, width]);
  const p = paramsOf(graph);
  const pixel = (y: number, x: number) =>
    [0, 1].map((ch) => Number(input.data[(ch * height + y) * width + x]));
  const image: Image = Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => norm(p, 'stem.norm', linear(p, 'stem.conv', pixel(y, x)))),
  );
  const placed = positions(p, 'stages.0.blocks.0.0.cpe1.proj', image);
  const normed = placed.map((row) => row.map((v) => norm(p, 'stages.0.blocks.0.0.norm1', v)));
  const attended = add(placed, attend(normed, p));
  const again = positions(p, 'stages.0.blocks.0.0.cpe2.proj', attended);
  const channels = c.stages[0]!.width;
  const flat = Array.from({ length: channels }, (_, ch) => again.flat().map((v) => v[ch]!)).flat();
  return {
    computed: interpret(graph, {}, { pixel_values: input }, ['forward_features']),
    expected: { forward_features: float32([1, channels, height, width], flat) },
  };
}

describe("DaViT's blocks", () => {
  it('attend within windows; where these leave the image they see zeros before the projection', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 5 }),
        (height, width, window) => {
          const c = config({ image: [height, width], window });
          const { computed, expected } = bothWays(c, (image, p) =>
            windowAttention(p, 'stages.0.blocks.0.0.attn', image, window, 2),
          );
          allAgree(computed, expected, 1e-5);
        },
      ),
      { numRuns: 15 },
    );
  });

  const perWidth = (_: number, width: number) => 1 / Math.sqrt(width);
  const perPixel = (pixels: number) => 1 / Math.sqrt(pixels);
  it.each([
    ['key-value', [1, 2, 0], perWidth],
    ['query-key-width', [0, 1, 2], perWidth],
    ['query-key-pixels', [0, 1, 2], perPixel],
  ] as const)('attend between channels: %s', (channelForm, roles, scale) => {
    const c = config({ attentions: ['channel'], channelForm, image: [3, 4] });
    const { computed, expected } = bothWays(c, (image, p) =>
      channelAttention(p, 'stages.0.blocks.0.0.attn', image, 2, roles, scale),
    );
    allAgree(computed, expected, 1e-5);
  });
});

/** Small towers of every kind, whose grids windows and strides seldom divide. */
const towers = fc
  .record({
    image: fc.tuple(fc.integer({ min: 9, max: 21 }), fc.integer({ min: 9, max: 21 })),
    window: fc.integer({ min: 1, max: 5 }),
    heads: fc.integer({ min: 1, max: 3 }),
    depth: fc.integer({ min: 1, max: 2 }),
    attentions: fc.constantFrom(
      ['spatial', 'channel'] as const,
      ['channel', 'spatial'] as const,
      ['channel'] as const,
    ),
    channelForm: fc.constantFrom('key-value', 'query-key-width', 'query-key-pixels'),
    switches: fc.record({ qkvBias: fc.boolean(), positionActivation: fc.boolean() }),
    mlp: fc.boolean(),
    overlaps: fc.boolean(),
  })
  .map(({ image, window, heads, depth, attentions, channelForm, switches, mlp, overlaps }): DavitConfig => {
    const common = { depth, heads, groups: heads, mlpWidth: mlp ? 5 : null };
    const stem = { kernel: 7, stride: 4, pad: 3, fill: overlaps ? 1 : 4, normFirst: false };
    const down = overlaps
      ? { kernel: 3, stride: 2, pad: 1, fill: 1, normFirst: true }
      : { kernel: 2, stride: 2, pad: 0, fill: 2, normFirst: true };
    const stages = [
      { ...common, width: 2 * heads, patch: stem },
      { ...common, width: 3 * heads, patch: down },
    ];
    return config({ image, window, attentions, channelForm, stages, ...switches });
  });

describe('DaViT', () => {
  it('is the same in onnxruntime and in the interpreter', async () => {
    await fc.assert(
      fc.asyncProperty(towers, fc.integer(), async (c, seed) => {
        const graph = drawn(buildDavit(c).model!, seed);
        const feeds = { pixel_values: waves([2, 2, ...c.image]) };
        const computed = interpret(graph, {}, feeds);
        const { height, width } = davitGrid(c);
        expect(computed.forward_features!.shape.slice(2)).toEqual([height, width]);
        allAgree(await onOnnxruntime(graph, feeds), computed, 1e-4);
      }),
      { numRuns: 5 },
    );
  });

  it('computes nearly the same in float16', async () => {
    const { model: graph } = await model('davit-tiny').build(model('davit-tiny').config);
    const full = drawn(graph!, 0, 0.2);
    const feeds = { pixel_values: waves([1, 3, 64, 64]) };
    allAgree(await onOnnxruntime(toHalf(full), feeds), await onOnnxruntime(full, feeds), 0.02);
  });

  it.each([
    ['heads', { stages: [stage({ heads: 3 })] }, 'stages[0].heads'],
    ['groups', { stages: [stage({ groups: 3 })] }, 'stages[0].groups'],
    ['width', { stages: [stage({ width: 0 })] }, 'stages[0].width'],
    ['depth', { stages: [stage(), stage({ depth: 1.5 })] }, 'stages[1].depth'],
    ['no stages', { stages: [] }, 'stages.length'],
    ['no attention', { attentions: [] }, 'attentions.length'],
    ['an MLP of no width', { stages: [stage({ mlpWidth: 0 })] }, 'stages[0].mlpWidth'],
    ['a window of nothing', { window: 0 }, 'window'],
    ['a stride of nothing', { stages: [stage({ patch: { ...WHOLE, stride: 0 } })] }, 'patch.stride'],
    ['a negative pad', { stages: [stage({ patch: { ...WHOLE, pad: -1 } })] }, 'patch.pad'],
    ['a kernel beyond the image', { stages: [stage({ patch: { ...WHOLE, kernel: 6 } })] }, 'stages[0].patch'],
    ['no classes', { classes: 0 }, 'classes'],
    ['an epsilon of nothing', { eps: 0 }, 'eps'],
  ])('refuses %s and names the field', (_, change, field) => {
    const build = () => buildDavit(config(change));
    expect(build).toThrow(VersusError);
    try {
      build();
    } catch (error) {
      expect((error as VersusError).kind).toBe('usage');
      expect((error as VersusError).where).toContain(field);
    }
  });
});

describe("timm's DaViT config", () => {
  const read = (change: object) => fromCheckpointConfig({ architecture: 'davit', ...change }, []).model;

  it('fills in davit_tiny', () => {
    expect(read({}).config).toEqual({ ...(model('davit-t').config as object), taps: false });
  });

  it('reads the variant with Florence-2’s attention and overlapping patches', async () => {
    const { config: c, build } = read({ channel_attn_v2: true, down_kernel_size: 3, named_blocks: true });
    expect(c).toMatchObject({ channelForm: 'query-key-pixels', naming: 'timm-named' });
    const names = (await build(c)).model!.params.map((p) => p.name);
    expect(names).toContain('stages.3.blocks.0.channel_block.attn.qkv.weight');
    expect((c as DavitConfig).stages[2]!.patch).toMatchObject({ kernel: 3, pad: 1, fill: 1 });
  });

  it.each([
    [{ num_heads: [3, 6, 12] }, 'num_heads'],
    [{ depths: [1] }, 'depths'],
    [{ num_heads: [3, 6, 12, 23] }, 'num_heads.3'],
    [{ embed_dims: [] }, 'embed_dims'],
    [{ mlp_ratio: 1e-9 }, 'mlp_ratio'],
    [{ window_size: 0 }, 'window_size'],
    [{ attn_types: ['global'] }, 'attn_types'],
    [{ img_size: 0 }, 'img_size'],
    [{ head_norm_first: true }, 'head_norm_first'],
    [{ down_kernel_size: -1 }, 'down_kernel_size'],
  ])('%j names the field', (change, field) => {
    try {
      read(change);
      throw new Error('it was accepted');
    } catch (error) {
      expect(error).toBeInstanceOf(VersusError);
      expect((error as VersusError).kind).toBe('input');
      expect((error as VersusError).where).toContain(field);
    }
  });
});
