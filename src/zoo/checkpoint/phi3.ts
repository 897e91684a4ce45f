import * as z from 'zod';
import type { ModelDef } from '../../core/model.ts';
import { buildDecoder, type DecoderConfig } from '../decoder.ts';
import type { LongRope } from '../long-rope.ts';
import { buildPhi3Vision, type Phi3VisionConfig } from '../phi3-vision.ts';
import type { Rotary } from '../rotary.ts';
import { clipVision } from './clip.ts';
import { activation, depth, mustDivide, positive, readConfig, size, unsupported, wrong } from './fields.ts';
import type { CheckpointOptions } from './index.ts';

/* Phi3Config of transformers 4.45.2, and Phi3VConfig of the code published with Phi-3.5-vision. */

const factors = z.array(positive).optional();
const textSchema = z.looseObject({
  vocab_size: size.default(32064),
  hidden_size: size.default(3072),
  intermediate_size: size.default(8192),
  num_hidden_layers: depth.default(32),
  num_attention_heads: size.default(32),
  num_key_value_heads: size.nullish(),
  hidden_act: activation.default('silu'),
  max_position_embeddings: size.default(4096),
  original_max_position_embeddings: size.default(4096),
  rms_norm_eps: positive.default(1e-5),
  rope_theta: positive.default(10000),
  rope_scaling: z
    .looseObject({
      type: z.string().optional(),
      rope_type: z.string().optional(),
      short_factor: factors,
      long_factor: factors,
    })
    .nullish(),
  sliding_window: size.nullish(),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().nullish(),
  partial_rotary_factor: z.number().nullish(),
});
type Text = z.infer<typeof textSchema>;

function decoderOf(c: Text, where: string): Omit<DecoderConfig, 'logits'> {
  const { hidden_size: width, num_attention_heads: heads, max_position_embeddings: context } = c;
  const kvHeads = c.num_key_value_heads ?? heads;
  mustDivide(['num_attention_heads', heads], ['hidden_size', width], where);
  mustDivide(['num_key_value_heads', kvHeads], ['num_attention_heads', heads], where);
  const headWidth = width / heads;
  if (headWidth % 2 !== 0) {
    throw wrong(
      'num_attention_heads',
      `rotary positions need an even number per head, it is ${headWidth}`,
      where,
    );
  }
  if ((c.partial_rotary_factor ?? 1) !== 1) {
    throw unsupported('partial_rotary_factor', c.partial_rotary_factor, '1');
  }
  if (c.attention_bias) throw unsupported('attention_bias', true, 'false');
  // A window as long as the context hides nothing.
  const windowed = c.sliding_window && c.sliding_window < context;
  return {
    ...{ vocabulary: c.vocab_size, width, depth: c.num_hidden_layers, heads, kvHeads, headWidth },
    ...{ mlpWidth: c.intermediate_size, eps: c.rms_norm_eps, activation: c.hidden_act, context },
    ...{ rotary: rotaryOf(c, headWidth, where), tied: c.tie_word_embeddings, fused: true },
    ...{ qkvBias: false, outputBias: false, mlpBias: false },
    ...(windowed && { window: c.sliding_window! }),
  };
}

/** `su` is the name under which LongRoPE was first published. */
function rotaryOf(c: Text, headWidth: number, where: string): Rotary | LongRope {
  const kind = c.rope_scaling?.type ?? c.rope_scaling?.rope_type ?? 'default';
  if (kind === 'default') return { theta: c.rope_theta, factor: 1 };
  if (kind !== 'longrope' && kind !== 'su') {
    throw unsupported('rope_scaling.type', kind, 'default, longrope, su');
  }
  const list = (name: 'short_factor' | 'long_factor'): readonly number[] => {
    const found = c.rope_scaling?.[name];
    const field = `rope_scaling.${name}`;
    if (found?.length === headWidth / 2) return found;
    throw wrong(
      field,
      `${headWidth / 2} factors, one per frequency, are needed, not ${found?.length ?? 0}`,
      where,
    );
  };
  const [original, extended] = [c.original_max_position_embeddings, c.max_position_embeddings];
  if (original < 2 && extended > original) {
    throw wrong('original_max_position_embeddings', 'LongRoPE needs at least 2', where);
  }
  return { theta: c.rope_theta, short: list('short_factor'), long: list('long_factor'), original, extended };
}

/** Phi3ForCausalLM. */
export function transformersPhi3(config: unknown, options: CheckpointOptions): ModelDef<DecoderConfig> {
  const decoder = decoderOf(readConfig(textSchema, config, 'phi3'), 'phi3');
  return {
    ...{ name: 'phi3', family: 'phi3', task: 'generate', build: buildDecoder },
    config: { ...decoder, logits: options.logits ?? 'last' },
  };
}

/** openai/clip-vit-large-patch14-336, whose sizes the published code holds; a config may bring others. */
const TOWER = {
  ...{ hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 24, num_attention_heads: 16 },
  ...{ image_size: 336, patch_size: 14 },
};

const visionSchema = z.looseObject({
  embd_layer: z.looseObject({
    projection_cls: z.string().default('linear'),
    use_hd_transform: z.boolean().default(false),
    with_learnable_separator: z.boolean().default(false),
    hd_transform_order: z.enum(['sub_glb', 'glb_sub']).default('glb_sub'),
  }),
  img_processor: z.looseObject({
    name: z.string(),
    image_dim_out: size,
    layer_idx: z.int().default(-2),
    type_feature: z.string().default('patch'),
  }),
  clip_vision_config: z.record(z.string(), z.unknown()).default({}),
  crop_size: size.optional(),
});

/** Phi3VForCausalLM. */
export function transformersPhi3Vision(
  config: unknown,
  options: CheckpointOptions,
): ModelDef<Phi3VisionConfig> {
  const where = 'phi3_v';
  const c = readConfig(visionSchema, config, where);
  const { embd_layer: layer, img_processor: processor } = c;
  for (const [field, value, understood] of [
    ['embd_layer.use_hd_transform', layer.use_hd_transform, true],
    ['embd_layer.with_learnable_separator', layer.with_learnable_separator, true],
    ['embd_layer.projection_cls', layer.projection_cls, 'mlp'],
    ['img_processor.name', processor.name, 'clip_vision_model'],
    ['img_processor.type_feature', processor.type_feature, 'patch'],
  ] as const) {
    if (value !== understood) throw unsupported(field, value, String(understood));
  }
  const vision = clipVision({ ...TOWER, ...c.clip_vision_config }, 'phi3_v, clip_vision_config');
  const [height, width] = vision.image;
  if (height !== width || (c.crop_size ?? height) !== height) {
    throw wrong('crop_size', `crops are squares as large as the tower's image, ${height} × ${width}`, where);
  }
  const [rows, columns] = vision.patch.map((side) => Math.floor(height / side));
  if (rows !== columns || rows! % 2 !== 0) {
    const what = `2 × 2 patches become one token, and a crop has ${rows} × ${columns}`;
    throw wrong('clip_vision_config.patch_size', what, where);
  }
  if (processor.image_dim_out !== vision.width) {
    throw wrong('img_processor.image_dim_out', `the tower's width is ${vision.width}`, where);
  }
  if (processor.layer_idx < -vision.depth - 1 || processor.layer_idx > vision.depth) {
    throw wrong('img_processor.layer_idx', `the tower has ${vision.depth + 1} hidden states`, where);
  }
  const text = decoderOf(readConfig(textSchema, config, where), where);
  return {
    ...{ name: 'phi3-vision', family: 'phi3-vision', task: 'generate', build: buildPhi3Vision },
    config: {
      ...{ vision, text: { ...text, logits: options.logits ?? 'last' }, featureLayer: processor.layer_idx },
      ...{ globalFirst: layer.hd_transform_order === 'glb_sub', taps: options.taps ?? false },
    },
  };
}
