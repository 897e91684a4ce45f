import type { Value } from '../../../graph/builder.ts';
import { lossWeights } from '../../lower/loss-weights.ts';
import type { Backward, Rule, RuleTable } from '../rule.ts';

/**
 * (softmax − one-hot) · w, from the logarithms of the probabilities that forward computes. The gradient of those themselves, where
 * something reads them (label smoothing), is LogSoftmax's.
 */
const crossEntropy: Rule = (b) => {
  const { g } = b;
  if (b.wanted(2)) b.fail('the weights of the classes train', 'freeze them');
  if (!b.wanted(0)) return b.only();
  const log = b.kept(1);
  const probabilities = g.exp(log);
  const ofLoss = b.gradient(0) ? fromLabels(b, probabilities, b.gradient(0)!) : null;
  const ofLog = b.gradient(1);
  if (!ofLog) return b.only(ofLoss);
  const spread = g.sub(ofLog, g.mul(probabilities, g.reduceSum(ofLog, [1], true)));
  return b.only(ofLoss ? g.add(ofLoss, spread) : spread);
};

/** Each row's probabilities times its share of dy, of which the label's element loses as much as the row has in all. */
function fromLabels(b: Backward, probabilities: Value, dy: Value): Value {
  const { g } = b;
  const { places, weights, total } = lossWeights(g, b.in(0), b.in(1), b.has(2) ? b.in(2) : null, b.node);
  const reduction = b.text('reduction', 'mean');
  const share = reduction === 'none' ? g.unsqueeze(dy, [1]) : reduction === 'mean' ? g.div(dy, total()) : dy;
  const row = weights
    ? g.mul(weights, share)
    : reduction === 'none'
      ? share
      : g.expand(share, g.dims(places.shape));
  // Written into the product, which nothing else reads.
  return g.op('ScatterElements', [g.mul(probabilities, row), places, g.neg(row)], {
    axis: 1,
    reduction: 'add',
  })[0]!;
}

/** Losses. */
export const losses: RuleTable = { SoftmaxCrossEntropyLoss: crossEntropy };
