import * as z from 'zod';
import type { ModelDef } from '../../core/model.ts';
import type { BartConfig } from '../bart.ts';
import { type DavitTower, davitGrid } from '../davit.ts';
import {
  buildFlorence2,
  type Florence2Config,
  type Florence2Naming,
  florence2Parts,
  florence2Text,
} from '../florence2.ts';
import { mlpWidthOf, mustHaveStages, mustLeaveGrid } from './davit.ts';
import {
  activation,
  depth,
  mustDivide,
  positive,
  readConfig,
  sides,
  size,
  unsupported,
  wrong,
} from './fields.ts';
import type { CheckpointOptions } from './index.ts';

/*
 * Florence-2 as Microsoft published it (configuration_florence2.py of microsoft/Florence-2-*) and as transformers has it
 * since 4.56 (Florence2Config, BartConfig). The two name tensors and a few keys differently.
 */

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

const textSchema = z.looseObject({
  model_type: z.string().default('bart'),
  vocab_size: size.optional(),
  max_position_embeddings: size.default(1024),
  d_model: size.default(1024),
  encoder_layers: depth.default(12),
  encoder_ffn_dim: size.default(4096),
  encoder_attention_heads: size.default(16),
  decoder_layers: depth.default(12),
  decoder_ffn_dim: size.default(4096),
  decoder_attention_heads: size.default(16),
  activation_function: activation.default('gelu'),
  scale_embedding: z.boolean().default(false),
  decoder_start_token_id: amount.nullish(),
});

/** Under which name a checkpoint holds the table that embeds and predicts tokens: writers drop all but one. */
const TABLES: Readonly<Record<Florence2Naming, readonly string[]>> = {
  microsoft: ['model.shared', 'model.encoder.embed_tokens', 'model.decoder.embed_tokens', 'lm_head'].map(
    (name) => `language_model.${name}.weight`,
  ),
  transformers: [
    ...['shared', 'encoder.embed_tokens', 'decoder.embed_tokens'].map(
      (n) => `model.language_model.${n}.weight`,
    ),
    'lm_head.weight',
  ],
};

/** What Microsoft's code builds whatever the config says (DaViT.from_config). */
const MICROSOFT_FIXED = {
  in_channels: 3,
  mlp_ratio: 4,
  qkv_bias: true,
  activation_function: 'gelu',
} as const;

const part = z.record(z.string(), z.unknown()).nullish();
const schema = z.looseObject({
  vision_config: part,
  text_config: part,
  image_size: sides.optional(),
  image_token_id: amount.default(51289),
  tie_word_embeddings: z.boolean().default(true),
});

/** Published widths and heads where a config leaves them out: the large tower's by Microsoft, the base tower's by transformers. */
const TOWERS = {
  microsoft: { widths: [256, 512, 1024, 2048], heads: [8, 16, 32, 64], vocabulary: 51289 },
  transformers: { widths: [128, 256, 512, 1024], heads: [4, 8, 16, 32], vocabulary: 50265 },
} as const;

/** Florence2ForConditionalGeneration in either layout. */
export function florence2(
  config: unknown,
  names: ReadonlySet<string>,
  options: CheckpointOptions,
): ModelDef<Florence2Config> {
  const c = readConfig(schema, config, 'florence2');
  const naming = layoutOf(names, c.vision_config ?? {});
  const read = readConfig(visionSchema, c.vision_config ?? {}, 'florence2, vision_config');
  const v = naming === 'microsoft' ? { ...read, ...MICROSOFT_FIXED } : read;
  const t = readConfig(textSchema, c.text_config ?? {}, 'florence2, text_config');
  const text: BartConfig = {
    ...textOf(t, naming, names),
    head: naming === 'transformers' && !c.tie_word_embeddings ? 'lm_head.weight' : null,
    logits: options.logits ?? 'last',
  };
  if (v.projection_dim !== text.width) {
    throw wrong(
      'projection_dim',
      `${v.projection_dim} must be d_model (${text.width}): images and text are one sequence`,
      'florence2, vision_config',
    );
  }
  const vision = towerOf(v, naming, options.image ?? c.image_size ?? [768, 768]);
  const { places, frames } = positionsOf(v, naming);
  const grid = davitGrid(vision);
  if (Math.max(grid.height, grid.width) > places) {
    const field = naming === 'microsoft' ? 'max_pos_embeddings' : 'max_position_embeddings';
    throw wrong(field, `${places} is less than the grid (${grid.height} × ${grid.width})`, 'florence2');
  }
  if (naming === 'transformers' && c.image_token_id >= text.vocabulary) {
    throw wrong(
      'image_token_id',
      `${c.image_token_id} is beyond vocab_size (${text.vocabulary})`,
      'florence2',
    );
  }
  const sources = naming === 'microsoft' ? v.image_feature_source.map((s) => SOURCES[s]) : BOTH;
  return {
    ...{ name: 'florence2', family: 'florence2', task: 'generate', build: buildFlorence2 },
    config: {
      ...{ vision, places, frames, sources, text, naming },
      imageToken: naming === 'transformers' ? c.image_token_id : null,
      taps: options.taps ?? false,
    },
    parts: florence2Parts(naming),
    decoderStart: t.decoder_start_token_id ?? 2,
  };
}

const BOTH = ['average', 'pixels'] as const;

/** The tensors tell; where there are none, the spelling of the tower's widths does. */
function layoutOf(names: ReadonlySet<string>, vision: Record<string, unknown>): Florence2Naming {
  for (const name of names) {
    if (name.includes('multi_modal_projector.')) return 'transformers';
    if (/(^|\.)image_projection$/.test(name)) return 'microsoft';
  }
  return 'embed_dim' in vision || vision.model_type === 'florence_vision' ? 'transformers' : 'microsoft';
}

type Vision = z.infer<typeof visionSchema>;

function towerOf(v: Vision, naming: Florence2Naming, image: readonly [number, number]): DavitTower {
  const where = 'florence2, vision_config';
  const widths = v.embed_dim ?? v.dim_embed ?? TOWERS[naming].widths;
  const heads = v.num_heads ?? TOWERS[naming].heads;
  const groups = v.num_groups ?? TOWERS[naming].heads;
  const lengths = {
    ...{ depths: v.depths.length, num_heads: heads.length, num_groups: groups.length },
    ...{ patch_size: v.patch_size.length, patch_stride: v.patch_stride.length },
    ...{ patch_padding: v.patch_padding.length, patch_prenorm: v.patch_prenorm.length },
  };
  mustHaveStages(lengths, [v.embed_dim ? 'embed_dim' : 'dim_embed', widths.length], where);
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

/** The stacks of BartConfig, or of Microsoft's copy of it. */
function textOf(
  t: z.infer<typeof textSchema>,
  naming: Florence2Naming,
  names: ReadonlySet<string>,
): Omit<BartConfig, 'head' | 'logits'> {
  const where = 'florence2, text_config';
  if (!['bart', 'florence2_language'].includes(t.model_type)) {
    throw unsupported('text_config.model_type', t.model_type, 'bart, florence2_language');
  }
  const width = t.d_model;
  for (const stack of ['encoder', 'decoder'] as const) {
    const field = `${stack}_attention_heads` as const;
    mustDivide([field, t[field]], ['d_model', width], where);
  }
  // There the encoder's embeddings come from a table that doesn't scale, the decoder's from one that does.
  if (t.scale_embedding && naming === 'microsoft') throw unsupported('scale_embedding', true, 'false');
  const stack = (which: 'encoder' | 'decoder') => ({
    ...{ depth: t[`${which}_layers`], heads: t[`${which}_attention_heads`] },
    mlpWidth: t[`${which}_ffn_dim`],
  });
  const prefix = florence2Text(naming);
  return {
    ...{ vocabulary: t.vocab_size ?? TOWERS[naming].vocabulary, width, context: t.max_position_embeddings },
    ...{ encoder: stack('encoder'), decoder: stack('decoder'), eps: 1e-5 },
    ...{ activation: t.activation_function, scaledEmbedding: t.scale_embedding, prefix },
    table: TABLES[naming].find((name) => names.has(name)) ?? TABLES[naming][0]!,
    logitsBias: [...names].find((name) => /(^|\.)final_logits_bias$/.test(name)) ?? null,
  };
}
