import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import { fromCheckpointConfig } from '../../src/zoo/checkpoint/index.ts';
import { model } from '../../src/zoo/index.ts';

function failure(config: unknown, names: readonly string[] = []): VersusError {
  try {
    fromCheckpointConfig(config, names);
  } catch (error) {
    if (error instanceof VersusError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe("a checkpoint's config.json", () => {
  it.each([
    [
      'heads that do not divide',
      { model_type: 'vit', hidden_size: 50, num_attention_heads: 4 },
      'num_attention_heads',
    ],
    ['a negative depth', { model_type: 'llama', num_hidden_layers: -1 }, 'num_hidden_layers'],
    ['an endless depth', { model_type: 'qwen2', num_hidden_layers: 1e9 }, 'num_hidden_layers'],
    ['key heads that do not divide', { model_type: 'llama', num_key_value_heads: 5 }, 'num_key_value_heads'],
    ['a text width', { model_type: 'clip', text_config: { hidden_size: 'wide' } }, 'hidden_size'],
    ['an unknown activation', { model_type: 'deit', hidden_act: 'snake' }, 'hidden_act'],
    [
      'a layer that the tower lacks',
      { model_type: 'llava', vision_feature_layer: -26 },
      'vision_feature_layer',
    ],
    [
      'a factor of zero',
      { model_type: 'llama', rope_scaling: { type: 'linear', factor: 0 } },
      'rope_scaling.factor',
    ],
    ['no factor', { model_type: 'llama', rope_scaling: { rope_type: 'linear' } }, 'rope_scaling.factor'],
    ['a patch of nothing', { architecture: 'vit_clip_timm', patch_size: 0 }, 'patch_size'],
    ['an image smaller than a patch', { model_type: 'vit', image_size: 8, patch_size: 16 }, 'image_size'],
    [
      "a tower's image below a patch",
      { model_type: 'clip', vision_config: { image_size: 31 } },
      'image_size',
    ],
    ["timm's image below a patch", { architecture: 'vit_clip_timm', img_size: [16, 15] }, 'img_size'],
    ['an MLP of no width', { architecture: 'vit_clip_timm', mlp_ratio: 1e-9 }, 'mlp_ratio'],
    ['an image of three sides', { model_type: 'vit', image_size: [8, 8, 8] }, 'image_size'],
    ['no labels', { model_type: 'vit', id2label: {} }, 'id2label'],
    ['less than no labels', { model_type: 'resnet', num_labels: -1 }, 'num_labels'],
    ['a head of odd width', { model_type: 'llama', head_dim: 5 }, 'head_dim'],
    ['a quarter of nothing', { model_type: 'resnet', hidden_sizes: [3], depths: [1] }, 'hidden_sizes'],
    ['more stages than widths', { model_type: 'resnet', hidden_sizes: [8], depths: [1, 1] }, 'depths'],
    ['heads per stage', { model_type: 'swin', num_heads: [3, 6, 12] }, 'num_heads'],
    ['heads that do not divide a stage', { model_type: 'swin', num_heads: [3, 6, 11, 24] }, 'num_heads.2'],
    ['a window above the last grid', { model_type: 'swin', image_size: 192 }, 'window_size'],
    ['windows without end', { model_type: 'swin', window_size: 1e6 }, 'window_size'],
    ['an MLP without width', { model_type: 'swin', mlp_ratio: 0.001 }, 'mlp_ratio'],
    ['a patch above the image', { architecture: 'swin', patch_size: [225, 4] }, 'patch_size'],
    ['a window of one number', { architecture: 'swin', window_size: 7 }, 'window_size'],
    ['a stage too many', { model_type: 'convnext', num_stages: 3 }, 'hidden_sizes'],
    ['depths for another count', { model_type: 'convnext', depths: [3, 3, 9] }, 'depths'],
    ['an image of nothing', { model_type: 'convnext', image_size: 31 }, 'image_size'],
    ["torchvision's stages", { architecture: 'convnext', dims: [8, 16], depths: [1] }, 'depths'],
    ['four convolutions', { architecture: 'alexnet', channels: [8, 8, 8, 8] }, 'channels'],
    ['a small photograph', { architecture: 'alexnet', input_size: [1, 3, 62, 224] }, 'input_size'],
    ['no list of layers', { architecture: 'vgg' }, 'cfg'],
    ['an unknown layer', { architecture: 'vgg_bn', cfg: [64, 'A'] }, 'cfg'],
    ['more pooling than image', { architecture: 'vgg', cfg: Array(8).fill('M') }, 'input_size'],
    ['pooling to a large map', { architecture: 'vgg', cfg: [8], avgpool_output_size: 1e6 }, 'avgpool'],
    ['stages without end', { model_type: 'resnet', depths: Array(65).fill(1) }, 'depths'],
  ])('%s: names the field', (_, config, field) => {
    const error = failure(config);
    expect(error.kind).toBe('input');
    expect(error.where).toContain(field);
  });

  it.each([
    [
      'an unknown architecture',
      { model_type: 'mamba' },
      /mamba/,
      /resnet, vit, deit, clip, llama, qwen2, llava/,
    ],
    ['a number for an architecture', { model_type: 5 }, /model_type 5/, /resnet/],
    ['rotation of a part', { model_type: 'llama', partial_rotary_factor: 0.5 }, /partial_rotary_factor/, /1/],
    ['no architecture', {}, /no model_type/, /resnet_bottleneck/],
    [
      'another rotary scaling',
      { model_type: 'llama', rope_scaling: { rope_type: 'yarn' } },
      /yarn/,
      /linear/,
    ],
    [
      'a sliding window',
      { model_type: 'qwen2', use_sliding_window: true, max_window_layers: 1 },
      /sliding/,
      /whole/,
    ],
    [
      'positions that the reference cannot add',
      { model_type: 'swin', use_absolute_embeddings: true },
      /use_absolute_embeddings/,
      /transformers itself/,
    ],
    [
      'another tower',
      { model_type: 'llava', vision_config: { model_type: 'siglip_vision_model' } },
      /siglip/,
      /clip/,
    ],
  ])('%s: says what is understood', (_, config, message, next) => {
    const error = failure(config);
    expect(error.kind).toBe('unsupported');
    expect(error.message).toMatch(message);
    expect(error.next).toMatch(next);
  });

  it.each([null, 7, 'vit', []])('%j is no configuration', (config) => {
    expect(failure(config).kind).toBe('input');
  });

  it.each(['__proto__', 'constructor', 'toString'])('%s is no architecture', (name) => {
    expect(failure({ model_type: name }).kind).toBe('unsupported');
  });

  it('fills in the defaults of the library that wrote it', () => {
    const configOf = (config: unknown) => fromCheckpointConfig(config, []).model.config;
    expect(configOf({ model_type: 'vit', num_labels: 1000 })).toEqual({
      ...(model('vit-b-16').config as object),
      taps: false,
    });
    expect(configOf({ model_type: 'clip', text_config: { eos_token_id: 2 } })).toEqual({
      ...(model('clip-vit-b-32').config as object),
      taps: false,
    });
    for (const [family, member] of [
      ['swin', 'swin-t'],
      ['convnext', 'convnext-t'],
    ] as const) {
      const expected = { ...(model(member).config as object), taps: false };
      expect(configOf({ model_type: family, num_labels: 1000 })).toEqual(expected);
      const torchvision = { ...expected, naming: 'torchvision' };
      const headEps = family === 'convnext' && { headEps: 1e-6 };
      expect(configOf({ architecture: family })).toEqual({ ...torchvision, ...headEps });
    }
    expect(configOf({ architecture: 'alexnet' })).toEqual(model('alexnet').config);
    const { layers: cfg } = model('vgg-16-bn').config as { layers: unknown };
    expect(configOf({ architecture: 'vgg_bn', cfg })).toEqual(model('vgg-16-bn').config);
    expect(configOf({ model_type: 'convnext', layer_scale_init_value: 0 })).toMatchObject({
      layerScale: false,
    });
    expect(configOf({ model_type: 'llama' })).toMatchObject({
      ...{
        vocabulary: 32000,
        width: 4096,
        kvHeads: 32,
        headWidth: 128,
        eps: 1e-6,
        context: 2048,
        tied: false,
      },
    });
    expect(configOf({ model_type: 'llava' })).toMatchObject({
      vision: { width: 1024, patch: [14, 14], image: [336, 336] },
      ...{ featureLayer: -2, keepClassToken: false, imageToken: 32000 },
    });
    expect(
      configOf({ model_type: 'vit', num_labels: 5, id2label: { 0: 'a', 1: 'b', 2: 'c' } }),
    ).toMatchObject({
      classes: 3,
    });
  });

  it('reads the older key of rotary scaling before the newer', () => {
    const scaling = { type: 'linear', rope_type: 'default', factor: 4 };
    const { config } = fromCheckpointConfig({ model_type: 'llama', rope_scaling: scaling }, []).model;
    expect(config).toMatchObject({ rotary: { factor: 4 } });
  });

  it('takes the heads of a DeiT from the tensors', () => {
    const heads = (names: string[]) => fromCheckpointConfig({ model_type: 'deit' }, names).model.config;
    expect(heads(['distillation_classifier.weight'])).toMatchObject({ distillation: 'token+head' });
    expect(heads(['classifier.weight'])).toMatchObject({ distillation: 'token' });
  });
});

describe("a model's own configuration", () => {
  it.each([
    ['resnet-50', { depths: [3, 4, 6] }, null],
    ['resnet-50', { depths: [3, 0, 6, 3] }, 'depths[1]'],
    ['resnet-50', { widths: [256, 512, 1024] }, 'widths[3]'],
    ['vit-b-16', { heads: 7 }, 'heads'],
    ['vit-b-16', { patch: [300, 16] }, 'image[0] / patch[0]'],
    ['vit-b-16', { distillation: 'token' }, 'distillation'],
    ['swin-t', { image: [231, 240] }, null],
    ['swin-t', { image: [192, 192] }, 'window'],
    ['swin-t', { image: [192, 192], naming: 'torchvision' }, null],
    ['swin-t', { window: [7, 14] }, 'window'],
    ['swin-t', { window: [7, 65] }, 'window[1]'],
    ['swin-t', { image: [1 << 20, 224] }, 'tokens of the image'],
    ['swin-t', { heads: [3, 6, 12] }, 'heads[3]'],
    ['swin-t', { heads: [3, 6, 12, 23] }, 'heads[3]'],
    ['swin-t', { depths: [] }, 'depths.length'],
    ['swin-t', { width: 1 << 22 }, 'width · 2^3'],
    ['swin-t', { patch: [225, 4], naming: 'torchvision' }, 'image[0]'],
    ['swin-t', { mlpRatio: Number.NaN }, 'mlpRatio'],
    ['convnext-t', { layerScale: false, activation: 'silu' }, null],
    ['convnext-t', { image: [224, 31] }, 'image[1]'],
    ['convnext-t', { depths: [3, 3, 9, 3, 3] }, 'widths[4]'],
    ['convnext-t', { headEps: -1 }, 'headEps'],
    ['vgg-16', { pool: [3, 5] }, null],
    ['vgg-16', { image: [31, 224] }, 'image[0]'],
    ['vgg-16', { layers: [64, 0] }, 'layers[1]'],
    ['vgg-16', { pool: [7, 1e9] }, 'pool[1]'],
    ['alexnet', { image: [63, 100] }, null],
    ['alexnet', { image: [224, 62] }, 'image[1]'],
    ['alexnet', { widths: [64, 192, 384, 256] }, 'widths[4]'],
    ['qwen2-tiny', { kvHeads: 3 }, 'kvHeads'],
    ['qwen2-tiny', { headWidth: 15 }, 'headWidth'],
    ['qwen2-tiny', { vocabulary: 2.5 }, 'vocabulary'],
    ['qwen2-tiny', { eps: 0 }, 'eps'],
    ['llava-tiny', { featureLayer: -9 }, 'featureLayer'],
  ])('%s with %j', async (name, change, field) => {
    const m = model(name);
    const build = async () => m.build({ ...(m.config as object), ...change });
    if (field === null) expect(Object.keys(await build())).toEqual(['model']);
    else {
      const error = await build().catch((e: unknown) => e);
      expect(error).toBeInstanceOf(VersusError);
      expect((error as VersusError).kind).toBe('usage');
      expect((error as VersusError).where).toContain(field);
    }
  });
});
