/** What every way of computing a step is asked: the same batches, rates and number of steps. */
import type { Tensors } from '../core/tensor.ts';
import type { Batches } from '../training/batches.ts';
import { adamCorrections, rateAt } from '../training/schedule.ts';
import { BETAS, type TrainParams } from './train-setup.ts';

/** Batches that are cycled through while timing. */
export const HELD = 4;
/** Steps whose losses are compared between backends. */
export const COMPARED = 3;

/** The numbers that change with every step, of `of` steps in all. */
export function scalarsAt(
  { rate }: Pick<TrainParams, 'rate'>,
  step: number,
  of: number,
): Record<string, number> {
  const warmup = Math.floor(of / 10);
  // A warm-up counts from nothing, which would waste the first step.
  const lr = rateAt({ kind: 'cosine', rate, warmup, steps: of }, warmup > 0 ? step + 1 : step);
  return { lr, ...adamCorrections(step + 1, BETAS) };
}

/** The same while timing: a rate so small that the weights stay where speed is that of training, however many repetitions there are. */
export const timedScalars = ({ rate }: Pick<TrainParams, 'rate'>, step: number): Record<string, number> => ({
  ...{ lr: rate / 100, ...adamCorrections(step + 1, BETAS) },
});

/** Batches that are read once and timed over and over. */
export class Held {
  readonly #batches: Batches;
  readonly #held: Tensors[] = [];

  constructor(batches: Batches) {
    this.#batches = batches;
  }

  async at(step: number): Promise<Tensors> {
    const at = step % HELD;
    this.#held[at] ??= await this.#batches.at(at);
    return this.#held[at];
  }
}
