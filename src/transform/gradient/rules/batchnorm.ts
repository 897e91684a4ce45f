import type { Value } from '../../../graph/builder.ts';
import type { Backward, Rule, RuleTable } from '../rule.ts';
import { channelSum, filled, perChannel } from './channels.ts';

interface Affine {
  readonly scale?: Value;
  readonly mean?: Value;
  readonly variance?: Value;
  readonly epsilon?: number;
}

/** (x − mean) / √(variance + ε) · scale by channel: one pass over the data as the forward operator, where four would be needed. */
function scaled(b: Backward, x: Value, { scale, mean, variance, epsilon = 0 }: Affine): Value {
  const channels = b.sizes(x)[1]!;
  const every = (value: number): Value => filled(b.g, x.dtype, channels, value);
  return b.g.batchNorm(x, scale ?? every(1), every(0), mean ?? every(0), variance ?? every(1), epsilon);
}

/**
 * With y = γ · x̂ + β and x̂ = (x − μ) / √(σ² + ε): dγ = Σ dy · x̂, dβ = Σ dy. Where μ and σ² are the batch's own, of n elements
 * each, dx = γ / √(σ² + ε) · (dy − Σ dy / n − x̂ · Σ (dy · x̂) / n) (Ioffe and Szegedy, 2015); where they are given,
 * dx = γ / √(σ² + ε) · dy, dμ = −γ / √(σ² + ε) · Σ dy and dσ² = −γ / (2 (σ² + ε)) · Σ dy · x̂.
 */
const batchNorm: Rule = (b) => {
  const { g } = b;
  const isTraining = b.int('training_mode', 0) !== 0;
  if (b.gradient(1) || b.gradient(2)) b.fail('running statistics are no part of a loss');
  const [x, scale] = [b.in(0), b.in(1)];
  const epsilon = Number(b.node.attrs.epsilon ?? 1e-5);
  const [mean, variance] = isTraining ? statistics(b, x) : [b.in(3), b.in(4)];
  const inverse = g.reciprocal(g.sqrt(g.add(variance, epsilon)));
  const slope = g.mul(scale, inverse);
  const [dx, needsHat] = isTraining
    ? [b.wanted(0), b.wanted(0) || b.wanted(1)]
    : [b.wanted(0), b.wanted(1) || b.wanted(4)];
  const needsSum = b.wanted(2) || (isTraining ? dx : b.wanted(3));
  const sum = needsSum ? channelSum(b, b.dy) : null;
  const along = needsHat ? channelSum(b, g.mul(b.dy, scaled(b, x, { mean, variance, epsilon }))) : null;
  const ofInput = (): Value => {
    if (!isTraining) return scaled(b, b.dy, { scale, variance, epsilon });
    const count = b.sizes(x).reduce((n, d) => n * d, 1) / b.sizes(x)[1]!;
    const straight = scaled(b, b.dy, { scale: slope, mean: g.div(sum!, count) });
    const turn = g.div(g.mul(slope, along!), count);
    return g.sub(straight, scaled(b, x, { scale: turn, mean, variance, epsilon }));
  };
  return [
    dx ? ofInput() : null,
    b.wanted(1) ? along : null,
    b.wanted(2) ? sum : null,
    !isTraining && b.wanted(3) ? g.neg(g.mul(slope, sum!)) : null,
    !isTraining && b.wanted(4) ? g.mul(g.mul(g.mul(slope, inverse), along!), -0.5) : null,
  ];
};

/** Mean and variance of the batch: results of the node where it keeps nothing of the running ones, computed again otherwise. */
function statistics(b: Backward, x: Value): [Value, Value] {
  const { g } = b;
  const [mean, variance] = b.node.outputs.slice(1);
  if (Number(b.node.attrs.momentum ?? 0.9) === 0 && mean && variance) return [b.out(1), b.out(2)];
  const count = b.sizes(x).reduce((n, d) => n * d, 1) / b.sizes(x)[1]!;
  const middle = g.div(channelSum(b, x), count);
  const rest = g.sub(x, perChannel(b, middle, x.shape.length));
  return [middle, g.div(channelSum(b, g.mul(rest, rest)), count)];
}

/** Normalisation by channel over the batch. */
export const batchNormalisations: RuleTable = { BatchNormalization: batchNorm };
