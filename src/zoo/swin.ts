import type { Graph } from '../core/graph.ts';
import { float32, int64 } from '../core/tensor.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { mulDims } from '../graph/dims.ts';
import { type BlockNames, projections } from './encoder.ts';
import { type Activation, activate, EMBEDDING, layerNorm, linear, patchEmbedding, toRows } from './layers.ts';
import { type Cut, checkSwin, cutOf, gridOf } from './swin-shape.ts';
import { mergedTokens, relativePositions, tokenPlaces } from './windows.ts';

/**
 * Swin: a vision transformer whose attention sees one window of the grid at a time, so that its cost grows with the image
 * and not with its square. Every second block cuts the windows half a window further down and right, which lets neighbours
 * mix; between stages 2×2 tokens merge into one of twice the width. Positions enter as a learnt bias per distance and head.
 * Source: Liu et al., "Swin transformer: hierarchical vision transformer using shifted windows" (2021).
 *
 * Rolling, padding and cutting into windows only move tokens, and so does the way back: each is one gather by a constant
 * index. The mask of shifted windows is constant too.
 */
export interface SwinConfig {
  /** Height and width of the images. */
  readonly image: readonly [height: number, width: number];
  readonly patch: readonly [height: number, width: number];
  readonly channels: number;
  /** Width of the first stage; each further one is twice as wide. */
  readonly width: number;
  /** Blocks of each stage. */
  readonly depths: readonly number[];
  /** Heads of each stage. */
  readonly heads: readonly number[];
  readonly window: readonly [height: number, width: number];
  /** Hidden width of the MLPs ÷ width of the stage. */
  readonly mlpRatio: number;
  readonly classes: number;
  /** Epsilon of the blocks' norms and the last one; the others have 1e-5. */
  readonly eps: number;
  readonly activation: Activation;
  readonly qkvBias: boolean;
  /** Whose checkpoint's tensor names, and whose rules for images and windows that don't fit (see swin-shape.ts). */
  readonly naming: 'transformers' | 'torchvision';
  /** Also put out the tokens before the last norm, `last_hidden_state` [batch, tokens, width]. */
  readonly taps?: boolean;
}

const EPS = 1e-5;

interface Names {
  readonly patches: string;
  readonly patchNorm: string;
  block(stage: number, block: number): BlockNames & { readonly biasTable: string };
  /** The layer behind a stage: its norm, and its weight without bias. */
  merge(stage: number): { readonly norm: string; readonly reduce: string };
  readonly norm: string;
  readonly head: string;
}

const NAMES: Record<SwinConfig['naming'], Names> = {
  transformers: {
    patches: 'swin.embeddings.patch_embeddings.projection',
    patchNorm: 'swin.embeddings.norm',
    block: (stage, block) => {
      const layer = `swin.encoder.layers.${stage}.blocks.${block}`;
      const self = `${layer}.attention.self`;
      return {
        norm1: `${layer}.layernorm_before`,
        project: { query: `${self}.query`, key: `${self}.key`, value: `${self}.value` },
        biasTable: `${self}.relative_position_bias_table`,
        output: `${layer}.attention.output.dense`,
        norm2: `${layer}.layernorm_after`,
        expand: `${layer}.intermediate.dense`,
        contract: `${layer}.output.dense`,
      };
    },
    merge: (stage) => {
      const prefix = `swin.encoder.layers.${stage}.downsample`;
      return { norm: `${prefix}.norm`, reduce: `${prefix}.reduction` };
    },
    norm: 'swin.layernorm',
    head: 'classifier',
  },
  torchvision: {
    patches: 'features.0.0',
    patchNorm: 'features.0.2',
    block: (stage, block) => {
      const layer = `features.${2 * stage + 1}.${block}`;
      return {
        norm1: `${layer}.norm1`,
        project: { fusedWeight: `${layer}.attn.qkv.weight`, fusedBias: `${layer}.attn.qkv.bias` },
        biasTable: `${layer}.attn.relative_position_bias_table`,
        output: `${layer}.attn.proj`,
        norm2: `${layer}.norm2`,
        expand: `${layer}.mlp.0`,
        contract: `${layer}.mlp.3`,
      };
    },
    merge: (stage) => {
      const prefix = `features.${2 * stage + 2}`;
      return { norm: `${prefix}.norm`, reduce: `${prefix}.reduction` };
    },
    norm: 'norm',
    head: 'head',
  },
};

/** A stage's tokens as rows [batch × height × width, width], and the size of their grid. */
interface Tokens {
  readonly rows: Value;
  readonly grid: readonly [height: number, width: number];
  readonly width: number;
}

/**
 * `model`: pixel_values [batch, channels, H, W] → logits [batch, classes].
 * @throws VersusError `usage` when a size is impossible; names the field.
 */
export function buildSwin(config: SwinConfig): Record<string, Graph> {
  checkSwin(config);
  const g = new GraphBuilder('swin');
  const names = NAMES[config.naming];
  const image = g.input('pixel_values', 'float32', ['batch', config.channels, ...config.image]);

  let x = g.scope('embeddings', () => embed(g, image, config, names));
  config.depths.forEach((depth, stage) => {
    const cuts = [false, true].map((shifts) => cutOf(x.grid, config, shifts));
    for (let i = 0; i < depth; i++) {
      const shape = { ...config, heads: config.heads[stage]!, cut: cuts[i % 2]! };
      const rows = g.scope(`stages.${stage}.blocks.${i}`, () => block(g, x, names.block(stage, i), shape));
      x = { ...x, rows };
    }
    if (stage < config.depths.length - 1) {
      x = g.scope(`stages.${stage}.merge`, () => merge(g, x, names.merge(stage)));
    }
  });
  const { width, grid } = x;
  const tokens = g.reshape(x.rows, ['batch', grid[0] * grid[1], width]);
  if (config.taps) g.output('last_hidden_state', tokens);
  g.scope('head', () => {
    const normed = layerNorm(g, tokens, names.norm, width, config.eps);
    const pooled = g.reduceMean(normed, [1], false);
    g.output('logits', linear(g, pooled, names.head, { from: width, to: config.classes }));
  });
  return { model: g.build() };
}

function embed(g: GraphBuilder, image: Value, config: SwinConfig, names: Names): Tokens {
  const { patch, width } = config;
  const grid = gridOf(config);
  // Whole patches: torchvision leaves out what remains at the edges, transformers completes it with zeros.
  const missing = [0, 1].map((axis) => Math.max(0, grid[axis]! * patch[axis]! - config.image[axis]!));
  const pad = [0, 0, missing[0]!, missing[1]!] as const;
  const patches = toRows(g, patchEmbedding(g, image, names.patches, { ...config, bias: true, pad }));
  return { rows: layerNorm(g, patches, names.patchNorm, width, EPS), grid, width };
}

interface BlockShape extends Pick<SwinConfig, 'mlpRatio' | 'eps' | 'activation' | 'qkvBias'> {
  readonly heads: number;
  readonly cut: Cut;
}

/** x + attention(norm(x)) within windows, then x + mlp(norm(x)). */
function block(
  g: GraphBuilder,
  { rows, width }: Tokens,
  names: ReturnType<Names['block']>,
  shape: BlockShape,
): Value {
  const { cut, eps } = shape;
  const count = cut.grid[0] * cut.grid[1];
  const attended = g.scope('attention', () => {
    const normed = layerNorm(g, rows, names.norm1, width, eps);
    const mixed = windowAttention(g, moveRows(g, normed, count, cut.tokens), width, names, shape);
    return moveRows(g, mixed, cut.tokens.length, tokenPlaces(cut.tokens, count));
  });
  const x = g.add(rows, attended);
  return g.scope('mlp', () => {
    const inner = Math.floor(width * shape.mlpRatio);
    const normed = layerNorm(g, x, names.norm2, width, eps);
    const hidden = activate(g, linear(g, normed, names.expand, { from: width, to: inner }), shape.activation);
    return g.add(x, linear(g, hidden, names.contract, { from: inner, to: width }));
  });
}

/** Attention of every window to itself; rows are ordered by window. */
function windowAttention(
  g: GraphBuilder,
  rows: Value,
  width: number,
  names: ReturnType<Names['block']>,
  { heads, cut, qkvBias }: BlockShape,
): Value {
  const area = cut.window[0] * cut.window[1];
  const windows = cut.tokens.length / area;
  const headWidth = width / heads;
  const [q, k, v] = projections(g, rows, names, { width, qkvBias }).map((x) =>
    g.reshape(x, ['batch', windows, area, heads, headWidth]),
  ) as [Value, Value, Value];
  // Right before the product onnxruntime makes the scale a factor of it.
  const query = g.mul(g.transpose(q, [0, 1, 3, 2, 4]), 1 / Math.sqrt(headWidth));
  const scores = g.matmul(query, g.transpose(k, [0, 1, 3, 4, 2]));
  const biased = g.add(scores, positionBias(g, names.biasTable, heads, cut));
  const mixed = g.matmul(g.softmax(biased, -1), g.transpose(v, [0, 1, 3, 2, 4]));
  const joined = g.reshape(g.transpose(mixed, [0, 1, 3, 2, 4]), [mulDims('batch', windows * area), width]);
  return linear(g, joined, names.output, { from: width, to: width });
}

/** The learnt bias of each pair of places by their distance, [heads, tokens, tokens], with the mask per window in front. */
function positionBias(g: GraphBuilder, table: string, heads: number, { window, tokens, mask }: Cut): Value {
  const area = window[0] * window[1];
  const distances = (2 * window[0] - 1) * (2 * window[1] - 1);
  const index = g.constant(int64([area, area], relativePositions(window)), 'relative_position_index');
  const bias = g.transpose(g.gather(g.param(table, [distances, heads], EMBEDDING), index, 0), [2, 0, 1]);
  // Sum and gather concern weights and constants alone, so that a runtime can do them once.
  return mask === null
    ? bias
    : g.add(bias, g.constant(float32([tokens.length / area, 1, area, area], mask), 'shift_mask'));
}

/** Four tokens side by side, normalised, as one token of twice the width. */
function merge(g: GraphBuilder, x: Tokens, names: { norm: string; reduce: string }): Tokens {
  const { grid, width } = x;
  const order = mergedTokens(grid);
  const places = order.length / 4;
  const four = g.reshape(moveRows(g, x.rows, grid[0] * grid[1], order), [
    mulDims('batch', places),
    4 * width,
  ]);
  const normed = layerNorm(g, four, names.norm, 4 * width, EPS);
  const rows = linear(g, normed, names.reduce, { from: 4 * width, to: 2 * width, bias: false });
  return { rows, grid: [Math.ceil(grid[0] / 2), Math.ceil(grid[1] / 2)], width: 2 * width };
}

/** Each image's `count` rows in another order; a number from `count` on gives a row of zeros. */
function moveRows(g: GraphBuilder, rows: Value, count: number, order: readonly number[]): Value {
  if (order.length === count && order.every((row, place) => row === place)) return rows;
  const width = Number(rows.shape[1]);
  let x = g.reshape(rows, ['batch', count, width]);
  if (order.some((row) => row >= count)) x = g.op('Pad', [x, g.ints([0, 0, 0, 0, 1, 0])])[0]!;
  const moved = g.gather(x, g.constant(int64([order.length], order), 'order'), 1);
  return g.reshape(moved, [mulDims('batch', order.length), width]);
}
