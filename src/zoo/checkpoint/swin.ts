import * as z from 'zod';
import type { ModelDef } from '../../core/model.ts';
import { buildSwin, type SwinConfig } from '../swin.ts';
import { gridOf } from '../swin-shape.ts';
import {
  activation,
  classesOf,
  depth,
  labels,
  mustDivide,
  positive,
  readConfig,
  sides,
  size,
  unsupported,
  wrong,
} from './fields.ts';
import type { CheckpointOptions } from './index.ts';

/* Swin (the first version): SwinConfig of transformers 4.45.2 and the arguments of torchvision 0.14's SwinTransformer. */

/** An edge of a window. */
const edge = z.int().min(1).max(64);
const stages = (item: z.ZodType<number>) => z.array(item).min(1).max(16);

const common = {
  embed_dim: size.default(96),
  depths: stages(depth).default([2, 2, 6, 2]),
  num_heads: stages(size).default([3, 6, 12, 24]),
  mlp_ratio: positive.default(4),
};

const transformersSchema = z.looseObject({
  ...common,
  image_size: sides.default([224, 224]),
  patch_size: sides.default([4, 4]),
  num_channels: size.default(3),
  window_size: edge.default(7),
  qkv_bias: z.boolean().default(true),
  hidden_act: activation.default('gelu'),
  use_absolute_embeddings: z.boolean().default(false),
  layer_norm_eps: positive.default(1e-5),
  ...labels,
});

/** SwinForImageClassification. Images may be of any size, since no weight depends on it; image_size is the usual one. */
export function transformersSwin(config: unknown, options: CheckpointOptions): ModelDef<SwinConfig> {
  const c = readConfig(transformersSchema, config, 'swin');
  if (c.use_absolute_embeddings) {
    // Its table has a row more than there are patches, so that SwinEmbeddings' own sum fails.
    throw unsupported('use_absolute_embeddings', true, 'false; transformers itself cannot run the other');
  }
  return swin(
    c,
    {
      ...{ image: options.image ?? c.image_size, patch: c.patch_size, channels: c.num_channels },
      ...{ window: [c.window_size, c.window_size], classes: classesOf(c), eps: c.layer_norm_eps },
      ...{ activation: c.hidden_act, qkvBias: c.qkv_bias, naming: 'transformers' },
      taps: options.taps ?? false,
    },
    'swin',
  );
}

const torchvisionSchema = z.looseObject({
  ...common,
  patch_size: z.tuple([size, size]).default([4, 4]),
  window_size: z.tuple([edge, edge]).default([7, 7]),
  num_classes: size.default(1000),
  input_size: z.tuple([size, size, size, size]).optional(),
});

/** torchvision.models.SwinTransformer, first version: LayerNorm eps 1e-5, fused qkv with bias. */
export function torchvisionSwin(config: unknown, options: CheckpointOptions): ModelDef<SwinConfig> {
  const c = readConfig(torchvisionSchema, config, 'torchvision swin');
  const recorded = c.input_size && ([c.input_size[2], c.input_size[3]] as const);
  return swin(
    c,
    {
      ...{ image: options.image ?? recorded ?? [224, 224], patch: c.patch_size, window: c.window_size },
      ...{ channels: c.input_size?.[1] ?? 3, classes: c.num_classes, eps: 1e-5, activation: 'gelu' },
      ...{ qkvBias: true, naming: 'torchvision', taps: options.taps ?? false },
    },
    'torchvision swin',
  );
}

type Stages = 'width' | 'depths' | 'heads' | 'mlpRatio';

function swin(
  c: { embed_dim: number; depths: number[]; num_heads: number[]; mlp_ratio: number },
  rest: Omit<SwinConfig, Stages>,
  where: string,
): ModelDef<SwinConfig> {
  if (c.num_heads.length !== c.depths.length) {
    throw wrong('num_heads', `has ${c.num_heads.length} stages, depths ${c.depths.length}`, where);
  }
  c.num_heads.forEach((heads, stage) => {
    mustDivide([`num_heads.${stage}`, heads], ['the width of its stage', c.embed_dim * 2 ** stage], where);
  });
  if (Math.floor(c.embed_dim * c.mlp_ratio) < 1) {
    throw wrong('mlp_ratio', `makes the MLP ${Math.floor(c.embed_dim * c.mlp_ratio)} wide`, where);
  }
  const grid = gridOf(rest);
  if (Math.min(...grid) < 1) {
    throw wrong(
      'patch_size',
      `${rest.patch.join(' × ')} is larger than the image (${rest.image.join(' × ')})`,
      where,
    );
  }
  const last = Math.min(...grid.map((side) => Math.ceil(side / 2 ** (c.depths.length - 1))));
  if (rest.naming === 'transformers' && last < rest.window[0]) {
    throw wrong(
      'window_size',
      `${rest.window[0]} is larger than the last stage's grid (${last} tokens)`,
      where,
    );
  }
  const config = { ...rest, width: c.embed_dim, depths: c.depths, heads: c.num_heads, mlpRatio: c.mlp_ratio };
  return { ...{ name: 'swin', family: 'swin', task: 'classify', config, build: buildSwin } };
}
