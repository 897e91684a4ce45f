import type { Graph } from '../core/graph.ts';
import type { Parts } from '../core/model.ts';
import { GraphBuilder } from '../graph/builder.ts';
import { type ClipVision, checkClipVision, clipVisionEncoder } from './clip.ts';
import { checkFeatureLayer, layersRead, withoutClassToken, withUnreadLayers } from './clip-features.ts';
import { buildSplicedDecoder, type DecoderConfig } from './decoder.ts';
import { type Activation, activate, linear, toRows } from './layers.ts';

/**
 * A language model that sees: CLIP's vision tower, read before its last layers, and two linear layers that turn every
 * patch into a token embedding; those take the places of image tokens in the prompt. Source: Liu et al., "Visual
 * instruction tuning" (2023) and "Improved baselines with visual instruction tuning" (2023).
 */
export interface LlavaConfig {
  readonly vision: ClipVision;
  /** Which of the tower's hidden states is read: 0 is the embeddings, negative ones count from the last, -1. */
  readonly featureLayer: number;
  /** The class token is an image token too. */
  readonly keepClassToken: boolean;
  readonly projectorActivation: Activation;
  readonly text: DecoderConfig;
  /** The token id whose places the image takes. */
  readonly imageToken: number;
  /** Also put out the tower's hidden state. */
  readonly taps?: boolean;
}

/** For scopes of training: the projector is what joins tower and language model. */
export const LLAVA_PARTS: Parts = {
  vision: ['vision_tower'],
  'cross-modal': ['multi_modal_projector'],
  text: ['language_model'],
};

const TOWER = 'vision_tower.vision_model';

/**
 * `vision`: pixel_values → image_features [batch, tokens, width]; `embed`: input_ids → inputs_embeds; `decoder`:
 * inputs_embeds, attention_mask, position_ids, past_key_values.* → logits, present.*. The host puts the features in place.
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildLlava(config: LlavaConfig): Record<string, Graph> {
  checkClipVision('llava', config.vision);
  checkFeatureLayer('llava', config.vision, config.featureLayer);
  return { vision: visionGraph(config), ...buildSplicedDecoder(config.text, 'language_model.') };
}

/** Image tokens per image. */
function imageTokens({ vision, keepClassToken }: LlavaConfig): number {
  const [rows, columns] = [0, 1].map((i) => Math.floor(vision.image[i]! / vision.patch[i]!));
  return rows! * columns! + (keepClassToken ? 1 : 0);
}

function visionGraph(config: LlavaConfig): Graph {
  const { vision, text } = config;
  const g = new GraphBuilder('llava.vision');
  const image = g.input('pixel_values', 'float32', ['batch', vision.channels, ...vision.image]);
  const layers = layersRead(vision, config.featureLayer);
  const hidden = g.scope('tower', () => clipVisionEncoder(g, image, vision, TOWER, layers));
  if (config.taps) g.output('vision_hidden', hidden);
  const tokens = imageTokens(config);
  g.scope('projector', () => {
    const read = config.keepClassToken ? hidden : withoutClassToken(g, hidden);
    const wide = linear(g, toRows(g, read), 'multi_modal_projector.linear_1', {
      from: vision.width,
      to: text.width,
    });
    const features = linear(
      g,
      activate(g, wide, config.projectorActivation),
      'multi_modal_projector.linear_2',
      {
        from: text.width,
        to: text.width,
      },
    );
    g.output('image_features', g.reshape(features, ['batch', tokens, text.width]));
  });
  return withUnreadLayers(g.build(), vision, TOWER);
}
