import type { GraphBuilder, Value } from '../graph/builder.ts';

/**
 * What stands for "never look here": the lowest float16, so that the same graph runs in half precision. Its exponential
 * is exactly 0 beside any real score, and a row without a single visible key still is an average instead of NaN.
 */
const HIDDEN = -65504;

/** The whole numbers from 0 to a length, int64 [length]. */
export function countTo(g: GraphBuilder, length: Value): Value {
  return g.range(g.scalar(0, 'int64'), g.squeeze(length, [0]), g.scalar(1, 'int64'));
}

/**
 * Added to attention scores, [batch, 1, queries, keys]: 0 where a query may look, else the lowest float16. A query sees the
 * keys up to its own place, and only those that the attention mask [batch, keys] marks with 1.
 * @param window of these keys only the last so many, its own among them (Jiang et al., "Mistral 7B", 2023)
 */
export function causalMask(
  g: GraphBuilder,
  attentionMask: Value,
  queries: Value,
  keys: Value,
  window?: number,
): Value {
  const key = g.unsqueeze(keys, [0]);
  const query = g.unsqueeze(queries, [1]);
  const future = g.greater(key, query);
  const hidden = window === undefined ? future : g.or(future, g.lessOrEqual(key, g.sub(query, window)));
  const padding = g.equal(g.unsqueeze(attentionMask, [1, 2]), 0);
  return g.where(g.or(hidden, padding), HIDDEN, g.scalar(0));
}

/** Added to attention scores, [batch, 1, 1, keys]: every query sees the keys that the attention mask [batch, keys] marks with 1. */
export function paddingMask(g: GraphBuilder, attentionMask: Value): Value {
  return g.where(g.equal(g.unsqueeze(attentionMask, [1, 2]), 0), HIDDEN, g.scalar(0));
}

/** Added to attention scores, [queries, keys]: a query sees the keys up to its own place. */
export function futureMask(g: GraphBuilder, queries: Value, keys: Value): Value {
  return g.where(g.greater(g.unsqueeze(keys, [0]), g.unsqueeze(queries, [1])), HIDDEN, g.scalar(0));
}
