import type { Graph } from '../core/graph.ts';
import type { Parts } from '../core/model.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { checkSizes } from './check.ts';
import { type ClipText, checkClipText, clipTextTower } from './clip-text.ts';
import { EMBEDDING, layerNorm, linear, patchEmbedding, repeatedToken, toRows } from './layers.ts';
import {
  checkPatches,
  checkTower,
  encoderLayerNames,
  encoderLayers,
  type Patches,
  similarityGraph,
  type Tower,
  unitLength,
} from './towers.ts';

/**
 * Contrastive language–image pre-training: a vision tower and a text tower, each projected into one space, where an image
 * and its caption point the same way. Source: Radford et al., "Learning transferable visual models from natural language
 * supervision" (2021); names and details as in transformers' CLIPModel.
 */
export interface ClipVision extends Tower, Patches {}
export interface ClipConfig {
  readonly vision: ClipVision;
  readonly text: ClipText;
  /** Width of the common space. */
  readonly projection: number;
  /** Also put out what lies before the normalisation: features, hidden states, the logit scale. */
  readonly taps?: boolean;
}

/** For scopes of training: the scale of the similarities belongs to neither tower. */
export const CLIP_PARTS: Parts = {
  vision: ['vision_model', 'visual_projection'],
  text: ['text_model', 'text_projection'],
  'cross-modal': ['logit_scale'],
};

/** ln(1 / 0.07): where training starts CLIP's logit scale. */
export const INITIAL_SCALE = 2.6592;

/**
 * `vision`: pixel_values → image_embeds; `text`: input_ids, attention_mask [batch, sequence] → text_embeds, both of length
 * 1; `similarity`: image_embeds [images, projection], text_embeds [texts, projection] → logits_per_image [images, texts].
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildClip(config: ClipConfig): Record<string, Graph> {
  const { text, projection, taps = false } = config;
  checkClipVision('clip', config.vision);
  checkClipText('clip', text);
  checkSizes('clip', { projection });
  const g = new GraphBuilder('clip.text');
  clipTextTower(g, text, { naming: 'transformers', projection, taps });
  return {
    vision: visionGraph(config),
    text: g.build(),
    similarity: similarityGraph('clip.similarity', {
      ...{ projection, scalar: [], scale: INITIAL_SCALE, bias: null, taps },
    }),
  };
}

function visionGraph({ vision, projection, taps }: ClipConfig): Graph {
  const g = new GraphBuilder('clip.vision');
  const image = g.input('pixel_values', 'float32', ['batch', vision.channels, ...vision.image]);
  const hidden = clipVisionEncoder(g, image, vision, 'vision_model', vision.depth);
  if (taps) g.output('vision_last_hidden_state', hidden);
  const pooled = clipVisionPooling(g, hidden, vision, 'vision_model');
  const features = linear(g, pooled, 'visual_projection', {
    from: vision.width,
    to: projection,
    bias: false,
  });
  if (taps) g.output('image_features', features);
  g.output('image_embeds', unitLength(g, features));
  return g.build();
}

/**
 * The vision tower up to a layer: [batch, 1 + patches, width], class token first, before the last norm. LLaVA reads an
 * inner layer, so `layers` may be less than the depth. The batch is the image's, whatever its name.
 */
export function clipVisionEncoder(
  g: GraphBuilder,
  image: Value,
  shape: ClipVision,
  prefix: string,
  layers: number,
): Value {
  const { width, eps } = shape;
  const batch = image.shape[0]!;
  const sequence = g.scope('embeddings', () => {
    const name = `${prefix}.embeddings`;
    const patches = patchEmbedding(g, image, `${name}.patch_embedding`, { ...shape, bias: false });
    const classToken = repeatedToken(g, g.param(`${name}.class_embedding`, [width], EMBEDDING), width, batch);
    const tokens = g.concat([classToken, patches], 1);
    const positions = g.param(
      `${name}.position_embedding.weight`,
      [Number(tokens.shape[1]), width],
      EMBEDDING,
    );
    return layerNorm(g, g.add(tokens, positions), `${prefix}.pre_layrnorm`, width, eps);
  });
  const length = Number(sequence.shape[1]);
  const rows = encoderLayers(g, toRows(g, sequence), { ...shape, batch, length, mask: null }, layers, (i) =>
    encoderLayerNames(prefix, i),
  );
  return g.reshape(rows, [batch, length, width]);
}

/** The class token behind the last norm, [batch, width]. */
export function clipVisionPooling(g: GraphBuilder, hidden: Value, shape: ClipVision, prefix: string): Value {
  const classToken = g.gather(hidden, g.scalar(0, 'int64'), 1);
  return layerNorm(g, classToken, `${prefix}.post_layernorm`, shape.width, shape.eps);
}

/** @throws VersusError `usage` when a size is impossible; names the field. */
export function checkClipVision(model: string, vision: ClipVision): void {
  const where = `${model}, vision tower`;
  checkTower(where, vision);
  checkPatches(where, vision);
}
