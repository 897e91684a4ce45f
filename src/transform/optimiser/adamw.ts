import type { GraphBuilder, Value } from '../../graph/builder.ts';
import type { Factor } from './gradients.ts';
import { type Groups, groupOf, once, type Trained } from './group.ts';
import type { State } from './state.ts';

/** Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as `torch.optim.AdamW` computes it. */
export interface AdamW extends Groups {
  readonly kind: 'adamw';
  readonly betas?: readonly [number, number];
  readonly eps?: number;
}

/** torch's. */
export const ADAMW = { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.01 } as const;

/**
 * Makes the update of one parameter after the other. With m = Σ β1ⁿ g and v = Σ β2ⁿ g² (of gradients before the factor f),
 * torch's
 *
 *     p ← p (1 − lr λ) − lr · ((1 − β1) f m ÷ c1) ÷ (√((1 − β2) f² v ÷ c2) + ε)
 *
 * is p (1 − lr λ) − a · m ÷ (√v + ε'), where s = √(c2 ÷ (1 − β2)), a = lr · s · (1 − β1) ÷ c1 and ε' = ε · s ÷ f are scalars.
 *
 * @param lr learning rate
 * @param c 1 − β1^t and 1 − β2^t of step t, from 1
 */
export function adamW(
  g: GraphBuilder,
  spec: AdamW,
  { lr, c, factor, state }: { lr: Value; c: readonly [Value, Value]; factor: Factor; state: State },
): (param: Trained) => void {
  const [beta1, beta2] = spec.betas ?? ADAMW.betas;
  const { now, keep, taken } = factor;
  const s = g.sqrt(g.div(c[1], 1 - beta2));
  const eps = g.div(g.mul(s, spec.eps ?? ADAMW.eps), now);
  const full = g.div(g.mul(g.mul(lr, s), 1 - beta1), c[0]);
  const size = once((rate: number) => taken(rate === 1 ? full : g.mul(full, rate), 0));
  const left = once((decay: number) => taken(g.sub(1, g.mul(lr, decay)), 1));
  const [keep1, keep2] = [keep(beta1, 1), keep(beta2, 2)];
  return ({ name, value, gradient }) => {
    const { rate, decay } = groupOf(spec, name, ADAMW.weightDecay);
    const { shape } = value;
    const m = state.add('moment1', name, shape, (before) => g.add(g.mul(before, keep1), gradient));
    const v = state.add('moment2', name, shape, (before) =>
      g.add(g.mul(before, keep2), g.mul(gradient, gradient)),
    );
    const change = g.mul(g.div(m, g.add(g.sqrt(v), eps)), size(rate));
    state.weight(name, g.sub(decay === 0 ? value : g.mul(value, left(rate * decay)), change));
  };
}
