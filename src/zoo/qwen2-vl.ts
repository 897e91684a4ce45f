import type { Graph } from '../core/graph.ts';
import type { Parts } from '../core/model.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { checkDepths, checkDivides, checkPositive, checkSections, checkSizes } from './check.ts';
import { buildSplicedDecoder, type DecoderConfig } from './decoder.ts';
import { type BlockNames, encoderBlock } from './encoder.ts';
import { type Activation, activate, layerNorm, linear, toRows } from './layers.ts';
import { gridRotaryTables, rotaryFrequencies } from './rotary.ts';

/**
 * Qwen2-VL: an image of any size becomes as many patches as it needs, a transformer with rotary positions by row and column
 * mixes them, every square of `merge` × `merge` becomes one token of a Qwen2 whose positions have three axes: time, row
 * and column (M-RoPE). Source: Wang et al., "Qwen2-VL: enhancing vision-language model's perception of the world at any
 * resolution" (2024); names and details as in transformers' `modeling_qwen2_vl.py`.
 */
export interface Qwen2VlVision {
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpWidth: number;
  readonly eps: number;
  readonly activation: Activation;
  readonly channels: number;
  /** Edge of a patch in pixels. */
  readonly patch: number;
  /** Frames per patch. */
  readonly temporal: number;
  /** Edge of the square of patches that becomes one token. */
  readonly merge: number;
}
export interface Qwen2VlConfig {
  readonly vision: Qwen2VlVision;
  /** With `rotary.sections` of three axes. */
  readonly text: DecoderConfig;
  /** The token id whose places the image takes. */
  readonly imageToken: number;
}

/** For scopes of training: the merger is what joins tower and language model. */
export const QWEN2_VL_PARTS: Parts = {
  vision: ['visual'],
  'cross-modal': ['visual.merger'],
  text: ['model', 'lm_head'],
};

/** Base of the tower's rotary frequencies; no published config changes it. */
const TOWER_THETA = 10_000;

/**
 * `vision`: pixel_values [batch, merge² · tokens, channels · temporal · patch²] with patches in merge order,
 * patch_positions int64 [merge² · tokens, 2] (row and column of each, the same for the whole batch) → image_features [batch, tokens, width];
 * `embed`: input_ids → inputs_embeds; `decoder`: inputs_embeds, attention_mask, position_ids [3, batch, sequence],
 * past_key_values.* → logits, present.*. The host puts the features in place.
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildQwen2Vl(config: Qwen2VlConfig): Record<string, Graph> {
  checkVision(config.vision);
  const { rotary, headWidth } = config.text;
  checkSections('qwen2-vl', ('long' in rotary ? null : rotary.sections) ?? [], headWidth / 2, 3);
  return { vision: visionGraph(config), ...buildSplicedDecoder(config.text, '') };
}

function visionGraph({ vision, text }: Qwen2VlConfig): Graph {
  const { width, depth, heads, eps, channels, patch, temporal, merge } = vision;
  const g = new GraphBuilder('qwen2-vl.vision');
  const square = merge * merge;
  const length = square === 1 ? 'tokens' : `${square}*tokens`;
  const pixels = channels * temporal * patch * patch;
  const patches = g.input('pixel_values', 'float32', ['batch', length, pixels]);
  const cells = g.input('patch_positions', 'int64', [length, 2]);

  let rows = g.scope('embeddings', () => patchProduct(g, toRows(g, patches), vision));
  const rotary = g.scope('rotary', () =>
    gridRotaryTables(g, cells, rotaryFrequencies({ theta: TOWER_THETA, factor: 1 }, width / heads / 2)),
  );
  for (let i = 0; i < depth; i++) {
    rows = g.scope(`blocks.${i}`, () =>
      encoderBlock(g, rows, blockNames(i), {
        ...vision,
        ...{ batch: 'batch', length, qkvBias: true, mask: null, rotary },
      }),
    );
  }
  g.scope('merger', () => {
    const normed = layerNorm(g, rows, 'visual.merger.ln_q', width, eps);
    // Patches come in merge order, so those of a square are neighbours already.
    const squares = g.reshape(normed, ['batch*tokens', square * width]);
    const inner = { from: square * width, to: square * width };
    const hidden = activate(g, linear(g, squares, 'visual.merger.mlp.0', inner), 'gelu');
    const features = linear(g, hidden, 'visual.merger.mlp.2', { from: square * width, to: text.width });
    g.output('image_features', g.reshape(features, ['batch', 'tokens', text.width]));
  });
  return g.build();
}

/**
 * The checkpoint's 3-D convolution, [width, channels, temporal, patch, patch]: its stride is its kernel, so on flattened
 * patches it is one product.
 */
function patchProduct(g: GraphBuilder, rows: Value, vision: Qwen2VlVision): Value {
  const { width, channels, temporal, patch } = vision;
  const pixels = channels * temporal * patch * patch;
  const kernel = g.param('visual.patch_embed.proj.weight', [width, channels, temporal, patch, patch], {
    kind: 'uniform',
    std: 1 / Math.sqrt(pixels),
  });
  return g.gemm(rows, g.reshape(kernel, [width, pixels]), null, { transB: 1 });
}

function blockNames(i: number): BlockNames {
  const block = `visual.blocks.${i}`;
  return {
    norm1: `${block}.norm1`,
    project: { fusedWeight: `${block}.attn.qkv.weight`, fusedBias: `${block}.attn.qkv.bias` },
    output: `${block}.attn.proj`,
    norm2: `${block}.norm2`,
    expand: `${block}.mlp.fc1`,
    contract: `${block}.mlp.fc2`,
  };
}

function checkVision(vision: Qwen2VlVision): void {
  const where = 'qwen2-vl, vision tower';
  const { width, depth, heads, mlpWidth, eps, channels, patch, temporal, merge } = vision;
  checkDepths(where, { depth });
  checkSizes(where, { width, heads, mlpWidth, channels, patch, temporal, merge });
  checkDivides(where, ['heads', heads], ['width', width]);
  // Half of a head's pairs turn by the row, half by the column.
  checkSizes(where, { 'width / heads / 4': width / heads / 4 });
  checkPositive(where, { eps });
}
