import { type Rule, type RuleTable, unary } from '../rule.ts';

const axisOf = (b: Parameters<Rule>[0]): readonly number[] => [b.int('axis', -1)];

/** Softmax and its logarithm along one axis. */
export const softmaxes: RuleTable = {
  // y · (dy − Σ dy·y)
  Softmax: unary((b) => {
    const { g, dy } = b;
    const y = b.out();
    if (y.shape.length === 0) return g.mul(dy, 0);
    return g.mul(g.sub(dy, g.reduceSum(g.mul(dy, y), axisOf(b), true)), y);
  }),
  // dy − e^y · Σ dy
  LogSoftmax: unary((b) => {
    const { g, dy } = b;
    const y = b.out();
    if (y.shape.length === 0) return g.mul(dy, 0);
    return g.sub(dy, g.mul(g.exp(y), g.reduceSum(dy, axisOf(b), true)));
  }),
};
