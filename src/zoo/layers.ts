import type { Dim, Init } from '../core/graph.ts';
import type { GraphBuilder, Value } from '../graph/builder.ts';
import { mulDims } from '../graph/dims.ts';

/*
 * The parts that architectures share. Sequences travel as rows, [batch × sequence, width], so that a linear layer is one
 * Gemm on the checkpoint's own [out, in] layout; attention alone looks at them as [batch, heads, sequence, head width].
 */

const ZEROS: Init = { kind: 'constant', value: 0 };
const ONES: Init = { kind: 'constant', value: 1 };
const uniform = (std: number): Init => ({ kind: 'uniform', std });

/** Embedding tables and tokens are drawn as small as the published initialisations draw them. */
export const EMBEDDING: Init = uniform(0.02);

/**
 * A learnt factor per channel on a residual branch (Touvron et al., "Going deeper with image transformers", 2021). Training
 * starts it at 1e-6 or so; drawn so small, seeded blocks would add nothing that a comparison could see.
 */
export const LAYER_SCALE: Init = { kind: 'constant', value: 0.1 };

interface LinearShape {
  readonly from: number;
  readonly to: number;
  /** A bias unless said otherwise. */
  readonly bias?: boolean;
}

/** rows · Wᵀ + b with `<name>.weight` [to, from] and `<name>.bias` [to]. */
export function linear(g: GraphBuilder, rows: Value, name: string, shape: LinearShape): Value {
  return linearOf(g, rows, `${name}.weight`, shape.bias === false ? null : `${name}.bias`, shape);
}

/** The same for checkpoints that name weight and bias in their own way. */
export function linearOf(
  g: GraphBuilder,
  rows: Value,
  weight: string,
  bias: string | null,
  shape: LinearShape,
): Value {
  const { from, to } = shape;
  const w = g.param(weight, [to, from], uniform(1 / Math.sqrt(from)));
  const b = bias === null ? null : g.param(bias, [to], ZEROS);
  return g.gemm(rows, w, b, { transB: 1 });
}

interface ConvShape {
  readonly from: number;
  readonly to: number;
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  /** Zeros on every side, or at top, left, bottom and right; none unless said otherwise. */
  readonly pad?: number | readonly [top: number, left: number, bottom: number, right: number];
  /** Channels fall into this many groups that don't see each other; `from` groups make it depthwise. */
  readonly groups?: number;
  readonly bias?: boolean;
  /** Factor on the seeded weights' standard deviation. */
  readonly gain?: number;
}

/**
 * 2-D convolution with `<name>.weight` [to, from ÷ groups, kernel height, kernel width]; seeded after He et al. (2015), std
 * √(2/fan-in).
 */
export function conv(g: GraphBuilder, x: Value, name: string, shape: ConvShape): Value {
  const { from, to, kernel, stride, pad = 0, groups = 1, gain = 1 } = shape;
  const std = gain * Math.sqrt(2 / ((from / groups) * kernel[0] * kernel[1]));
  const w = g.param(`${name}.weight`, [to, from / groups, ...kernel], uniform(std));
  const b = shape.bias === false ? null : g.param(`${name}.bias`, [to], ZEROS);
  const pads = typeof pad === 'number' ? [pad, pad, pad, pad] : pad;
  return g.conv(x, w, b, { strides: stride, pads, ...(groups > 1 && { group: groups }) });
}

/** Batch normalisation with running statistics, as at inference. */
export function batchNorm(g: GraphBuilder, x: Value, name: string, width: number, eps: number): Value {
  const buffer = { role: 'buffer' } as const;
  return g.batchNorm(
    x,
    g.param(`${name}.weight`, [width], ONES),
    g.param(`${name}.bias`, [width], ZEROS),
    g.param(`${name}.running_mean`, [width], ZEROS, buffer),
    g.param(`${name}.running_var`, [width], ONES, buffer),
    eps,
  );
}

/** Layer normalisation over the last axis. */
export function layerNorm(g: GraphBuilder, x: Value, name: string, width: number, eps: number): Value {
  const scale = g.param(`${name}.weight`, [width], ONES);
  return g.layerNorm(x, scale, g.param(`${name}.bias`, [width], ZEROS), { epsilon: eps });
}

/**
 * x ÷ √(mean(x²) + eps) × weight over the last axis (Zhang and Sennrich, 2019), in the shape that onnxruntime recognises
 * as one kernel.
 */
export function rmsNorm(g: GraphBuilder, x: Value, name: string, width: number, eps: number): Value {
  const root = g.sqrt(g.add(g.reduceMean(g.pow(x, 2), [-1]), eps));
  return g.mul(g.div(x, root), g.param(`${name}.weight`, [width], ONES));
}

export type Activation = 'relu' | 'gelu' | 'gelu_tanh' | 'quick_gelu' | 'silu';

export function activate(g: GraphBuilder, x: Value, kind: Activation): Value {
  switch (kind) {
    case 'relu':
      return g.relu(x);
    case 'gelu':
      return g.gelu(x);
    case 'quick_gelu':
      return g.mul(x, g.sigmoid(g.mul(x, 1.702)));
    case 'silu':
      return g.silu(x);
    case 'gelu_tanh': {
      // Hendrycks and Gimpel (2016): ½x(1 + tanh(√(2/π)(x + 0.044715x³))).
      const cube = g.mul(g.mul(x, x), x);
      const inner = g.mul(g.add(x, g.mul(cube, 0.044715)), Math.sqrt(2 / Math.PI));
      return g.mul(g.mul(x, 0.5), g.add(g.tanh(inner), 1));
    }
  }
}

interface PatchShape {
  readonly channels: number;
  readonly width: number;
  readonly patch: readonly [height: number, width: number];
  readonly bias: boolean;
  readonly pad?: ConvShape['pad'];
}

/** An image as a sequence of patches, [batch, patches, width], row by row of the grid: a convolution whose stride is its kernel. */
export function patchEmbedding(g: GraphBuilder, image: Value, name: string, shape: PatchShape): Value {
  const { channels, width, patch, bias, pad = 0 } = shape;
  const grid = conv(g, image, name, { from: channels, to: width, kernel: patch, stride: patch, bias, pad });
  const patches = Number(grid.shape[2]) * Number(grid.shape[3]);
  return g.transpose(g.reshape(grid, [grid.shape[0]!, width, patches]), [0, 2, 1]);
}

/** One learnt token for every image of the batch, [batch, 1, width]. */
export function repeatedToken(g: GraphBuilder, token: Value, width: number, batch: Dim = 'batch'): Value {
  return g.expand(token, g.dims([batch, 1, width]));
}

/** A sequence [batch, sequence, width] as rows. */
export function toRows(g: GraphBuilder, x: Value): Value {
  const [batch, sequence, width] = x.shape as [Dim, Dim, number];
  return g.reshape(x, [mulDims(batch, sequence), width]);
}
