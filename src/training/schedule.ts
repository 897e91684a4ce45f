import { VersusError } from '../core/errors.ts';

/** The learning rate over the steps of a training, as transformers' `get_scheduler` has it (`optimization.py`). */
export interface Schedule {
  /** After warming up: stays, falls to zero on a line, or along half a cosine. */
  readonly kind: 'constant' | 'linear' | 'cosine';
  /** Its highest value. */
  readonly rate: number;
  /** Steps in which it rises from zero to that. */
  readonly warmup?: number;
  /** Steps in all. */
  readonly steps: number;
}

/**
 * The learning rate of a step, counted from 0.
 * @throws VersusError `usage` for a schedule whose numbers make no sense
 */
export function rateAt({ kind, rate, warmup = 0, steps }: Schedule, step: number): number {
  if (!(rate > 0 && Number.isFinite(rate) && warmup >= 0 && warmup <= steps)) {
    throw new VersusError('usage', `a learning rate of ${rate} with ${warmup} of ${steps} steps to warm up`, {
      next: 'the rate has to be above 0, and the warm-up no longer than the training',
    });
  }
  if (step < warmup) return (rate * step) / warmup;
  if (kind === 'constant') return rate;
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  return kind === 'linear' ? rate * (1 - progress) : rate * 0.5 * (1 + Math.cos(Math.PI * progress));
}

/** Adam's corrections of bias for the step that is the `t`-th to be taken, from 1. Inputs of the step graph. */
export function adamCorrections(
  t: number,
  betas: readonly [number, number],
): { correction1: number; correction2: number } {
  // 1 − β^t without cancellation where β is near 1.
  const of = (beta: number): number => (beta === 0 ? 1 : -Math.expm1(t * Math.log(beta)));
  return { correction1: of(betas[0]), correction2: of(betas[1]) };
}

/** How much the loss is multiplied with, and for how many steps no gradient has overflowed since that changed. */
export interface LossScale {
  readonly scale: number;
  readonly goodSteps: number;
}

/** As torch's `GradScaler` starts. */
export const FIRST_LOSS_SCALE: LossScale = { scale: 2 ** 16, goodSteps: 0 };
const GOOD_STEPS = 2000;

/**
 * The scale of the next step, by `GradScaler`'s numbers: half of it after an overflow, twice after 2000 steps without. A step
 * that overflowed was not taken and does not count for Adam's corrections.
 */
export function nextLossScale({ scale, goodSteps }: LossScale, finite: boolean): LossScale {
  if (!finite) return { scale: scale / 2, goodSteps: 0 };
  if (goodSteps + 1 < GOOD_STEPS) return { scale, goodSteps: goodSteps + 1 };
  // Beyond float32 the scale could not be fed.
  return { scale: scale < 2 ** 127 ? scale * 2 : scale, goodSteps: 0 };
}
