import type { GraphBuilder, Value } from '../../graph/builder.ts';
import type { Factor } from './gradients.ts';
import { type Groups, groupOf, once, type Trained } from './group.ts';
import type { State } from './state.ts';

/** Stochastic gradient descent as `torch.optim.SGD` computes it without dampening: decay is part of the gradient. */
export interface Sgd extends Groups {
  readonly kind: 'sgd';
  readonly momentum?: number;
  readonly nesterov?: boolean;
}

/**
 * Makes the update of one parameter after the other: torch's d = f g + λ p, b ← μ b + d, p ← p − lr · b (Nesterov:
 * lr · (d + μ b)), with d and b divided by the factor f, which the size of the step then has. Without momentum
 * p (1 − lr λ) − lr f g.
 */
export function sgd(
  g: GraphBuilder,
  spec: Sgd,
  { lr, factor, state }: { lr: Value; factor: Factor; state: State },
): (param: Trained) => void {
  const { momentum = 0 } = spec;
  const { now, keep, taken } = factor;
  const full = now === 1 ? lr : g.mul(lr, now);
  const size = once((rate: number) => taken(rate === 1 ? full : g.mul(full, rate), 0));
  const left = once((decay: number) => taken(g.sub(1, g.mul(lr, decay)), 1));
  const share = once((decay: number) => taken(typeof now === 'number' ? decay / now : g.div(decay, now), 0));
  const kept = momentum === 0 ? 1 : keep(momentum, 1);
  return ({ name, value, gradient }) => {
    const { rate, decay } = groupOf(spec, name, 0);
    if (momentum === 0) {
      const before = decay === 0 ? value : g.mul(value, left(rate * decay));
      state.weight(name, g.sub(before, g.mul(gradient, size(rate))));
      return;
    }
    const direction = decay === 0 ? gradient : g.add(gradient, g.mul(value, share(decay)));
    const sum = state.add('moment1', name, value.shape, (before) => g.add(g.mul(before, kept), direction));
    const change = spec.nesterov ? g.add(direction, g.mul(sum, momentum)) : sum;
    state.weight(name, g.sub(value, g.mul(change, size(rate))));
  };
}
