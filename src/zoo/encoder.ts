import type { Dim } from '../core/graph.ts';
import type { GraphBuilder, Value } from '../graph/builder.ts';
import { mulDims } from '../graph/dims.ts';
import { type Activation, activate, layerNorm, linear, linearOf } from './layers.ts';
import { type RotaryTables, rotate } from './rotary.ts';

/*
 * The pre-norm transformer encoder block that ViT, DeiT, both towers of CLIP and Qwen2-VL's tower are stacks of
 * (Dosovitskiy et al. 2020): x + attention(norm(x)), then x + mlp(norm(x)). Rows in, rows out.
 */

/** Where a block's tensors lie in the checkpoint; a linear layer or a norm is named by its prefix. */
export interface BlockNames {
  readonly norm1: string;
  /** Three projections, or one whose rows are query, key, value. */
  readonly project:
    | { readonly query: string; readonly key: string; readonly value: string }
    | { readonly fusedWeight: string; readonly fusedBias: string };
  readonly output: string;
  readonly norm2: string;
  readonly expand: string;
  readonly contract: string;
}

export interface AttentionShape {
  readonly batch: Dim;
  readonly length: Dim;
  readonly width: number;
  readonly heads: number;
  readonly qkvBias: boolean;
  /** Added to the scores before the softmax, [1 or batch, 1, length, length]; null when every position sees every other. */
  readonly mask: Value | null;
  /** Turns queries and keys, [batch, length, heads, head width], by their positions. */
  readonly rotary?: RotaryTables;
}

export interface BlockShape extends AttentionShape {
  readonly mlpWidth: number;
  readonly eps: number;
  readonly activation: Activation;
}

export function encoderBlock(g: GraphBuilder, rows: Value, names: BlockNames, shape: BlockShape): Value {
  const { width, eps, mlpWidth } = shape;
  const attended = g.scope('attention', () =>
    selfAttention(g, layerNorm(g, rows, names.norm1, width, eps), names, shape),
  );
  const x = g.add(rows, attended);
  return g.scope('mlp', () => {
    const normed = layerNorm(g, x, names.norm2, width, eps);
    const hidden = activate(
      g,
      linear(g, normed, names.expand, { from: width, to: mlpWidth }),
      shape.activation,
    );
    return g.add(x, linear(g, hidden, names.contract, { from: mlpWidth, to: width }));
  });
}

/** Multi-head attention of every sequence with itself, output projection included. */
export function selfAttention(
  g: GraphBuilder,
  rows: Value,
  names: Pick<BlockNames, 'project' | 'output'>,
  shape: AttentionShape,
): Value {
  const { batch, length, width, heads } = shape;
  const headWidth = width / heads;
  const [q, k, v] = projections(g, rows, names, shape).map((x) =>
    g.reshape(x, [batch, length, heads, headWidth]),
  ) as [Value, Value, Value];
  const place = (x: Value) => (shape.rotary ? rotate(g, x, shape.rotary) : x);
  // Right before the product onnxruntime makes the scale a factor of it.
  const query = g.mul(g.transpose(place(q), [0, 2, 1, 3]), 1 / Math.sqrt(headWidth));
  let scores = g.matmul(query, g.transpose(place(k), [0, 2, 3, 1]));
  if (shape.mask) scores = g.add(scores, shape.mask);
  const mixed = g.matmul(g.softmax(scores, -1), g.transpose(v, [0, 2, 1, 3]));
  const joined = g.reshape(g.transpose(mixed, [0, 2, 1, 3]), [mulDims(batch, length), width]);
  return linear(g, joined, names.output, { from: width, to: width });
}

/** Query, key and value rows. */
export function projections(
  g: GraphBuilder,
  rows: Value,
  { project }: Pick<BlockNames, 'project'>,
  { width, qkvBias }: Pick<AttentionShape, 'width' | 'qkvBias'>,
): Value[] {
  if ('fusedWeight' in project) {
    const bias = qkvBias ? project.fusedBias : null;
    const all = linearOf(g, rows, project.fusedWeight, bias, { from: width, to: 3 * width });
    return g.split(all, [width, width, width], 1);
  }
  return [project.query, project.key, project.value].map((name) =>
    linear(g, rows, name, { from: width, to: width, bias: qkvBias }),
  );
}
