import type { Graph } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { attendOnce } from './attention-pool.ts';
import { checkSizes } from './check.ts';
import { activate, EMBEDDING, layerNorm, linear, patchEmbedding, toRows } from './layers.ts';
import { countTo } from './mask.ts';
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
 * SigLIP: CLIP's two towers trained with a sigmoid for every pair instead of a softmax over the batch, hence the bias of
 * the logits. There is no class token, a learnt probe asks the patches by attention; texts see all of themselves, padding
 * included, and are read at their last position. Sources: Zhai et al., "Sigmoid loss for language image pre-training"
 * (2023); the vision tower at 400 million parameters is SoViT, Alabdulmohsin et al., "Getting ViT in shape" (2023); names
 * and details as in transformers' SiglipModel.
 */
export interface SiglipVision extends Tower, Patches {}
export interface SiglipText extends Tower {
  readonly vocabulary: number;
  /** Tokens of every text, padding included: the last of them stands for the text. */
  readonly context: number;
}
export interface SiglipConfig {
  readonly vision: SiglipVision;
  readonly text: SiglipText;
  /** Also put out what lies before the normalisation. */
  readonly taps?: boolean;
}
/** The vision tower alone. */
export interface SovitConfig {
  readonly vision: SiglipVision;
  /** Also put out the patches behind the last norm, `last_hidden_state`. */
  readonly taps?: boolean;
}

/** Where training starts: a scale of 10 and a bias that answers the many pairs that don't match (Zhai et al., section 3.2). */
const INITIAL = { scale: Math.log(10), bias: -10 };

/**
 * `vision`: pixel_values → image_embeds; `text`: input_ids [batch, sequence] → text_embeds, both of length 1 (a mask has no
 * place: padding is seen); `similarity`: image_embeds [images, width], text_embeds [texts, width] → logits_per_image
 * [images, texts], whose sigmoids are probabilities.
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildSiglip(config: SiglipConfig): Record<string, Graph> {
  const { vision, text, taps = false } = config;
  checkVision('siglip', vision);
  const where = 'siglip, text tower';
  checkTower(where, text);
  checkSizes(where, { vocabulary: text.vocabulary, context: text.context });
  const similarity = { projection: vision.width, scalar: [1], ...INITIAL, taps };
  return {
    vision: visionGraph(config),
    text: textGraph(config),
    similarity: similarityGraph('siglip.similarity', similarity),
  };
}

/**
 * `model`: pixel_values → pooler_output [batch, width], features for whatever is trained behind them.
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildSovit({ vision, taps }: SovitConfig): Record<string, Graph> {
  checkVision('sovit', vision);
  const g = new GraphBuilder('sovit');
  const hidden = visionEncoder(g, vision);
  if (taps) g.output('last_hidden_state', toSequence(g, hidden, vision));
  g.output('pooler_output', pooling(g, hidden, vision));
  return { model: g.build() };
}

function visionGraph({ vision, taps }: SiglipConfig): Graph {
  const g = new GraphBuilder('siglip.vision');
  const hidden = visionEncoder(g, vision);
  if (taps) g.output('vision_last_hidden_state', toSequence(g, hidden, vision));
  const features = pooling(g, hidden, vision);
  if (taps) g.output('image_features', features);
  g.output('image_embeds', unitLength(g, features));
  return g.build();
}

const patchesOf = ({ image, patch }: Patches): number =>
  Math.floor(image[0] / patch[0]) * Math.floor(image[1] / patch[1]);

const toSequence = (g: GraphBuilder, rows: Value, vision: SiglipVision): Value =>
  g.reshape(rows, ['batch', patchesOf(vision), vision.width]);

/** Patches behind the last norm, rows [batch × patches, width]. */
function visionEncoder(g: GraphBuilder, vision: SiglipVision): Value {
  const { width, depth, eps } = vision;
  const length = patchesOf(vision);
  const image = g.input('pixel_values', 'float32', ['batch', vision.channels, ...vision.image]);
  const sequence = g.scope('embeddings', () => {
    const name = 'vision_model.embeddings';
    const patches = patchEmbedding(g, image, `${name}.patch_embedding`, { ...vision, bias: true });
    return g.add(patches, g.param(`${name}.position_embedding.weight`, [length, width], EMBEDDING));
  });
  const rows = encoderLayers(
    g,
    toRows(g, sequence),
    { ...vision, batch: 'batch', length, mask: null },
    depth,
    (i) => encoderLayerNames('vision_model', i),
  );
  return layerNorm(g, rows, 'vision_model.post_layernorm', width, eps);
}

/** The probe asks all patches, then one MLP: rows → [batch, width] (SiglipMultiheadAttentionPoolingHead). */
function pooling(g: GraphBuilder, rows: Value, vision: SiglipVision): Value {
  const { width, mlpWidth, heads, eps } = vision;
  const head = 'vision_model.head';
  return g.scope('head', () => {
    // torch's MultiheadAttention keeps the three projections as rows of one: query, key, value.
    const weight = g.param(`${head}.attention.in_proj_weight`, [3 * width, width], {
      ...{ kind: 'uniform', std: 1 / Math.sqrt(width) },
    });
    const bias = g.param(`${head}.attention.in_proj_bias`, [3 * width], { kind: 'constant', value: 0 });
    const [ofQuery, ofPatches] = g.split(weight, [width, 2 * width], 0) as [Value, Value];
    const [queryBias, patchesBias] = g.split(bias, [width, 2 * width], 0) as [Value, Value];
    const probe = g.reshape(g.param(`${head}.probe`, [1, 1, width], EMBEDDING), [1, width]);
    const query = g.gemm(probe, ofQuery, queryBias, { transB: 1 });
    const [keys, values] = g.split(
      g.gemm(rows, ofPatches, patchesBias, { transB: 1 }),
      [width, width],
      1,
    ) as [Value, Value];
    const shape = { batch: 'batch', length: patchesOf(vision), width, heads };
    const mixed = attendOnce(g, query, keys, values, shape);
    const x = linear(g, mixed, `${head}.attention.out_proj`, { from: width, to: width });
    const normed = layerNorm(g, x, `${head}.layernorm`, width, eps);
    const hidden = linear(g, normed, `${head}.mlp.fc1`, { from: width, to: mlpWidth });
    const out = activate(g, hidden, vision.activation);
    return g.add(x, linear(g, out, `${head}.mlp.fc2`, { from: mlpWidth, to: width }));
  });
}

function textGraph({ vision, text, taps }: SiglipConfig): Graph {
  const g = new GraphBuilder('siglip.text');
  const { width, eps } = text;
  const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
  const places = countTo(g, g.dim('sequence'));
  const sequence = g.scope('embeddings', () => {
    const name = 'text_model.embeddings';
    const table = g.param(`${name}.token_embedding.weight`, [text.vocabulary, width], EMBEDDING);
    const positions = g.param(`${name}.position_embedding.weight`, [text.context, width], EMBEDDING);
    return g.add(g.gather(table, ids, 0), g.gather(positions, places, 0));
  });
  const stack = { ...text, batch: 'batch', length: 'sequence', mask: null };
  const rows = encoderLayers(g, toRows(g, sequence), stack, text.depth, (i) =>
    encoderLayerNames('text_model', i),
  );
  let hidden = g.reshape(rows, ['batch', 'sequence', width]);
  const norm = (x: Value) => layerNorm(g, x, 'text_model.final_layer_norm', width, eps);
  if (taps) {
    hidden = norm(hidden);
    g.output('text_last_hidden_state', hidden);
  }
  // The norm looks at each token alone: without taps only the last ones need it.
  const last = g.gather(hidden, g.scalar(-1, 'int64'), 1);
  const features = linear(g, taps ? last : norm(last), 'text_model.head', { from: width, to: vision.width });
  if (taps) g.output('text_features', features);
  g.output('text_embeds', unitLength(g, features));
  return g.build();
}

function checkVision(model: string, vision: SiglipVision): void {
  const where = `${model}, vision tower`;
  checkTower(where, vision);
  checkPatches(where, vision);
}
