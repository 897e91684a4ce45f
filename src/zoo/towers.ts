import type { Dim, Graph } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { checkDepths, checkDivides, checkPositive, checkSizes } from './check.ts';
import { type BlockNames, encoderBlock } from './encoder.ts';
import type { Activation } from './layers.ts';

/*
 * What contrastive models share: towers of encoder blocks, one for images and one for texts, that end in vectors of length
 * 1, and the similarity of these (Radford et al. 2021; Zhai et al. 2023).
 */

/** A stack of encoder blocks. */
export interface Tower {
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpWidth: number;
  readonly eps: number;
  readonly activation: Activation;
}

interface Stack extends Tower {
  readonly batch: Dim;
  readonly length: Dim;
  readonly mask: Value | null;
}

/** The first `layers` blocks over rows [batch × length, width]; `names` gives the tensors of each. */
export function encoderLayers(
  g: GraphBuilder,
  rows: Value,
  stack: Stack,
  layers: number,
  names: (layer: number) => BlockNames,
): Value {
  let x = rows;
  for (let i = 0; i < layers; i++) {
    x = g.scope(`layers.${i}`, () => encoderBlock(g, x, names(i), { ...stack, qkvBias: true }));
  }
  return x;
}

/** Tensor names of transformers' CLIPEncoderLayer and SiglipEncoderLayer. */
export function encoderLayerNames(prefix: string, i: number): BlockNames {
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

/** x ÷ ‖x‖ over the last axis. */
export function unitLength(g: GraphBuilder, x: Value): Value {
  return g.div(x, g.reduceL2(x, [-1], true));
}

interface Similarity {
  /** Width of the common space. */
  readonly projection: number;
  /** Shape of the learnt scalars in the checkpoint, and where training starts them; the scale is kept as a logarithm. */
  readonly scalar: readonly number[];
  readonly scale: number;
  /** Added to every logit; none when null. */
  readonly bias: number | null;
  readonly taps: boolean;
}

/** image_embeds [images, projection], text_embeds [texts, projection] → logits_per_image [images, texts] = cos · exp(scale) + bias. */
export function similarityGraph(name: string, shape: Similarity): Graph {
  const { projection, scalar, bias, taps } = shape;
  const g = new GraphBuilder(name);
  const images = g.input('image_embeds', 'float32', ['images', projection]);
  const texts = g.input('text_embeds', 'float32', ['texts', projection]);
  const scale = g.exp(g.param('logit_scale', scalar, { kind: 'constant', value: shape.scale }));
  let logits = g.mul(g.gemm(images, texts, null, { transB: 1 }), scale);
  if (bias !== null) {
    logits = g.add(logits, g.param('logit_bias', scalar, { kind: 'constant', value: bias }));
  }
  g.output('logits_per_image', logits);
  if (taps) {
    g.output('logits_per_text', g.transpose(logits, [1, 0]));
    g.output('logit_scale_exp', scale);
  }
  return g.build();
}

/** @throws VersusError `usage` when a size is impossible; names the field. */
export function checkTower(where: string, tower: Tower): void {
  const { width, depth, heads, mlpWidth, eps } = tower;
  checkDepths(where, { depth });
  checkSizes(where, { width, heads, mlpWidth });
  checkDivides(where, ['heads', heads], ['width', width]);
  checkPositive(where, { eps });
}

/** What cuts an image into patches. */
export interface Patches {
  readonly image: readonly [height: number, width: number];
  readonly patch: readonly [height: number, width: number];
  readonly channels: number;
}

/** @throws VersusError `usage` when a size is impossible or the image smaller than a patch; names the field. */
export function checkPatches(where: string, { image, patch, channels }: Patches): void {
  checkSizes(where, { channels, 'patch[0]': patch[0], 'patch[1]': patch[1] });
  checkSizes(where, { 'floor(image[0] / patch[0])': Math.floor(image[0] / patch[0]) });
  checkSizes(where, { 'floor(image[1] / patch[1])': Math.floor(image[1] / patch[1]) });
}
