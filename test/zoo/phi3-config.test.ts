import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import { fromCheckpointConfig } from '../../src/zoo/checkpoint/index.ts';
import type { DecoderConfig } from '../../src/zoo/decoder.ts';
import { model } from '../../src/zoo/index.ts';
import type { LongRope } from '../../src/zoo/long-rope.ts';
import type { Phi3VisionConfig } from '../../src/zoo/phi3-vision.ts';

const ropeOf = (name: string): LongRope => {
  const { config } = model(name) as { config: DecoderConfig & Phi3VisionConfig };
  return (config.text ?? config).rotary as LongRope;
};
const scaling = (name: string, type: string) => ({
  ...{ type, short_factor: ropeOf(name).short, long_factor: ropeOf(name).long },
});
/** The fields of the published files that shape the model; what they leave out is a default. */
const MINI = {
  ...{ model_type: 'phi3', max_position_embeddings: 131072, original_max_position_embeddings: 4096 },
  ...{ hidden_size: 3072, num_attention_heads: 32, sliding_window: 262144, attention_bias: false },
  rope_scaling: scaling('phi-3.5-mini', 'longrope'),
};
const VISION = {
  ...MINI,
  model_type: 'phi3_v',
  embd_layer: {
    ...{ embedding_cls: 'image', hd_transform_order: 'sub_glb', projection_cls: 'mlp' },
    ...{ use_hd_transform: true, with_learnable_separator: true },
  },
  img_processor: {
    ...{ image_dim_out: 1024, model_name: 'openai/clip-vit-large-patch14-336' },
    ...{ name: 'clip_vision_model', num_img_tokens: 144 },
  },
  rope_scaling: scaling('phi-3.5-vision', 'su'),
};
const read = (config: object) => fromCheckpointConfig(config, []).model;

describe("Phi-3's config.json", () => {
  it('as published is the model of the zoo', () => {
    expect(read(MINI).config).toEqual(model('phi-3.5-mini').config);
    expect(read(VISION).config).toEqual({ ...(model('phi-3.5-vision').config as object), taps: false });
  });

  it('has 48 factors of its own for short sequences, and common ones for long', () => {
    const [mini, vision] = [ropeOf('phi-3.5-mini'), ropeOf('phi-3.5-vision')];
    expect([mini.short.length, vision.short.length, mini.long.length]).toEqual([48, 48, 48]);
    expect(mini.long).toEqual(vision.long);
    for (const factors of [mini.short, vision.short, mini.long]) {
      expect([...factors].sort((a, b) => a - b)).toEqual(factors);
    }
  });

  it('without scaling is plain, with a window shorter than the context it is windowed', () => {
    const config = { model_type: 'phi3', sliding_window: 2047, rope_scaling: null };
    expect(read(config).config).toMatchObject({
      rotary: { theta: 1e4, factor: 1 },
      window: 2047,
      fused: true,
    });
    expect(read({ ...config, sliding_window: null }).config).not.toHaveProperty('window');
    expect(read({ ...config, sliding_window: 4096 }).config).not.toHaveProperty('window');
  });

  it.each([
    ['too few factors', { ...MINI, rope_scaling: { type: 'su', short_factor: [1] } }, 'short_factor'],
    [
      'no long factors',
      { ...MINI, rope_scaling: { ...MINI.rope_scaling, long_factor: undefined } },
      'long_factor',
    ],
    [
      'a factor of zero',
      { ...MINI, rope_scaling: { ...MINI.rope_scaling, long_factor: Array(48).fill(0) } },
      'long_factor',
    ],
    [
      'an origin of one',
      { ...MINI, original_max_position_embeddings: 1 },
      'original_max_position_embeddings',
    ],
    ['heads that do not divide', { ...MINI, num_attention_heads: 31 }, 'num_attention_heads'],
    ['key heads that do not divide', { ...MINI, num_key_value_heads: 5 }, 'num_key_value_heads'],
    ['heads of odd width', { model_type: 'phi3', num_attention_heads: 1024 }, 'num_attention_heads'],
    ['no embedder', { ...VISION, embd_layer: undefined }, 'embd_layer'],
    ['another width', { ...VISION, clip_vision_config: { hidden_size: 512 } }, 'image_dim_out'],
    ['crops of another size', { ...VISION, crop_size: 224 }, 'crop_size'],
    ['an odd number of patches', { ...VISION, clip_vision_config: { patch_size: 16 } }, 'patch_size'],
    ['oblong images', { ...VISION, clip_vision_config: { image_size: [336, 672] } }, 'crop_size'],
    [
      'a layer that the tower lacks',
      { ...VISION, img_processor: { ...VISION.img_processor, layer_idx: 25 } },
      'layer_idx',
    ],
  ])('%s: names the field', (_, config, field) => {
    const error = failure(() => read(config));
    expect(error.kind).toBe('input');
    expect(error.where).toContain(field);
  });

  it.each([
    ['another scaling', { ...MINI, rope_scaling: { type: 'yarn' } }, /yarn/],
    ['rotation of a part', { ...MINI, partial_rotary_factor: 0.75 }, /partial_rotary_factor/],
    ['biases', { ...MINI, attention_bias: true }, /attention_bias/],
    ['no separators', { ...VISION, embd_layer: { projection_cls: 'mlp' } }, /use_hd_transform/],
    ['another tower', { ...VISION, img_processor: { ...VISION.img_processor, name: 'siglip' } }, /siglip/],
    [
      'the class token',
      { ...VISION, img_processor: { ...VISION.img_processor, type_feature: 'cls_patch' } },
      /cls_patch/,
    ],
  ])('%s: says what is understood', (_, config, message) => {
    const error = failure(() => read(config));
    expect(error.kind).toBe('unsupported');
    expect(error.message).toMatch(message);
    expect(error.next).toMatch(/understood/);
  });
});

function failure(body: () => unknown): VersusError {
  try {
    body();
  } catch (error) {
    if (error instanceof VersusError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe("a Phi-3's own configuration", () => {
  const rotary = ropeOf('phi-3.5-tiny');
  const { vision } = model('phi-3.5-vision-tiny').config as Phi3VisionConfig;
  it.each([
    ['phi-3.5-tiny', { rotary: { ...rotary, short: [1, 2] } }, 'rotary.short'],
    ['phi-3.5-tiny', { rotary: { ...rotary, long: rotary.long.map(() => Number.NaN) } }, 'rotary.long[0]'],
    ['phi-3.5-tiny', { rotary: { ...rotary, original: 1 } }, 'rotary.original'],
    ['phi-3.5-tiny', { rotary: { ...rotary, theta: 0 } }, 'rotary.theta'],
    ['phi-3.5-tiny', { window: 0 }, 'window'],
    ['phi-3.5-vision-tiny', { featureLayer: -5 }, 'featureLayer'],
    ['phi-3.5-vision-tiny', { vision: { ...vision, patch: [32, 32] } }, 'patch'],
    ['phi-3.5-vision-tiny', { vision: { ...vision, patch: [8, 16] } }, 'patch'],
    ['phi-3.5-vision-tiny', { vision: { ...vision, image: [40, 40] } }, 'patch'],
  ])('%s with %j names the field', async (name, change, field) => {
    const m = model(name);
    const build = async () => m.build({ ...(m.config as object), ...change });
    const error = await build().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(VersusError);
    expect((error as VersusError).kind).toBe('usage');
    expect((error as VersusError).where).toContain(field);
  });
});
