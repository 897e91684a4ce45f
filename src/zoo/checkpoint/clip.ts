import * as z from 'zod';
import type { ModelDef } from '../../core/model.ts';
import { buildClip, CLIP_PARTS, type ClipConfig, type ClipVision } from '../clip.ts';
import { activation, depth, mustDivide, mustHoldPatch, positive, readConfig, sides, size } from './fields.ts';
import type { CheckpointOptions } from './index.ts';

/* CLIPConfig, CLIPTextConfig and CLIPVisionConfig of transformers 4.45.2. */

const visionSchema = z.looseObject({
  hidden_size: size.default(768),
  intermediate_size: size.default(3072),
  num_hidden_layers: depth.default(12),
  num_attention_heads: size.default(12),
  num_channels: size.default(3),
  image_size: sides.default([224, 224]),
  patch_size: sides.default([32, 32]),
  hidden_act: activation.default('quick_gelu'),
  layer_norm_eps: positive.default(1e-5),
});

const textSchema = z.looseObject({
  vocab_size: size.default(49408),
  hidden_size: size.default(512),
  intermediate_size: size.default(2048),
  num_hidden_layers: depth.default(12),
  num_attention_heads: size.default(8),
  max_position_embeddings: size.default(77),
  hidden_act: activation.default('quick_gelu'),
  layer_norm_eps: positive.default(1e-5),
  eos_token_id: z.int().min(0).default(49407),
});

const part = z.record(z.string(), z.unknown()).nullish();
const schema = z.looseObject({
  text_config: part,
  vision_config: part,
  // Files of 2022 hold the towers here, complete; where present they win.
  text_config_dict: part,
  vision_config_dict: part,
  projection_dim: size.default(512),
});

/** A CLIP vision tower by its own config. */
export function clipVision(config: unknown, where: string): ClipVision {
  const c = readConfig(visionSchema, config, where);
  mustDivide(['num_attention_heads', c.num_attention_heads], ['hidden_size', c.hidden_size], where);
  mustHoldPatch(['image_size', c.image_size], ['patch_size', c.patch_size], where);
  return {
    ...{ width: c.hidden_size, depth: c.num_hidden_layers, heads: c.num_attention_heads },
    ...{ mlpWidth: c.intermediate_size, eps: c.layer_norm_eps, activation: c.hidden_act },
    ...{ image: c.image_size, patch: c.patch_size, channels: c.num_channels },
  };
}

/** CLIPModel. */
export function transformersClip(config: unknown, options: CheckpointOptions): ModelDef<ClipConfig> {
  const c = readConfig(schema, config, 'clip');
  const text = readConfig(textSchema, c.text_config_dict ?? c.text_config ?? {}, 'clip, text_config');
  mustDivide(
    ['num_attention_heads', text.num_attention_heads],
    ['hidden_size', text.hidden_size],
    'clip, text_config',
  );
  return {
    ...{ name: 'clip', family: 'clip', task: 'embed', build: buildClip, parts: CLIP_PARTS },
    dims: { sequence: text.max_position_embeddings, images: 1, texts: 1 },
    config: {
      vision: clipVision(c.vision_config_dict ?? c.vision_config ?? {}, 'clip, vision_config'),
      text: {
        ...{ width: text.hidden_size, depth: text.num_hidden_layers, heads: text.num_attention_heads },
        ...{ mlpWidth: text.intermediate_size, eps: text.layer_norm_eps, activation: text.hidden_act },
        ...{ vocabulary: text.vocab_size, context: text.max_position_embeddings },
        // OpenAI's own files say 2 and mean the largest id; CLIPTextTransformer keeps that for them.
        endOfText: text.eos_token_id === 2 ? 'largest' : text.eos_token_id,
      },
      projection: c.projection_dim,
      taps: options.taps ?? false,
    },
  };
}
