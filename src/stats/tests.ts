import { binomialCdf } from './distributions.ts';
import { median } from './order.ts';

/**
 * Exact two-sided McNemar test of two classifiers on the same samples, from the counts of samples that only one of them
 * got right. Source: McNemar (1947); exact binomial form in Agresti, "Categorical Data Analysis", 3rd ed., section 11.1.
 */
export function mcnemar(onlyA: number, onlyB: number): number {
  const n = onlyA + onlyB;
  if (n === 0) return 1;
  return Math.min(1, 2 * binomialCdf(Math.min(onlyA, onlyB), n, 0.5));
}

/**
 * Holm's step-down correction: adjusted p-values in the order given, such that rejecting those below α keeps the
 * family-wise error rate at α. Source: S. Holm, "A simple sequentially rejective multiple test procedure" (1979).
 */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((i, j) => ps[i]! - ps[j]!);
  const adjusted = new Array<number>(ps.length).fill(1);
  let running = 0;
  order.forEach((index, step) => {
    running = Math.max(running, Math.min(1, (ps.length - step) * ps[index]!));
    adjusted[index] = running;
  });
  return adjusted;
}

/** Kendall's S of a series: rising pairs minus falling pairs. */
export function kendallS(values: readonly number[]): number {
  let s = 0;
  for (let i = 0; i < values.length; i++) {
    for (let j = i + 1; j < values.length; j++) s += Math.sign(values[j]! - values[i]!);
  }
  return s;
}

export interface Trend {
  readonly s: number;
  /** Exact two-sided p of no trend; null where values tie or n > 60. */
  readonly p: number | null;
  /** Theil–Sen slope per step ÷ the median value. */
  readonly relativeSlope: number;
}

/**
 * Mann–Kendall test for a monotone trend over rounds, exact: permutations of n are counted by their inversions.
 * Source: Mann (1945), Kendall, "Rank Correlation Methods" (1948); slope: Sen (1968).
 */
export function trend(values: readonly number[]): Trend {
  const n = values.length;
  const slopes: number[] = [];
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) slopes.push((values[j]! - values[i]!) / (j - i));
  }
  const s = kendallS(values);
  const slope = slopes.length === 0 ? 0 : median(slopes);
  const relativeSlope = slope / (Math.abs(median(values)) || 1);
  return { s, p: slopes.includes(0) || n > 60 || n < 2 ? null : exactTrendP(n, s), relativeSlope };
}

function exactTrendP(n: number, s: number): number {
  const pairs = (n * (n - 1)) / 2;
  // share[k]: of the permutations so far, those with k inversions; the next element adds 0 … i of them.
  let share = Float64Array.of(1);
  for (let i = 1; i < n; i++) {
    const wider = new Float64Array(share.length + i);
    for (let k = 0; k < share.length; k++) {
      for (let add = 0; add <= i; add++) wider[k + add]! += share[k]! / (i + 1);
    }
    share = wider;
  }
  const inversions = (pairs - Math.abs(s)) / 2;
  let tail = 0;
  for (let k = 0; k <= inversions; k++) tail += share[k]!;
  return Math.min(1, 2 * tail);
}
