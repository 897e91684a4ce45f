import * as z from 'zod';
import type { ModelDef } from '../../core/model.ts';
import type { DecoderConfig } from '../decoder.ts';
import { buildQwen2Vl, QWEN2_VL_PARTS, type Qwen2VlConfig, type Qwen2VlVision } from '../qwen2-vl.ts';
import { activation, depth, mustDivide, positive, readConfig, size, unsupported, wrong } from './fields.ts';
import type { CheckpointOptions } from './index.ts';
import { decoderOf } from './language.ts';

/*
 * Qwen2VLConfig of transformers 4.45.2, whose text fields stand at the top, and of later versions, which nest them in
 * `text_config` and write `rope_parameters`.
 */

const visionSchema = z.looseObject({
  depth: depth.default(32),
  embed_dim: size.default(1280),
  hidden_size: size.default(3584),
  hidden_act: activation.default('quick_gelu'),
  mlp_ratio: positive.default(4),
  num_heads: size.default(16),
  in_channels: size.default(3),
  patch_size: size.default(14),
  spatial_merge_size: size.default(2),
  temporal_patch_size: size.default(2),
});

const rope = z
  .looseObject({
    type: z.string().optional(),
    rope_type: z.string().optional(),
    mrope_section: z.array(size).optional(),
    rope_theta: positive.optional(),
  })
  .nullish();

const textSchema = z.looseObject({ rope_scaling: rope, rope_parameters: rope });

/** Where they differ from Qwen2Config's. */
const TEXT_DEFAULTS = {
  ...{ vocab_size: 152064, hidden_size: 8192, intermediate_size: 29568, num_hidden_layers: 80 },
  ...{ num_attention_heads: 64, num_key_value_heads: 8, rms_norm_eps: 1e-5, max_window_layers: 80 },
};

const schema = z.looseObject({
  text_config: z.looseObject({}).nullish(),
  vision_config: z.looseObject({}).nullish(),
  image_token_id: z.int().min(0).default(151655),
  tie_word_embeddings: z.boolean().optional(),
});

/** Qwen2VLForConditionalGeneration. */
export function transformersQwen2Vl(config: unknown, options: CheckpointOptions): ModelDef<Qwen2VlConfig> {
  const c = readConfig(schema, config, 'qwen2_vl');
  const tied = c.tie_word_embeddings === undefined ? {} : { tie_word_embeddings: c.tie_word_embeddings };
  const text = textOf(c.text_config ? { ...c.text_config, ...tied } : config);
  const { hidden_size: features, ...vision } = visionOf(c.vision_config ?? {});
  if (features !== text.width) {
    throw wrong('hidden_size', `${features} must be the language model's, ${text.width}`, VISION);
  }
  return {
    ...{ name: 'qwen2-vl', family: 'qwen2-vl', task: 'generate', build: buildQwen2Vl },
    config: {
      ...{ vision, imageToken: c.image_token_id },
      text: { ...text, logits: options.logits ?? 'last' },
    },
    parts: QWEN2_VL_PARTS,
  };
}

const VISION = 'qwen2_vl, vision_config';

function visionOf(config: unknown): Qwen2VlVision & { hidden_size: number } {
  const c = readConfig(visionSchema, config, VISION);
  const { embed_dim: width, num_heads: heads } = c;
  mustDivide(['num_heads', heads], ['embed_dim', width], VISION);
  if ((width / heads) % 4 !== 0) {
    throw wrong('num_heads', `a head of ${width / heads} has no halves for row and column`, VISION);
  }
  const mlpWidth = Math.trunc(width * c.mlp_ratio);
  if (mlpWidth < 1) throw wrong('mlp_ratio', `${c.mlp_ratio} leaves the MLP no width`, VISION);
  return {
    ...{ width, depth: c.depth, heads, mlpWidth, eps: 1e-6, activation: c.hidden_act },
    ...{ channels: c.in_channels, patch: c.patch_size, temporal: c.temporal_patch_size },
    ...{ merge: c.spatial_merge_size, hidden_size: c.hidden_size },
  };
}

/** A Qwen2 but for the sections of its rotary positions. */
function textOf(config: unknown): Omit<DecoderConfig, 'logits'> {
  const where = 'qwen2_vl';
  const { rope_scaling, rope_parameters, ...rest } = readConfig(textSchema, config, where);
  const scaling = rope_scaling ?? rope_parameters;
  const theta = { rope_theta: scaling?.rope_theta ?? 1e6 };
  const text = decoderOf('qwen2', { ...TEXT_DEFAULTS, ...theta, ...rest }, where);
  const sections = sectionsOf(scaling, text.headWidth / 2, where);
  return { ...text, rotary: { ...text.rotary, sections } };
}

/** `mrope` is the name of the published files; transformers rewrites it to `default` and keeps the sections. */
function sectionsOf(scaling: z.infer<typeof rope>, pairs: number, where: string): readonly number[] {
  const kind = scaling?.type ?? scaling?.rope_type ?? 'mrope';
  if (kind !== 'mrope' && kind !== 'default') {
    throw unsupported('rope_scaling.rope_type', kind, 'mrope, default');
  }
  const field = 'rope_scaling.mrope_section';
  const sections = scaling?.mrope_section;
  if (!sections) throw wrong(field, 'the position axes need it', where);
  const sum = sections.reduce((a, b) => a + b, 0);
  if (sections.length !== 3 || sum !== pairs) {
    throw wrong(field, `[${sections}] must be three numbers that add up to ${pairs}, half a head`, where);
  }
  return sections;
}
