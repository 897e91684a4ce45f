import * as z from 'zod';
import type { ModelDef } from '../../core/model.ts';
import type { BartConfig } from '../bart.ts';
import {
  buildFlorence2,
  type Florence2Config,
  type Florence2Naming,
  florence2Parts,
  florence2Text,
} from '../florence2.ts';
import { activation, depth, mustDivide, readConfig, sides, size, unsupported, wrong } from './fields.ts';
import { florence2Vision } from './florence2-vision.ts';
import type { CheckpointOptions } from './index.ts';

/*
 * Florence-2 as Microsoft published it (configuration_florence2.py of microsoft/Florence-2-*) and as transformers has it
 * since 4.56 (Florence2Config, BartConfig). The two name tensors and a few keys differently.
 */

const id = z
  .int()
  .min(0)
  .max(1 << 24);

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
  decoder_start_token_id: id.nullish(),
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

const part = z.record(z.string(), z.unknown()).nullish();
const schema = z.looseObject({
  vision_config: part,
  text_config: part,
  image_size: sides.optional(),
  image_token_id: id.default(51289),
  tie_word_embeddings: z.boolean().default(true),
});

/** Vocabulary where a config leaves it out: Florence2LanguageConfig's, BartConfig's. */
const VOCABULARY = { microsoft: 51289, transformers: 50265 } as const;

/** Florence2ForConditionalGeneration in either layout. */
export function florence2(
  config: unknown,
  names: ReadonlySet<string>,
  options: CheckpointOptions,
): ModelDef<Florence2Config> {
  const c = readConfig(schema, config, 'florence2');
  const naming = layoutOf(names, c.vision_config ?? {});
  const t = readConfig(textSchema, c.text_config ?? {}, 'florence2, text_config');
  const text: BartConfig = {
    ...textOf(t, naming, names),
    head: naming === 'transformers' && !c.tie_word_embeddings ? 'lm_head.weight' : null,
    logits: options.logits ?? 'last',
  };
  const image = options.image ?? c.image_size ?? [768, 768];
  const { projection, ...seen } = florence2Vision(c.vision_config ?? {}, naming, image);
  if (projection !== text.width) {
    throw wrong(
      'projection_dim',
      `${projection} must be d_model (${text.width}): images and text are one sequence`,
      'florence2, vision_config',
    );
  }
  if (naming === 'transformers' && c.image_token_id >= text.vocabulary) {
    throw wrong(
      'image_token_id',
      `${c.image_token_id} is beyond vocab_size (${text.vocabulary})`,
      'florence2',
    );
  }
  return {
    ...{ name: 'florence2', family: 'florence2', task: 'generate', build: buildFlorence2 },
    config: {
      ...{ ...seen, text, naming },
      imageToken: naming === 'transformers' ? c.image_token_id : null,
      taps: options.taps ?? false,
    },
    parts: florence2Parts(naming),
    ...{ decoderStart: t.decoder_start_token_id ?? 2, context: text.context },
  };
}

/** The tensors tell; where there are none, the spelling of the tower's widths does. */
function layoutOf(names: ReadonlySet<string>, vision: Record<string, unknown>): Florence2Naming {
  for (const name of names) {
    if (name.includes('multi_modal_projector.')) return 'transformers';
    if (/(^|\.)image_projection$/.test(name)) return 'microsoft';
  }
  return 'embed_dim' in vision || vision.model_type === 'florence_vision' ? 'transformers' : 'microsoft';
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
    ...{ vocabulary: t.vocab_size ?? VOCABULARY[naming], width, context: t.max_position_embeddings },
    ...{ encoder: stack('encoder'), decoder: stack('decoder'), eps: 1e-5 },
    ...{ activation: t.activation_function, scaledEmbedding: t.scale_embedding, prefix },
    table: TABLES[naming].find((name) => names.has(name)) ?? TABLES[naming][0]!,
    logitsBias: [...names].find((name) => /(^|\.)final_logits_bias$/.test(name)) ?? null,
  };
}
