import type { Dim } from '../core/graph.ts';
import type { GraphBuilder, Value } from '../graph/builder.ts';

/*
 * Attention with one query over a sequence: how SigLIP (Lee et al. 2019, "Set transformer", section 3.2) and CLIP's residual
 * networks (Radford et al. 2021, section 2.3) pool an image to one vector.
 */

interface PoolShape {
  /** Of keys and values. */
  readonly batch: Dim;
  readonly length: number;
  readonly width: number;
  readonly heads: number;
}

/**
 * softmax(q kᵀ ÷ √head width) v per head, heads joined.
 * @param query rows [batch, width], or [1, width] when every image is asked the same
 * @param keys rows [batch × length, width], `values` likewise
 * @returns rows [batch, width]
 */
export function attendOnce(
  g: GraphBuilder,
  query: Value,
  keys: Value,
  values: Value,
  shape: PoolShape,
): Value {
  const { batch, length, width, heads } = shape;
  const headWidth = width / heads;
  const q = g.mul(g.reshape(query, [query.shape[0]!, heads, 1, headWidth]), 1 / Math.sqrt(headWidth));
  const [k, v] = [keys, values].map((x) => g.reshape(x, [batch, length, heads, headWidth])) as [Value, Value];
  const scores = g.matmul(q, g.transpose(k, [0, 2, 3, 1]));
  const mixed = g.matmul(g.softmax(scores, -1), g.transpose(v, [0, 2, 1, 3]));
  return g.reshape(mixed, [batch, width]);
}
