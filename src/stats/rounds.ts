import { bootstrapMedian } from './bootstrap.ts';
import { medianInterval } from './interval.ts';
import { median } from './order.ts';

/** Rounds from which on the 95% interval of a median needs no assumption. */
export const ROUNDS_FOR_INTERVAL = 6;

export interface RoundSummary {
  readonly value: number | null;
  readonly ci_lo: number | null;
  readonly ci_hi: number | null;
  readonly ci_method: string;
}

/**
 * The median of round medians with its 95% interval: order statistics from 6 rounds on, a percentile bootstrap over
 * rounds with 3 to 5 (which covers less than it says, so nothing is decided on it), none below.
 */
export function summariseRounds(values: readonly number[]): RoundSummary {
  const n = values.length;
  const interval = n >= ROUNDS_FOR_INTERVAL ? medianInterval(values) : bootstrapMedian(values);
  return {
    value: n === 0 ? null : median(values),
    ci_lo: interval?.lo ?? null,
    ci_hi: interval?.hi ?? null,
    ci_method: interval?.method ?? `none: ${n} ${n === 1 ? 'round' : 'rounds'}`,
  };
}
