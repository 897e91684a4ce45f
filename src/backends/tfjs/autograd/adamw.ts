import type * as Tf from '@tensorflow/tfjs-core';

export interface AutogradAdamW {
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  /** Which parameters decay; all when left out. */
  readonly decays?: (param: string) => boolean;
}

/** AdamW as torch has it (tfjs's Adam decays nothing): first and second moments of every variable, as tensors of the engine. */
export class AdamW {
  readonly #tf: typeof Tf;
  readonly #spec: AutogradAdamW;
  readonly #moments = new Map<string, readonly [Tf.Variable, Tf.Variable]>();

  constructor(tf: typeof Tf, spec: AutogradAdamW, variables: ReadonlyMap<string, Tf.Variable>) {
    this.#tf = tf;
    this.#spec = spec;
    for (const [name, { shape }] of variables) {
      const zeros = () => tf.tidy(() => tf.variable(tf.zeros(shape), false));
      this.#moments.set(name, [zeros(), zeros()]);
    }
  }

  /** Moves a variable against its gradient. `correction1` and `correction2` are 1 − β^t of the step. */
  update(
    name: string,
    variable: Tf.Variable,
    gradient: Tf.Tensor,
    { lr, correction1, correction2 }: { lr: number; correction1: number; correction2: number },
  ): void {
    const tf = this.#tf;
    const { betas, eps, weightDecay, decays } = this.#spec;
    const [first, second] = this.#moments.get(name)!;
    tf.tidy(() => {
      first.assign(tf.add(tf.mul(first, betas[0]), tf.mul(gradient, 1 - betas[0])));
      second.assign(tf.add(tf.mul(second, betas[1]), tf.mul(tf.square(gradient), 1 - betas[1])));
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
