import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import { fromCheckpointConfig } from '../../src/zoo/checkpoint/index.ts';
import type { Florence2Config } from '../../src/zoo/florence2.ts';
import { model } from '../../src/zoo/index.ts';

const configIn = (folder: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname, '..', 'fixtures', folder, 'config.json'), 'utf8'));
const MICROSOFT = configIn('hf-florence2');
const NATIVE = configIn('hf-florence2-native');
/** What tells the layouts apart. */
const MICROSOFT_NAMES = ['image_projection', 'language_model.model.shared.weight'];
const NATIVE_NAMES = ['model.multi_modal_projector.image_projection.weight'];

const read = (config: unknown, names: readonly string[] = []) =>
  fromCheckpointConfig(config, names).model.config as Florence2Config;

describe("Florence-2's config.json", () => {
  const vision = (change: object) => ({
    ...MICROSOFT,
    vision_config: { ...MICROSOFT.vision_config, ...change },
  });
  const text = (change: object) => ({ ...MICROSOFT, text_config: { ...MICROSOFT.text_config, ...change } });

  it.each([
    ['lists of different lengths', vision({ depths: [1, 1, 2] }), 'depths'],
    ['paddings that are missing', vision({ patch_padding: [3] }), 'patch_padding'],
    ['heads that do not divide', vision({ num_heads: [2, 2, 3, 4] }), 'num_heads.2'],
    ['groups that do not divide', vision({ num_groups: [2, 5, 4, 4] }), 'num_groups.1'],
    ['a width below zero', vision({ dim_embed: [8, -12, 16, 24] }), 'dim_embed.1'],
    [
      'a last width of one',
      vision({ dim_embed: [8, 12, 16, 1], num_heads: [1, 1, 1, 1], num_groups: [1, 1, 1, 1] }),
      'embed_dim',
    ],
    ['a kernel that no image holds', vision({ patch_size: [200, 3, 3, 3] }), 'image_size'],
    [
      'fewer positions than rows',
      vision({ image_pos_embed: { type: 'learned_abs_2d', max_pos_embeddings: 1 } }),
      'max_pos_embeddings',
    ],
    ['a projection of another width', vision({ projection_dim: 31 }), 'projection_dim'],
    ['an unknown source', vision({ image_feature_source: ['first_frame'] }), 'image_feature_source'],
    ['no source', vision({ image_feature_source: [] }), 'image_feature_source'],
    ['an encoder without layers', text({ encoder_layers: 0 }), 'encoder_layers'],
    ['decoder heads that do not divide', text({ decoder_attention_heads: 5 }), 'decoder_attention_heads'],
    ['a vocabulary that is no number', text({ vocab_size: '96' }), 'vocab_size'],
    ['an endless context', text({ max_position_embeddings: 1e12 }), 'max_position_embeddings'],
    ['an image token beyond the vocabulary', { ...NATIVE, image_token_id: 96 }, 'image_token_id'],
    [
      'a ratio of nothing',
      { ...NATIVE, vision_config: { ...NATIVE.vision_config, mlp_ratio: 0.01 } },
      'mlp_ratio',
    ],
  ])('%s: names the field', (_, config, field) => {
    try {
      read(config);
      throw new Error('it was accepted');
    } catch (error) {
      expect(error).toBeInstanceOf(VersusError);
      expect((error as VersusError).kind).toBe('input');
      expect((error as VersusError).where).toContain(field);
    }
  });

  it.each([
    ['positions of another kind', vision({ image_pos_embed: null }), /image_pos_embed/],
    ['another embedding of time', vision({ visual_temporal_embedding: { type: 'LEARNED' } }), /LEARNED/],
    ['another language model', text({ model_type: 't5' }), /t5/],
    ['scaled embeddings, which two tables disagree on', text({ scale_embedding: true }), /scale_embedding/],
    ['a norm that the code passes by', vision({ patch_prenorm: [true, true, true, true] }), /patch_prenorm/],
  ])('%s: says so', (_, config, message) => {
    expect(() => read(config)).toThrow(message);
    expect(() => read(config)).toThrow(VersusError);
  });

  it('tells the layouts apart by the tensors first, by the keys where there are none', () => {
    expect(read(MICROSOFT).naming).toBe('microsoft');
    expect(read(NATIVE).naming).toBe('transformers');
    expect(read({ ...MICROSOFT, image_token_id: 95 }, NATIVE_NAMES).naming).toBe('transformers');
    const both = vision({ embed_dim: MICROSOFT.vision_config.dim_embed, model_type: 'florence_vision' });
    expect(read({ ...both, image_token_id: 95 }).naming).toBe('transformers');
    expect(read(both, MICROSOFT_NAMES)).toMatchObject({ naming: 'microsoft', imageToken: null });
  });

  it('reads the published configs as the members are', () => {
    const published = {
      model_type: 'florence2',
      text_config: { vocab_size: 51289, max_position_embeddings: 4096 },
      vision_config: {
        visual_temporal_embedding: { type: 'COSINE', max_temporal_embeddings: 100 },
        image_pos_embed: { type: 'learned_abs_2d', max_pos_embeddings: 50 },
      },
    };
    const names = [...MICROSOFT_NAMES, 'language_model.final_logits_bias'];
    expect(read(published, names)).toEqual({
      ...(model('florence-2-large').config as object),
      taps: false,
    });
  });

  it('keeps to what Microsoft’s code builds whatever the config says', () => {
    const { stages, qkvBias } = read(vision({ mlp_ratio: 2, qkv_bias: false })).vision;
    expect([stages[0]!.mlpWidth, qkvBias]).toEqual([32, true]);
    const native = { ...NATIVE.vision_config, mlp_ratio: 2, qkv_bias: false };
    expect(read({ ...NATIVE, vision_config: native }).vision).toMatchObject({ qkvBias: false });
  });

  it('takes the bias, the head and the first token from what is there', () => {
    expect(read(MICROSOFT, MICROSOFT_NAMES).text.logitsBias).toBeNull();
    expect(read(MICROSOFT, ['language_model.final_logits_bias']).text.logitsBias).toBe(
      'language_model.final_logits_bias',
    );
    expect(read({ ...NATIVE, tie_word_embeddings: false }).text.head).toBe('lm_head.weight');
    expect(read(NATIVE, ['lm_head.weight']).text).toMatchObject({ head: null, table: 'lm_head.weight' });
    expect(fromCheckpointConfig(text({ decoder_start_token_id: 0 }), []).model.decoderStart).toBe(0);
  });
});
