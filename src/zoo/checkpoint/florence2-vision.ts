import * as z from 'zod';
import { type DavitTower, davitGrid } from '../davit.ts';
import type { Florence2Config, Florence2Naming } from '../florence2.ts';
import { mlpWidthOf, mustHaveStages, mustLeaveGrid } from './davit.ts';
import { activation, depth, mustDivide, positive, readConfig, size, unsupported, wrong } from './fields.ts';

/* Florence2VisionConfig, Microsoft's and transformers' in one: they share most keys. */

const list = <T extends z.ZodType>(item: T) => z.array(item).min(1).max(64);
const amount = z
  .int()
  .min(0)
  .max(1 << 24);
const SOURCES = { spatial_avg_pool: 'average', temporal_avg_pool: 'pixels', last_frame: 'pixels' } as const;

const visionSchema = z.looseObject({
  in_channels: size.default(3),
  depths: list(depth).default([1, 1, 9, 1]),
  patch_size: list(size).default([7, 3, 3, 3]),
  patch_stride: list(size).default([4, 2, 2, 2]),
  patch_padding: list(amount).default([3, 1, 1, 1]),
  patch_prenorm: list(z.boolean()).default([false, true, true, true]),
  dim_embed: list(size).optional(),
  embed_dim: list(size).optional(),
  num_heads: list(size).optional(),
  num_groups: list(size).optional(),
  window_size: size.default(12),
  mlp_ratio: positive.default(4),
  qkv_bias: z.boolean().default(true),
  activation_function: activation.default('gelu'),
  projection_dim: size.default(1024),
  max_temporal_embeddings: size.default(100),
  max_position_embeddings: size.default(50),
  visual_temporal_embedding: z
    .looseObject({ type: z.string(), max_temporal_embeddings: size.default(1024) })
    .nullish(),
  image_pos_embed: z.looseObject({ type: z.string(), max_pos_embeddings: size.default(50) }).nullish(),
  image_feature_source: list(z.enum(Object.keys(SOURCES) as (keyof typeof SOURCES)[])).default([
    'spatial_avg_pool',
    'temporal_avg_pool',
  ]),
});

/** What Microsoft's code builds whatever the config says (DaViT.from_config). */
const MICROSOFT_FIXED = {
  in_channels: 3,
  mlp_ratio: 4,
  qkv_bias: true,
  activation_function: 'gelu',
} as const;

/** Published widths and heads where a config leaves them out: the large tower's by Microsoft, the base tower's by transformers. */
const TOWERS = {
  microsoft: { widths: [256, 512, 1024, 2048], heads: [8, 16, 32, 64] },
  transformers: { widths: [128, 256, 512, 1024], heads: [4, 8, 16, 32] },
} as const;

const BOTH = ['average', 'pixels'] as const;

/**
 * The tower and what becomes of its grid, by the vision part of a config.
 * @returns also the width that image tokens are projected to
 */
export function florence2Vision(
  config: unknown,
  naming: Florence2Naming,
  image: readonly [number, number],
): Pick<Florence2Config, 'vision' | 'places' | 'frames' | 'sources'> & { readonly projection: number } {
  const read = readConfig(visionSchema, config, 'florence2, vision_config');
  const v = naming === 'microsoft' ? { ...read, ...MICROSOFT_FIXED } : read;
  const vision = towerOf(v, naming, image);
  const { places, frames } = positionsOf(v, naming);
  const grid = davitGrid(vision);
  if (Math.max(grid.height, grid.width) > places) {
    const field = naming === 'microsoft' ? 'max_pos_embeddings' : 'max_position_embeddings';
    throw wrong(field, `${places} is less than the grid (${grid.height} × ${grid.width})`, 'florence2');
  }
  const sources = naming === 'microsoft' ? v.image_feature_source.map((s) => SOURCES[s]) : BOTH;
  return { vision, places, frames, sources, projection: v.projection_dim };
}

type Vision = z.infer<typeof visionSchema>;

function towerOf(v: Vision, naming: Florence2Naming, image: readonly [number, number]): DavitTower {
  const where = 'florence2, vision_config';
  const own = naming === 'microsoft' ? (v.dim_embed ?? v.embed_dim) : (v.embed_dim ?? v.dim_embed);
  const widths = own ?? TOWERS[naming].widths;
  const heads = v.num_heads ?? TOWERS[naming].heads;
  const groups = v.num_groups ?? TOWERS[naming].heads;
  const lengths = {
    ...{ depths: v.depths.length, num_heads: heads.length, num_groups: groups.length },
    ...{ patch_size: v.patch_size.length, patch_stride: v.patch_stride.length },
    ...{ patch_padding: v.patch_padding.length, patch_prenorm: v.patch_prenorm.length },
  };
  mustHaveStages(lengths, [naming === 'microsoft' ? 'dim_embed' : 'embed_dim', widths.length], where);
  if (naming === 'microsoft' && v.patch_prenorm[0]) {
    // Microsoft's code passes the first norm by then, and its weights lie idle.
    throw unsupported('patch_prenorm.0', true, 'false');
  }
  const stages = widths.map((width, i) => {
    mustDivide([`num_heads.${i}`, heads[i]!], [`embed_dim.${i}`, width], where);
    mustDivide([`num_groups.${i}`, groups[i]!], [`embed_dim.${i}`, width], where);
    return {
      ...{ width, depth: v.depths[i]!, heads: heads[i]!, groups: groups[i]! },
      mlpWidth: mlpWidthOf(width, v.mlp_ratio, where),
      patch: {
        ...{ kernel: v.patch_size[i]!, stride: v.patch_stride[i]!, pad: v.patch_padding[i]! },
        ...{ fill: 1, normFirst: v.patch_prenorm[i]! },
      },
    };
  });
  mustLeaveGrid({ image, stages }, 'image_size', 'florence2');
  if (widths.at(-1)! < 2) throw wrong('embed_dim', 'the last needs a half for rows, one for columns', where);
  return {
    ...{ image, channels: v.in_channels, stages, attentions: ['spatial', 'channel'], window: v.window_size },
    ...{ channelForm: 'query-key-pixels', eps: 1e-5, activation: v.activation_function },
    ...{ qkvBias: v.qkv_bias, positionActivation: false, naming },
  };
}

function positionsOf(v: Vision, naming: Florence2Naming): { places: number; frames: number } {
  if (naming === 'transformers') {
    return { places: v.max_position_embeddings, frames: v.max_temporal_embeddings };
  }
  const { image_pos_embed: space, visual_temporal_embedding: time } = v;
  if (space?.type !== 'learned_abs_2d') {
    throw unsupported('vision_config.image_pos_embed.type', space?.type ?? null, 'learned_abs_2d');
  }
  if (time?.type !== 'COSINE') {
    throw unsupported('vision_config.visual_temporal_embedding.type', time?.type ?? null, 'COSINE');
  }
  return { places: space.max_pos_embeddings, frames: time.max_temporal_embeddings };
}
