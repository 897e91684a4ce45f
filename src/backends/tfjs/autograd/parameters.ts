import type * as Tf from '@tensorflow/tfjs-core';
import { VersusError } from '../../../core/errors.ts';
import { type Tensors, toNumbers } from '../../../core/tensor.ts';

/** A model's weights as variables of tfjs, by the checkpoint's names. */
export class Parameters {
  readonly tf: typeof Tf;
  #numbers: Tensors;
  readonly #variables = new Map<string, Tf.Variable>();

  /** @param numbers float32, by name */
  constructor(tf: typeof Tf, numbers: Tensors) {
    this.tf = tf;
    this.#numbers = numbers;
  }

  /** All that were asked for, by name. */
  get variables(): ReadonlyMap<string, Tf.Variable> {
    return this.#variables;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#numbers, name);
  }

  /** As the checkpoint has it. @throws VersusError `input` where it is missing */
  plain(name: string): Tf.Variable {
    return this.#variable(name, (x) => x);
  }

  /** A matrix that the checkpoint has as [out, in] as [in, out], which products want: turned once. */
  turned(name: string): Tf.Variable {
    return this.#variable(name, (x) => {
      const [out] = x.shape as [number];
      return this.tf.transpose(this.tf.reshape(x, [out, x.size / out]));
    });
  }

  #variable(name: string, as: (x: Tf.Tensor) => Tf.Tensor): Tf.Variable {
    const known = this.#variables.get(name);
    if (known) return known;
    if (!this.has(name)) throw new VersusError('input', `there are no numbers for ${name}`);
    const { tf } = this;
    const { shape } = this.#numbers[name]!;
    const numbers = Float32Array.from(toNumbers(this.#numbers[name]!));
    const made = tf.tidy(() => tf.variable(as(tf.tensor(numbers, shape as number[]))));
    this.#variables.set(name, made);
    return made;
  }

  /** Lets go of the numbers on the host; no further parameters can be asked for. */
  settle(): void {
    this.#numbers = {};
  }

  dispose(): void {
    for (const variable of this.#variables.values()) variable.dispose();
    this.#variables.clear();
  }
}
