import { binomialPmf, normalQuantile } from './distributions.ts';
import { ascending } from './order.ts';

/** A two-sided interval and how it came about. */
export interface Interval {
  readonly lo: number;
  readonly hi: number;
  /** Method, n and, where it is discrete, the coverage that is really reached. */
  readonly method: string;
}

/**
 * Distribution-free interval of the median: the k-th smallest and k-th largest value, k the largest with
 * 2·P(Binomial(n, ½) < k) ≤ 1 − confidence. Needs no assumption but independent draws. null where n is too small
 * (n < 6 at 95%).
 * Source: W. R. Thompson (1936); Conover, "Practical Nonparametric Statistics", 3rd ed., section 3.2.
 */
export function medianInterval(values: ArrayLike<number>, confidence = 0.95): Interval | null {
  const n = values.length;
  let below = 0;
  let k = 0;
  while (k < n / 2) {
    const next = below + binomialPmf(k, n, 0.5);
    if (2 * next > 1 - confidence) break;
    below = next;
    k++;
  }
  if (k === 0) return null;
  const sorted = ascending(values);
  const coverage = (100 * (1 - 2 * below)).toFixed(1);
  return { lo: sorted[k - 1]!, hi: sorted[n - k]!, method: `order statistics, n=${n}, ${coverage}%` };
}

/**
 * Score interval of a proportion of `successes` in `n`.
 * Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
 */
export function wilsonInterval(successes: number, n: number, confidence = 0.95): Interval | null {
  if (n <= 0) return null;
  const z = normalQuantile(0.5 + confidence / 2);
  const p = successes / n;
  const centre = (p + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return {
    lo: successes === 0 ? 0 : Math.max(0, centre - half),
    hi: successes === n ? 1 : Math.min(1, centre + half),
    method: `Wilson, n=${n}, ${100 * confidence}%`,
  };
}
