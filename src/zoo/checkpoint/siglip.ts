import * as z from 'zod';
import type { ModelDef } from '../../core/model.ts';
import {
  buildSiglip,
  buildSovit,
  type SiglipConfig,
  type SiglipText,
  type SiglipVision,
  type SovitConfig,
} from '../siglip.ts';
import {
  activation,
  depth,
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

/* SiglipConfig, SiglipTextConfig and SiglipVisionConfig of transformers 4.45.2. */

const tower = {
  hidden_size: size.default(768),
  intermediate_size: size.default(3072),
  num_hidden_layers: depth.default(12),
  num_attention_heads: size.default(12),
  hidden_act: activation.default('gelu_tanh'),
  layer_norm_eps: positive.default(1e-6),
};

const visionSchema = z.looseObject({
  ...tower,
  num_channels: size.default(3),
  image_size: sides.default([224, 224]),
  patch_size: sides.default([16, 16]),
  // Towers that were taken out of a vision-language model may lack the pooling head.
  vision_use_head: z.boolean().default(true),
});

const textSchema = z.looseObject({
  ...tower,
  vocab_size: size.default(32000),
  max_position_embeddings: size.default(64),
  pad_token_id: z.int().min(0).nullable().default(1),
  // Written since transformers 4.49.
  projection_size: size.nullish(),
});

const part = z.record(z.string(), z.unknown()).nullish();
const schema = z.looseObject({ text_config: part, vision_config: part });

type Shape = z.infer<z.ZodObject<typeof tower>>;

const towerOf = (c: Shape, where: string) => {
  mustDivide(['num_attention_heads', c.num_attention_heads], ['hidden_size', c.hidden_size], where);
  return {
    ...{ width: c.hidden_size, depth: c.num_hidden_layers, heads: c.num_attention_heads },
    ...{ mlpWidth: c.intermediate_size, eps: c.layer_norm_eps, activation: c.hidden_act },
  };
};

function visionOf(config: unknown, where: string): SiglipVision {
  const c = readConfig(visionSchema, config, where);
  mustHoldPatch(['image_size', c.image_size], ['patch_size', c.patch_size], where);
  if (!c.vision_use_head) throw unsupported('vision_use_head', false, 'true');
  return {
    ...towerOf(c, where),
    ...{ image: c.image_size, patch: c.patch_size, channels: c.num_channels },
  };
}

/** SiglipModel. Texts are padded to the whole context, as its processor does (`padding="max_length"`). */
export function transformersSiglip(config: unknown, options: CheckpointOptions): ModelDef<SiglipConfig> {
  const c = readConfig(schema, config, 'siglip');
  const vision = visionOf(c.vision_config ?? {}, 'siglip, vision_config');
  const t = readConfig(textSchema, c.text_config ?? {}, 'siglip, text_config');
  const text: SiglipText = {
    ...towerOf(t, 'siglip, text_config'),
    ...{ vocabulary: t.vocab_size, context: t.max_position_embeddings },
  };
  const projection = t.projection_size ?? t.hidden_size;
  if (projection !== vision.width) {
    const field = t.projection_size ? 'projection_size' : 'hidden_size';
    const message = `texts become ${projection} wide, images (vision_config.hidden_size) ${vision.width}`;
    throw wrong(field, message, 'siglip, text_config');
  }
  return {
    ...{ name: 'siglip', family: 'siglip', task: 'embed', build: buildSiglip },
    config: { vision, text, taps: options.taps ?? false },
    text: { context: text.context, ...(t.pad_token_id !== null && { pad: t.pad_token_id }) },
  };
}

/** SiglipVisionModel: the tower alone, under the same tensor names. */
export function transformersSiglipVision(config: unknown, options: CheckpointOptions): ModelDef<SovitConfig> {
  const vision = visionOf(config, 'siglip_vision_model');
  return {
    ...{ name: 'siglip-vision', family: 'sovit', task: 'classify', build: buildSovit },
    config: { vision, taps: options.taps ?? false },
  };
}
