import type { Value } from '../../graph/builder.ts';
import { lossWeights } from './loss-weights.ts';
import type { Lowering } from './lowering.ts';

/** −log p[label] · w by rows, summed, or as their mean by weight. */
export const crossEntropy: Lowering = (s) => {
  const { g } = s;
  const [scores, labels] = [s.in(0), s.in(1)];
  const { places, weights, total } = lossWeights(g, scores, labels, s.has(2) ? s.in(2) : null, s.node);
  const log = g.op('LogSoftmax', [scores], { axis: 1 })[0]!;
  const chosen = g.op('GatherElements', [log, places], { axis: 1 })[0]!;
  const rows = weights ? g.mul(chosen, weights) : chosen;
  const reduction = s.text('reduction', 'mean');
  const loss = (): Value => {
    if (reduction === 'none') return g.neg(g.squeeze(rows, [1]));
    const sum = g.neg(g.reduceSum(rows, undefined, false));
    return reduction === 'mean' ? g.div(sum, total()) : sum;
  };
  return [loss(), log];
};
