import type { Init } from '../core/graph.ts';
import type { GraphBuilder, Value } from '../graph/builder.ts';
import { mulDims } from '../graph/dims.ts';
import type { DavitAttention, DavitBlockNames } from './davit-names.ts';
import { selfAttention } from './encoder.ts';
import { type Activation, activate, layerNorm, linear } from './layers.ts';

/*
 * DaViT's two kinds of block (Ding et al. 2022, sections 3.1 to 3.3). Both see positions through a depthwise convolution
 * before attention and before the MLP. Pixels travel as rows, [batch × height × width, channels], row by row of the image.
 */

export interface Grid {
  readonly height: number;
  readonly width: number;
}

/** A symbolic batch of pixels: where they lie, and how many channels each has. */
export interface Pixels {
  readonly rows: Value;
  readonly grid: Grid;
  readonly width: number;
}

export interface DavitBlock {
  readonly attention: DavitAttention;
  /** Heads of a window, or groups of channels. */
  readonly heads: number;
  /** Edge of a window in pixels. */
  readonly window: number;
  /** Null: there is no MLP. */
  readonly mlpWidth: number | null;
  readonly eps: number;
  readonly activation: Activation;
  readonly qkvBias: boolean;
  readonly positionActivation: boolean;
  readonly channelForm: ChannelForm;
}

/**
 * How channels attend to channels, with d channels in a group and N pixels:
 * - `key-value` (timm's first): softmax((k ÷ √d)ᵀ v) qᵀ;
 * - `query-key` with scale 1/√d or (Florence-2) 1/√N: softmax((q · scale)ᵀ k) vᵀ.
 */
export type ChannelForm = 'key-value' | 'query-key-width' | 'query-key-pixels';

/** A sum over nine pixels that adds little, so that seeded activations of dozens of blocks stay within float16. */
const SMALL: Init = { kind: 'uniform', std: 0.1 };

/** p + attention(norm(p)) with p = x + positions(x); then the same with an MLP in place of attention. */
export function davitBlock(g: GraphBuilder, x: Pixels, names: DavitBlockNames, block: DavitBlock): Pixels {
  const { width } = x;
  const placed = g.scope('positions1', () => positions(g, x, names.positions1, block));
  const rows = g.scope(`${block.attention}_attention`, () => {
    const normed = { ...x, rows: layerNorm(g, placed, names.norm1, width, block.eps) };
    const attend = block.attention === 'spatial' ? windowAttention : channelAttention;
    return g.add(placed, attend(g, normed, names, block));
  });
  const again = g.scope('positions2', () => positions(g, { ...x, rows }, names.positions2, block));
  const { mlpWidth } = block;
  if (mlpWidth === null) return { ...x, rows: again };
  return g.scope('mlp', () => {
    const normed = layerNorm(g, again, names.norm2, width, block.eps);
    const hidden = activate(
      g,
      linear(g, normed, names.expand, { from: width, to: mlpWidth }),
      block.activation,
    );
    const out = linear(g, hidden, names.contract, { from: mlpWidth, to: width });
    return { ...x, rows: g.add(again, out) };
  });
}

/** x + a 3×3 convolution of every channel by itself. */
function positions(g: GraphBuilder, x: Pixels, name: string, block: DavitBlock): Value {
  const { width } = x;
  const weight = g.param(`${name}.weight`, [width, 1, 3, 3], SMALL);
  const bias = g.param(`${name}.bias`, [width], { kind: 'constant', value: 0 });
  const seen = g.conv(toImage(g, x), weight, bias, { pads: [1, 1, 1, 1], strides: [1, 1], group: width });
  const rows = fromImage(g, seen).rows;
  return g.add(x.rows, block.positionActivation ? g.gelu(rows) : rows);
}

/** Rows as an image, [batch, channels, height, width]. */
export function toImage(g: GraphBuilder, { rows, grid, width }: Pixels): Value {
  return g.transpose(g.reshape(rows, ['batch', grid.height, grid.width, width]), [0, 3, 1, 2]);
}

/** An image [batch, channels, height, width] as rows. */
export function fromImage(g: GraphBuilder, image: Value): Pixels {
  const [, width = 0, height = 0, columns = 0] = image.shape.map(Number);
  const last = g.transpose(image, [0, 2, 3, 1]);
  return {
    rows: g.reshape(last, [mulDims('batch', height * columns), width]),
    grid: { height, width: columns },
    width,
  };
}

/**
 * Attention within windows that don't overlap. A grid that they don't divide is filled up with zeros at the bottom and the
 * right; the filling is attended to like pixels, as in the reference, since its keys are the bias.
 */
function windowAttention(g: GraphBuilder, x: Pixels, names: DavitBlockNames, block: DavitBlock): Value {
  const { window } = block;
  const { grid, width } = x;
  const [down, across] = [Math.ceil(grid.height / window), Math.ceil(grid.width / window)];
  const [bottom, right] = [down * window - grid.height, across * window - grid.width];
  let image = g.reshape(x.rows, ['batch', grid.height, grid.width, width]);
  if (bottom + right > 0) image = g.op('Pad', [image, g.ints([0, 0, 0, 0, 0, bottom, right, 0])])[0]!;
  const length = window * window;
  const filled = mulDims('batch', down * across * length);
  const swap = [0, 1, 3, 2, 4, 5];
  const tiled = g.transpose(g.reshape(image, ['batch', down, window, across, window, width]), swap);
  const attended = selfAttention(
    g,
    g.reshape(tiled, [filled, width]),
    {
      project: { fusedWeight: `${names.qkv}.weight`, fusedBias: `${names.qkv}.bias` },
      output: names.output,
    },
    {
      ...{ batch: mulDims('batch', down * across), length, width, heads: block.heads },
      ...{ qkvBias: block.qkvBias, mask: null },
    },
  );
  const windows = g.reshape(attended, ['batch', down, across, window, window, width]);
  let whole = g.reshape(g.transpose(windows, swap), ['batch', down * window, across * window, width]);
  if (bottom + right > 0) whole = g.slice(whole, [0, 0], [grid.height, grid.width], [1, 2]);
  return g.reshape(whole, [mulDims('batch', grid.height * grid.width), width]);
}

/** Attention between the channels of a group, over all pixels: every channel is a token, its pixels are its features. */
function channelAttention(g: GraphBuilder, x: Pixels, names: DavitBlockNames, block: DavitBlock): Value {
  const { grid, width } = x;
  const pixels = grid.height * grid.width;
  const perGroup = width / block.heads;
  const scale = 1 / Math.sqrt(block.channelForm === 'query-key-pixels' ? pixels : perGroup);
  // Scores are sums over all pixels. Drawn so small that these stay near 1 even where all pixels agree, as on a plain
  // background, seeded weights don't turn the softmax into a choice that rounding decides.
  const std = 1 / Math.sqrt(width * pixels * scale);
  g.param(`${names.qkv}.weight`, [3 * width, width], { kind: 'uniform', std });
  const all = linear(g, x.rows, names.qkv, { from: width, to: 3 * width, bias: block.qkvBias });
  const [q, k, v] = g
    .split(all, [width, width, width], 1)
    .map((part) => g.reshape(part, ['batch', pixels, block.heads, perGroup])) as [Value, Value, Value];
  const [asking, asked, carried] = block.channelForm === 'key-value' ? [k, v, q] : [q, k, v];
  // [batch, groups, d, N] · [batch, groups, N, d]
  const scores = g.matmul(g.mul(g.transpose(asking, [0, 2, 3, 1]), scale), g.transpose(asked, [0, 2, 1, 3]));
  const mixed = g.matmul(g.softmax(scores, -1), g.transpose(carried, [0, 2, 3, 1]));
  const joined = g.reshape(g.transpose(mixed, [0, 3, 1, 2]), [mulDims('batch', pixels), width]);
  return linear(g, joined, names.output, { from: width, to: width });
}
