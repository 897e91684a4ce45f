import type { Shape } from '../../core/graph.ts';
import type { DType } from '../../core/tensor.ts';
import type { GraphBuilder, Value } from '../../graph/builder.ts';

/** A tensor that lives from step to step: an input of the step graph, and the output that holds the next one. */
export interface StateTensor {
  readonly input: string;
  readonly output: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Parameter or buffer that it belongs to; empty for `factor`, which belongs to all. */
  readonly of: string;
  /**
   * - `moment1`, of SGD its momentum: a sum Σ β1ⁿ g of the gradients as they came, not of (1 − β1) g as torch keeps it;
   * - `moment2`: Σ β2ⁿ g², likewise;
   * - `factor`: what the gradients of the last step were to be multiplied with, and with it the moments: `exp_avg` of torch is
   *   factor · (1 − β1) · moment1, `exp_avg_sq` is factor² · (1 − β2) · moment2.
   */
  readonly holds: 'weight' | 'buffer' | 'moment1' | 'moment2' | 'accumulator' | 'factor';
  /** What every element is before the first step; of weights and buffers the model's own numbers. */
  readonly initial?: number;
  /** A matrix that has rows and columns of its parameter exchanged. */
  readonly transposed?: true;
}

/** Declares inputs and outputs of what a step updates. */
export class State {
  readonly #g: GraphBuilder;
  readonly #tensors: StateTensor[] = [];

  constructor(g: GraphBuilder) {
    this.#g = g;
  }

  /** Weights first. */
  get tensors(): readonly StateTensor[] {
    const weights = this.#tensors.filter((t) => t.holds === 'weight');
    return [...weights, ...this.#tensors.filter((t) => t.holds !== 'weight')];
  }

  /** The next numbers of a parameter, whose input is there already. */
  weight(name: string, next: Value): void {
    this.#output(name, next, { of: name, holds: 'weight' });
  }

  /** A tensor that starts at zero, `factor` at one. @returns the next one */
  add(
    holds: 'moment1' | 'moment2' | 'accumulator' | 'factor',
    of: string,
    shape: Shape,
    next: (before: Value) => Value,
  ): Value {
    const name = of === '' ? holds : `${holds}/${of}`;
    const value = next(this.#g.input(name, 'float32', shape));
    this.#output(name, value, { of, holds, initial: holds === 'factor' ? 1 : 0 });
    return value;
  }

  #output(
    input: string,
    { dtype, shape, ...value }: Value,
    about: Pick<StateTensor, 'of' | 'holds' | 'initial'>,
  ): void {
    const output = `next/${input}`;
    this.#g.output(output, { dtype, shape, ...value });
    this.#tensors.push({ input, output, dtype, shape: shape as readonly number[], ...about });
  }
}
