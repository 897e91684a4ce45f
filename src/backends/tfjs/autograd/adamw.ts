import type * as Tf from '@tensorflow/tfjs-core';
import type { AutogradOptimiser } from '../../../core/autograd.ts';

/** Of torch's `clip_grad_norm_`. */
const CLIP_EPS = 1e-6;

/** AdamW as torch has it (tfjs's Adam decays nothing): first and second moments of every variable, as tensors of the engine. */
export class AdamW {
  readonly #tf: typeof Tf;
  readonly #spec: AutogradOptimiser;
  readonly #moments = new Map<string, readonly [Tf.Variable, Tf.Variable]>();

  constructor(tf: typeof Tf, spec: AutogradOptimiser, variables: ReadonlyMap<string, Tf.Variable>) {
    this.#tf = tf;
    this.#spec = spec;
    for (const [name, { shape }] of variables) {
      const zeros = () => tf.tidy(() => tf.variable(tf.zeros(shape), false));
      this.#moments.set(name, [zeros(), zeros()]);
    }
  }

  /** What all gradients are multiplied by to clip their norm, a scalar of the engine; null where nothing is clipped. */
  factorOf(gradients: readonly Tf.Tensor[]): Tf.Tensor | null {
    const tf = this.#tf;
    const { clipNorm } = this.#spec;
    if (clipNorm === undefined) return null;
    return tf.tidy(() => {
      // Each square on its own, so that they need not all be there at once.
      const squares = gradients.map((gradient) => tf.tidy(() => tf.sum(tf.square(gradient))));
      return tf.minimum(tf.div(clipNorm, tf.add(tf.sqrt(tf.addN(squares)), CLIP_EPS)), 1);
    });
  }

  /** Moves a variable against its gradient times `factor`. `correction1` and `correction2` are 1 − β^t of the step. */
  update(
    name: string,
    variable: Tf.Variable,
    gradient: Tf.Tensor,
    { lr, correction1, correction2 }: { lr: number; correction1: number; correction2: number },
    factor: Tf.Tensor | null,
  ): void {
    const tf = this.#tf;
    const { betas, eps, weightDecay, decays } = this.#spec;
    const [first, second] = this.#moments.get(name)!;
    tf.tidy(() => {
      // The factor goes into the scalars: one that is multiplied by each gradient would be a pass more.
      const share = (beta: number, by: Tf.Tensor | null) => (by ? tf.mul(by, 1 - beta) : 1 - beta);
      first.assign(tf.add(tf.mul(first, betas[0]), tf.mul(gradient, share(betas[0], factor))));
      const squared = factor && tf.square(factor);
      second.assign(tf.add(tf.mul(second, betas[1]), tf.mul(tf.square(gradient), share(betas[1], squared))));
      const spread = tf.add(tf.sqrt(tf.mul(second, 1 / correction2)), eps);
      const change = tf.mul(tf.div(first, spread), lr / correction1);
      const decay = (decays?.(name) ?? true) ? weightDecay : 0;
      variable.assign(tf.sub(decay === 0 ? variable : tf.mul(variable, 1 - lr * decay), change));
    });
  }

  dispose(): void {
    for (const moments of this.#moments.values()) for (const moment of moments) moment.dispose();
  }
}
