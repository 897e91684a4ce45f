import * as z from 'zod';
import type { ModelDef } from '../../core/model.ts';
import { buildResNet, type ResNetConfig } from '../resnet.ts';
import { buildVit, type VitConfig } from '../vit.ts';
import {
  activation,
  classesOf,
  depth,
  labels,
  mustDivide,
  mustHoldPatch,
  positive,
  readConfig,
  sides,
  size,
  unsupported,
  wrong,
} from './fields.ts';
import type { CheckpointOptions } from './index.ts';

/* Image classifiers: keys and defaults of transformers 4.45.2, torchvision 0.14 and timm. */

const classifier = <C>(family: string, config: C, build: ModelDef<C>['build']): ModelDef<C> => ({
  ...{ name: family, family, task: 'classify', config, build },
});

const vitSchema = z.looseObject({
  hidden_size: size.default(768),
  num_hidden_layers: depth.default(12),
  num_attention_heads: size.default(12),
  intermediate_size: size.default(3072),
  hidden_act: activation.default('gelu'),
  layer_norm_eps: positive.default(1e-12),
  image_size: sides.default([224, 224]),
  patch_size: sides.default([16, 16]),
  num_channels: size.default(3),
  qkv_bias: z.boolean().default(true),
  ...labels,
});

/** ViTForImageClassification, and DeiTForImageClassification with or without the teacher's head. */
export function transformersVit(
  family: 'vit' | 'deit',
  config: unknown,
  names: ReadonlySet<string>,
  options: CheckpointOptions,
): ModelDef<VitConfig> {
  const c = readConfig(vitSchema, config, family);
  mustDivide(['num_attention_heads', c.num_attention_heads], ['hidden_size', c.hidden_size], family);
  mustHoldPatch(['image_size', c.image_size], ['patch_size', c.patch_size], family);
  const distilled = names.has('distillation_classifier.weight') ? 'token+head' : 'token';
  return classifier(
    family,
    {
      ...{ image: c.image_size, patch: c.patch_size, channels: c.num_channels, width: c.hidden_size },
      ...{ depth: c.num_hidden_layers, heads: c.num_attention_heads, mlpWidth: c.intermediate_size },
      ...{ classes: classesOf(c), eps: c.layer_norm_eps, activation: c.hidden_act, qkvBias: c.qkv_bias },
      ...{
        patchBias: true,
        normFirst: false,
        distillation: family === 'deit' ? distilled : 'none',
        naming: family,
      },
      taps: options.taps ?? false,
    },
    buildVit,
  );
}

const torchvisionVitSchema = z.looseObject({
  image_size: size,
  patch_size: size,
  num_layers: depth,
  num_heads: size,
  hidden_dim: size,
  mlp_dim: size,
  num_classes: size.default(1000),
  representation_size: z.null().optional(),
});

/** torchvision.models.VisionTransformer: LayerNorm eps 1e-6, fused in_proj. */
export function torchvisionVit(config: unknown, options: CheckpointOptions): ModelDef<VitConfig> {
  const c = readConfig(torchvisionVitSchema, config, 'torchvision vit');
  mustDivide(['num_heads', c.num_heads], ['hidden_dim', c.hidden_dim], 'torchvision vit');
  const image = [c.image_size, c.image_size] as const;
  const patch = [c.patch_size, c.patch_size] as const;
  mustHoldPatch(['image_size', image], ['patch_size', patch], 'torchvision vit');
  return classifier(
    'vit',
    {
      ...{ image, patch, channels: 3, width: c.hidden_dim },
      ...{ depth: c.num_layers, heads: c.num_heads, mlpWidth: c.mlp_dim, classes: c.num_classes, eps: 1e-6 },
      ...{ activation: 'gelu', qkvBias: true, patchBias: true, normFirst: false, distillation: 'none' },
      ...{ naming: 'torchvision', taps: options.taps ?? false },
    },
    buildVit,
  );
}

const timmSchema = z.looseObject({
  img_size: sides.default([224, 224]),
  patch_size: sides.default([16, 16]),
  in_chans: size.default(3),
  embed_dim: size.default(768),
  depth: depth.default(12),
  num_heads: size.default(12),
  mlp_ratio: positive.default(4),
  num_classes: size.default(1000),
  norm_eps: positive.default(1e-6),
  act_layer: activation.default('gelu'),
  qkv_bias: z.boolean().default(true),
  pre_norm: z.boolean().default(false),
  // What else VisionTransformer can be; each changes the graph.
  class_token: z.literal(true).default(true),
  global_pool: z.literal('token').default('token'),
  init_values: z.null().optional(),
  reg_tokens: z.literal(0).optional(),
  qk_norm: z.literal(false).optional(),
});

/** timm's VisionTransformer as its CLIP classifiers use it: fused qkv, a norm before the blocks. */
export function timmVit(config: unknown, options: CheckpointOptions): ModelDef<VitConfig> {
  const c = readConfig(timmSchema, config, 'timm vit');
  mustDivide(['num_heads', c.num_heads], ['embed_dim', c.embed_dim], 'timm vit');
  mustHoldPatch(['img_size', c.img_size], ['patch_size', c.patch_size], 'timm vit');
  const mlpWidth = Math.floor(c.embed_dim * c.mlp_ratio);
  if (!size.safeParse(mlpWidth).success)
    throw wrong('mlp_ratio', `makes the MLP ${mlpWidth} wide`, 'timm vit');
  return classifier(
    'vit',
    {
      ...{ image: c.img_size, patch: c.patch_size, channels: c.in_chans, width: c.embed_dim, depth: c.depth },
      ...{ heads: c.num_heads, mlpWidth, classes: c.num_classes },
      ...{ eps: c.norm_eps, activation: c.act_layer, qkvBias: c.qkv_bias, patchBias: !c.pre_norm },
      ...{ normFirst: c.pre_norm, distillation: 'none', naming: 'timm', taps: options.taps ?? false },
    },
    buildVit,
  );
}

const resnetSchema = z.looseObject({
  num_channels: size.default(3),
  embedding_size: size.default(64),
  hidden_sizes: z.array(size).min(1).max(64).default([256, 512, 1024, 2048]),
  depths: z.array(depth).min(1).max(64).default([3, 4, 6, 3]),
  layer_type: z.enum(['basic', 'bottleneck']).default('bottleneck'),
  hidden_act: activation.default('relu'),
  downsample_in_first_stage: z.boolean().default(false),
  downsample_in_bottleneck: z.boolean().default(false),
  ...labels,
});

/** ResNetForImageClassification. Its config knows no image size, since no weight depends on it. */
export function transformersResNet(config: unknown, options: CheckpointOptions): ModelDef<ResNetConfig> {
  const c = readConfig(resnetSchema, config, 'resnet');
  if (c.depths.length !== c.hidden_sizes.length) {
    throw wrong('depths', `has ${c.depths.length} stages, hidden_sizes ${c.hidden_sizes.length}`, 'resnet');
  }
  if (c.layer_type === 'bottleneck' && c.hidden_sizes.some((width) => width < 4)) {
    throw wrong(
      'hidden_sizes',
      'a bottleneck is a quarter of them wide, so each must be at least 4',
      'resnet',
    );
  }
  return classifier(
    'resnet',
    {
      ...{ block: c.layer_type, image: options.image ?? [224, 224], channels: c.num_channels },
      ...{ stemWidth: c.embedding_size, widths: c.hidden_sizes, depths: c.depths, classes: classesOf(c) },
      ...{ activation: c.hidden_act, strideInFirstStage: c.downsample_in_first_stage },
      ...{ strideInReduction: c.downsample_in_bottleneck, naming: 'transformers' },
      taps: options.taps ?? false,
    },
    buildResNet,
  );
}

const torchvisionResNetSchema = z.looseObject({
  architecture: z.string(),
  block: z.enum(['basic', 'bottleneck']).optional(),
  layers: z.array(depth).min(1).max(4),
  width: size.default(64),
  // A network whose stages don't double: channels behind the stem, and inside the blocks of every stage.
  stem_channels: size.optional(),
  stage_planes: z.array(size).optional(),
  strides: z.array(size).optional(),
  num_classes: size.default(1000),
  input_size: z.tuple([size, size, size, size]).optional(),
  // ResNeXt and wide ResNets.
  groups: z.literal(1).optional(),
  width_per_group: z.literal(64).optional(),
});

/**
 * torchvision.models.ResNet: every stage doubles the width (or `stage_planes` says each), a bottleneck puts out four times its
 * inner width.
 */
export function torchvisionResNet(config: unknown, options: CheckpointOptions): ModelDef<ResNetConfig> {
  const c = readConfig(torchvisionResNetSchema, config, 'torchvision resnet');
  const block = c.block ?? c.architecture.replace(/^resnet_/, '');
  if (block !== 'basic' && block !== 'bottleneck') {
    throw unsupported('architecture', c.architecture, 'resnet_basic, resnet_bottleneck');
  }
  const expansion = block === 'basic' ? 1 : 4;
  const planes = c.stage_planes ?? c.layers.map((_, stage) => c.width * 2 ** stage);
  const strides = c.strides ?? c.layers.map((_, stage) => (stage === 0 ? 1 : 2));
  if (planes.length !== c.layers.length || strides.length !== c.layers.length) {
    throw wrong('layers', 'stage_planes and strides have to be as many', 'torchvision resnet');
  }
  if (strides.some((stride, stage) => stride !== (stage === 0 ? 1 : 2))) {
    throw unsupported('strides', strides, '1 in the first stage, 2 in the others');
  }
  const image =
    options.image ?? (c.input_size ? ([c.input_size[2], c.input_size[3]] as const) : ([224, 224] as const));
  return classifier(
    'resnet',
    {
      ...{ block, image, channels: c.input_size?.[1] ?? 3, depths: c.layers },
      ...{
        stemWidth: c.stem_channels ?? c.width,
        widths: planes.map((p) => p * expansion),
        classes: c.num_classes,
      },
      ...{ activation: 'relu', strideInFirstStage: false, strideInReduction: false, naming: 'torchvision' },
      taps: options.taps ?? false,
    },
    buildResNet,
  );
}
