import * as z from 'zod';
import type { ModelDef } from '../../core/model.ts';
import { buildDecoder, DECODER_PARTS, type DecoderConfig } from '../decoder.ts';
import { buildLlava, LLAVA_PARTS, type LlavaConfig } from '../llava.ts';
import { clipVision } from './clip.ts';
import { activation, depth, mustDivide, positive, readConfig, size, unsupported, wrong } from './fields.ts';
import type { CheckpointOptions } from './index.ts';

/* LlamaConfig, Qwen2Config and LlavaConfig of transformers 4.45.2. */

const ropeScaling = z
  .looseObject({ type: z.string().optional(), rope_type: z.string().optional(), factor: positive.optional() })
  .nullish();

const llamaSchema = z.looseObject({
  vocab_size: size.default(32000),
  hidden_size: size.default(4096),
  intermediate_size: size.default(11008),
  num_hidden_layers: depth.default(32),
  num_attention_heads: size.default(32),
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  hidden_act: activation.default('silu'),
  max_position_embeddings: size.default(2048),
  rms_norm_eps: positive.default(1e-6),
  rope_theta: positive.default(10000),
  rope_scaling: ropeScaling,
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(false),
  partial_rotary_factor: z.number().nullish(),
});

const qwen2Schema = z.looseObject({
  vocab_size: size.default(151936),
  hidden_size: size.default(4096),
  intermediate_size: size.default(22016),
  num_hidden_layers: depth.default(32),
  num_attention_heads: size.default(32),
  num_key_value_heads: size.nullable().default(32),
  hidden_act: activation.default('silu'),
  max_position_embeddings: size.default(32768),
  rms_norm_eps: positive.default(1e-6),
  rope_theta: positive.default(10000),
  rope_scaling: ropeScaling,
  tie_word_embeddings: z.boolean().default(false),
  partial_rotary_factor: z.number().nullish(),
  use_sliding_window: z.boolean().default(false),
  sliding_window: size.nullable().default(4096),
  max_window_layers: z.int().min(0).default(28),
});

/** The decoder of a language model's config. */
export function decoderOf(type: string, config: unknown, where: string): Omit<DecoderConfig, 'logits'> {
  if (type === 'llama') return llama(config, where);
  if (type === 'qwen2') return qwen2(config, where);
  throw unsupported('text_config.model_type', type, 'llama, qwen2');
}

function llama(config: unknown, where: string): Omit<DecoderConfig, 'logits'> {
  const c = readConfig(llamaSchema, config, where);
  const kvHeads = c.num_key_value_heads ?? c.num_attention_heads;
  return {
    ...common(c, kvHeads, c.head_dim ?? null, where),
    ...{ qkvBias: c.attention_bias, outputBias: c.attention_bias, mlpBias: c.mlp_bias },
  };
}

function qwen2(config: unknown, where: string): Omit<DecoderConfig, 'logits'> {
  const c = readConfig(qwen2Schema, config, where);
  const windowed =
    c.use_sliding_window && c.sliding_window !== null && c.max_window_layers < c.num_hidden_layers;
  if (windowed && c.sliding_window! < c.max_position_embeddings) {
    throw unsupported(
      'use_sliding_window',
      true,
      'attention over the whole sequence (use_sliding_window false)',
    );
  }
  const kvHeads = c.num_key_value_heads ?? c.num_attention_heads;
  return { ...common(c, kvHeads, null, where), qkvBias: true, outputBias: false, mlpBias: false };
}

type Common = z.infer<typeof llamaSchema> | z.infer<typeof qwen2Schema>;

function common(c: Common, kvHeads: number, headWidth: number | null, where: string) {
  const { hidden_size: width, num_attention_heads: heads } = c;
  if (headWidth === null) mustDivide(['num_attention_heads', heads], ['hidden_size', width], where);
  mustDivide(['num_key_value_heads', kvHeads], ['num_attention_heads', heads], where);
  const perHead = headWidth ?? width / heads;
  if (perHead % 2 !== 0) {
    const field = headWidth === null ? 'num_attention_heads' : 'head_dim';
    throw wrong(field, `rotary positions need an even number per head, it is ${perHead}`, where);
  }
  if ((c.partial_rotary_factor ?? 1) !== 1) {
    throw unsupported('partial_rotary_factor', c.partial_rotary_factor, '1');
  }
  return {
    ...{ vocabulary: c.vocab_size, width, depth: c.num_hidden_layers, heads, kvHeads },
    ...{ headWidth: perHead, mlpWidth: c.intermediate_size, eps: c.rms_norm_eps },
    ...{ activation: c.hidden_act, context: c.max_position_embeddings, tied: c.tie_word_embeddings },
    rotary: { theta: c.rope_theta, factor: scalingFactor(c.rope_scaling, where) },
  };
}

/** The older key `type` wins over `rope_type`, as in LlamaConfig. */
function scalingFactor(scaling: z.infer<typeof ropeScaling>, where: string): number {
  const kind = scaling?.type ?? scaling?.rope_type ?? 'default';
  if (kind === 'default') return 1;
  if (kind !== 'linear') throw unsupported('rope_scaling.rope_type', kind, 'default, linear');
  if (scaling?.factor === undefined) throw wrong('rope_scaling.factor', 'linear scaling needs it', where);
  return scaling.factor;
}

/** LlamaForCausalLM and Qwen2ForCausalLM. */
export function transformersDecoder(
  family: 'llama' | 'qwen2',
  config: unknown,
  options: CheckpointOptions,
): ModelDef<DecoderConfig> {
  return {
    ...{ name: family, family, task: 'generate', build: buildDecoder, parts: DECODER_PARTS },
    config: { ...decoderOf(family, config, family), logits: options.logits ?? 'last' },
  };
}

const LLAVA_TOWER = {
  ...{ intermediate_size: 4096, hidden_size: 1024, patch_size: 14, image_size: 336 },
  ...{ num_hidden_layers: 24, num_attention_heads: 16 },
};

const part = z.looseObject({ model_type: z.string().optional() }).nullish();
const llavaSchema = z.looseObject({
  vision_config: part,
  text_config: part,
  image_token_index: z.int().min(0).default(32000),
  projector_hidden_act: activation.default('gelu'),
  vision_feature_select_strategy: z.enum(['default', 'full']).default('default'),
  vision_feature_layer: z.int().default(-2),
});

/** LlavaForConditionalGeneration with CLIP's tower. */
export function transformersLlava(config: unknown, options: CheckpointOptions): ModelDef<LlavaConfig> {
  const c = readConfig(llavaSchema, config, 'llava');
  const tower = c.vision_config?.model_type ?? 'clip_vision_model';
  if (tower !== 'clip_vision_model')
    throw unsupported('vision_config.model_type', tower, 'clip_vision_model');
  const vision = clipVision(c.vision_config ?? LLAVA_TOWER, 'llava, vision_config');
  if (c.vision_feature_layer < -vision.depth - 1 || c.vision_feature_layer > vision.depth) {
    throw wrong('vision_feature_layer', `the tower has ${vision.depth + 1} hidden states`, 'llava');
  }
  const text = decoderOf(c.text_config?.model_type ?? 'llama', c.text_config ?? {}, 'llava, text_config');
  return {
    ...{ name: 'llava', family: 'llava', task: 'generate', build: buildLlava, parts: LLAVA_PARTS },
    config: {
      ...{
        vision,
        text: { ...text, logits: options.logits ?? 'last' },
        featureLayer: c.vision_feature_layer,
      },
      ...{
        keepClassToken: c.vision_feature_select_strategy === 'full',
        projectorActivation: c.projector_hidden_act,
      },
      ...{ imageToken: c.image_token_index, taps: options.taps ?? false },
    },
  };
}
