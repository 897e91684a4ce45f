import type { Node } from '../../core/graph.ts';
import type { GraphBuilder, Value } from '../../graph/builder.ts';

/** How the rows of a SoftmaxCrossEntropyLoss count. */
export interface LossWeights {
  /** Labels as indices along dimension 1 of the scores, [N, 1, d1 … dk]; 0 where the label is to be ignored. */
  readonly places: Value;
  /** Of each row, of the same shape; null where all are 1. */
  readonly weights: Value | null;
  /** Makes their sum: a scalar, what the mean divides by. */
  readonly total: () => Value;
}

/**
 * Weights of the rows of a SoftmaxCrossEntropyLoss: those of their classes, 0 for ignored ones. In one place for the gradient and
 * the lowering, so that both make the same nodes.
 */
export function lossWeights(
  g: GraphBuilder,
  scores: Value,
  labels: Value,
  classes: Value | null,
  { attrs }: Pick<Node, 'attrs'>,
): LossWeights {
  const given = g.unsqueeze(labels, [1]);
  const { ignore_index: ignored } = attrs;
  if (ignored === undefined && !classes) {
    const size = (): Value => g.cast(g.op('Size', [labels])[0]!, scores.dtype);
    return { places: given, weights: null, total: size };
  }
  const counts = ignored === undefined ? null : g.not(g.equal(given, Number(ignored)));
  // An ignored label may be no index at all.
  const places = counts ? g.where(counts, given, 0) : given;
  const flags = counts && g.cast(counts, scores.dtype);
  const own = classes && g.gather(classes, places);
  const weights = own && flags ? g.mul(own, flags) : (own ?? flags)!;
  return { places, weights, total: () => g.reduceSum(weights, undefined, false) };
}
