import * as z from 'zod';
import type { ModelDef } from '../../core/model.ts';
import { buildClipResNet, type ClipResNetConfig } from '../clip-resnet.ts';
import { depth, mustDivide, readConfig, sides, size, unsupported, wrong } from './fields.ts';
import type { CheckpointOptions } from './index.ts';

/* open_clip's model_configs/RN50.json and its like, with `architecture: "clip_resnet"` beside its keys. */

const schema = z.looseObject({
  embed_dim: size,
  /** OpenAI's weights; open_clip's own were trained with GELU. */
  quick_gelu: z.boolean().default(false),
  vision_cfg: z.looseObject({
    layers: z.tuple([depth, depth, depth, depth], 'expected the blocks of four stages'),
    width: size.default(64),
    head_width: size.default(64),
    image_size: sides.default([224, 224]),
    timm_model_name: z.string().nullish(),
  }),
  text_cfg: z
    .looseObject({
      context_length: size.default(77),
      vocab_size: size.default(49408),
      width: size.default(512),
      heads: size.default(8),
      layers: depth.default(12),
      mlp_ratio: z.number().positive().default(4),
      hf_model_name: z.string().nullish(),
    })
    .default({ context_length: 77, vocab_size: 49408, width: 512, heads: 8, layers: 12, mlp_ratio: 4 }),
});

/** CLIP and CustomTextCLIP of open_clip with a ModifiedResNet; OpenAI's files, which have no config, have the same tensors. */
export function openClipResNet(config: unknown, options: CheckpointOptions): ModelDef<ClipResNetConfig> {
  const where = 'clip_resnet';
  const {
    embed_dim: projection,
    vision_cfg: v,
    text_cfg: t,
    quick_gelu: quick,
  } = readConfig(schema, config, where);
  if (v.timm_model_name) throw unsupported('vision_cfg.timm_model_name', v.timm_model_name, 'none');
  if (t.hf_model_name) throw unsupported('text_cfg.hf_model_name', t.hf_model_name, 'none');
  if (v.width % 2 !== 0) throw wrong('vision_cfg.width', `${v.width} is odd, the stem has half of it`, where);
  if (v.image_size.some((edge) => edge % 32 !== 0)) {
    throw wrong('vision_cfg.image_size', `${v.image_size.join(' × ')} is no multiple of 32`, where);
  }
  const channels = 32 * v.width;
  mustDivide(['vision_cfg.head_width', v.head_width], ['32 · vision_cfg.width', channels], where);
  mustDivide(['text_cfg.heads', t.heads], ['text_cfg.width', t.width], where);
  const mlpWidth = Math.floor(t.width * t.mlp_ratio);
  if (!size.safeParse(mlpWidth).success) {
    throw wrong('text_cfg.mlp_ratio', `makes the MLP ${mlpWidth} wide`, where);
  }
  return {
    ...{ name: 'clip-resnet', family: 'clip', task: 'embed', build: buildClipResNet },
    dims: { sequence: t.context_length, images: 1, texts: 1 },
    config: {
      vision: {
        image: v.image_size,
        channels: 3,
        width: v.width,
        depths: v.layers,
        heads: channels / v.head_width,
      },
      text: {
        ...{ width: t.width, depth: t.layers, heads: t.heads, mlpWidth, eps: 1e-5 },
        ...{ activation: quick ? 'quick_gelu' : 'gelu', vocabulary: t.vocab_size },
        ...{ context: t.context_length, endOfText: 'largest' },
      },
      ...{ projection, taps: options.taps ?? false },
    },
  };
}
