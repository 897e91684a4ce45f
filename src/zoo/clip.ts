import type { Graph } from '../core/graph.ts';
import type { Parts } from '../core/model.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { checkDepths, checkDivides, checkPositive, checkSizes } from './check.ts';
import { type BlockNames, encoderBlock } from './encoder.ts';
import {
  type Activation,
  EMBEDDING,
  layerNorm,
  linear,
  patchEmbedding,
  repeatedToken,
  toRows,
} from './layers.ts';
import { causalMask, countTo } from './mask.ts';

/**
 * Contrastive language–image pre-training: a vision tower and a text tower, each projected into one space, where an image
 * and its caption point the same way. Source: Radford et al., "Learning transferable visual models from natural language
 * supervision" (2021); names and details as in transformers' CLIPModel.
 */
export interface ClipTower {
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpWidth: number;
  readonly eps: number;
  readonly activation: Activation;
}
export interface ClipVision extends ClipTower {
  readonly image: readonly [height: number, width: number];
  readonly patch: readonly [height: number, width: number];
  readonly channels: number;
}
export interface ClipText extends ClipTower {
  readonly vocabulary: number;
  /** Longest text in tokens. */
  readonly context: number;
  /** The token that stands for the text: the first with this id, or (OpenAI's own files) the one with the largest id. */
  readonly endOfText: number | 'largest';
}
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

/**
 * `vision`: pixel_values → image_embeds; `text`: input_ids, attention_mask [batch, sequence] → text_embeds, both of length
 * 1; `similarity`: image_embeds [images, projection], text_embeds [texts, projection] → logits_per_image [images, texts].
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildClip(config: ClipConfig): Record<string, Graph> {
  checkClipVision('clip', config.vision);
  checkText(config);
  return { vision: visionGraph(config), text: textGraph(config), similarity: similarityGraph(config) };
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
  let rows = toRows(g, sequence);
  for (let i = 0; i < layers; i++) {
    rows = g.scope(`layers.${i}`, () =>
      encoderBlock(g, rows, blockNames(prefix, i), {
        ...shape,
        ...{ batch, length, qkvBias: true, mask: null },
      }),
    );
  }
  return g.reshape(rows, [batch, length, width]);
}

/** The class token behind the last norm, [batch, width]. */
export function clipVisionPooling(g: GraphBuilder, hidden: Value, shape: ClipVision, prefix: string): Value {
  const classToken = g.gather(hidden, g.scalar(0, 'int64'), 1);
  return layerNorm(g, classToken, `${prefix}.post_layernorm`, shape.width, shape.eps);
}

function textGraph({ text, projection, taps }: ClipConfig): Graph {
  const g = new GraphBuilder('clip.text');
  const { width, eps } = text;
  const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
  const attentionMask = g.input('attention_mask', 'int64', ['batch', 'sequence']);
  const places = countTo(g, g.dim('sequence'));
  const sequence = g.scope('embeddings', () => {
    const name = 'text_model.embeddings';
    const tokens = g.gather(
      g.param(`${name}.token_embedding.weight`, [text.vocabulary, width], EMBEDDING),
      ids,
      0,
    );
    const positions = g.param(`${name}.position_embedding.weight`, [text.context, width], EMBEDDING);
    return g.add(tokens, g.gather(positions, places, 0));
  });
  const mask = g.scope('mask', () => causalMask(g, attentionMask, places, places));
  let rows = toRows(g, sequence);
  for (let i = 0; i < text.depth; i++) {
    rows = g.scope(`layers.${i}`, () =>
      encoderBlock(g, rows, blockNames('text_model', i), {
        ...text,
        ...{ batch: 'batch', length: 'sequence', qkvBias: true, mask },
      }),
    );
  }
  const norm = (x: Value) => layerNorm(g, x, 'text_model.final_layer_norm', width, eps);
  if (taps) {
    rows = norm(rows);
    g.output('text_last_hidden_state', g.reshape(rows, ['batch', 'sequence', width]));
  }
  // The norm looks at each token alone: without taps only the pooled ones need it.
  const end = g.gather(
    rows,
    g.scope('pooling', () => endOfTextRows(g, ids, text.endOfText)),
    0,
  );
  const pooled = taps ? end : norm(end);
  const features = linear(g, pooled, 'text_projection', { from: width, to: projection, bias: false });
  if (taps) g.output('text_features', features);
  g.output('text_embeds', unitLength(g, features));
  return g.build();
}

/** The row of each text's end-of-text token; ties and repetitions go to the first, a text without one to its first token. */
function endOfTextRows(g: GraphBuilder, ids: Value, endOfText: ClipText['endOfText']): Value {
  const score = endOfText === 'largest' ? ids : g.equal(ids, endOfText);
  const place = g.argMax(g.cast(score, 'int32'), 1, false);
  return g.add(g.mul(countTo(g, g.dim('batch')), g.dim('sequence')), place);
}

function similarityGraph({ projection, taps }: ClipConfig): Graph {
  const g = new GraphBuilder('clip.similarity');
  const images = g.input('image_embeds', 'float32', ['images', projection]);
  const texts = g.input('text_embeds', 'float32', ['texts', projection]);
  // ln(1 / 0.07), the published starting point.
  const scale = g.exp(g.param('logit_scale', [], { kind: 'constant', value: 2.6592 }));
  const logits = g.mul(g.gemm(images, texts, null, { transB: 1 }), scale);
  g.output('logits_per_image', logits);
  if (taps) {
    g.output('logits_per_text', g.transpose(logits, [1, 0]));
    g.output('logit_scale_exp', scale);
  }
  return g.build();
}

function unitLength(g: GraphBuilder, x: Value): Value {
  return g.div(x, g.reduceL2(x, [-1], true));
}

function blockNames(prefix: string, i: number): BlockNames {
  const layer = `${prefix}.encoder.layers.${i}`;
  const attention = `${layer}.self_attn`;
  return {
    norm1: `${layer}.layer_norm1`,
    project: { query: `${attention}.q_proj`, key: `${attention}.k_proj`, value: `${attention}.v_proj` },
    output: `${attention}.out_proj`,
    norm2: `${layer}.layer_norm2`,
    expand: `${layer}.mlp.fc1`,
    contract: `${layer}.mlp.fc2`,
  };
}

function checkTower(where: string, tower: ClipTower): void {
  const { width, depth, heads, mlpWidth, eps } = tower;
  checkDepths(where, { depth });
  checkSizes(where, { width, heads, mlpWidth });
  checkDivides(where, ['heads', heads], ['width', width]);
  checkPositive(where, { eps });
}

/** @throws VersusError `usage` when a size is impossible; names the field. */
export function checkClipVision(model: string, vision: ClipVision): void {
  const where = `${model}, vision tower`;
  const { image, patch, channels } = vision;
  checkTower(where, vision);
  checkSizes(where, { channels, 'patch[0]': patch[0], 'patch[1]': patch[1] });
  checkSizes(where, { 'floor(image[0] / patch[0])': Math.floor(image[0] / patch[0]) });
  checkSizes(where, { 'floor(image[1] / patch[1])': Math.floor(image[1] / patch[1]) });
}

function checkText({ text, projection }: ClipConfig): void {
  const where = 'clip, text tower';
  checkTower(where, text);
  checkSizes(where, { vocabulary: text.vocabulary, context: text.context, projection });
}
