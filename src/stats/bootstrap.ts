import { splitmix32 } from '../core/random.ts';
import { normalCdf, normalQuantile } from './distributions.ts';
import type { Interval } from './interval.ts';
import { ascending, median, quantileOfSorted } from './order.ts';

export interface BootstrapOptions {
  readonly seed?: number;
  readonly resamples?: number;
  readonly confidence?: number;
  /** `bca` corrects bias and skewness; `percentile` takes the quantiles as they are. */
  readonly kind?: 'percentile' | 'bca';
}

/**
 * Bootstrap interval of a statistic of n independent units (rounds), given as a function of the indices drawn. Equal
 * seeds give equal intervals. null where n < 3 or the statistic is not finite.
 * Source: Efron, "Better bootstrap confidence intervals" (1987); Efron and Tibshirani (1993), chapters 13 and 14.
 */
export function bootstrapInterval(
  n: number,
  statistic: (indices: Int32Array) => number,
  options: BootstrapOptions = {},
): Interval | null {
  const { seed = 1, resamples = 2000, confidence = 0.95, kind = 'percentile' } = options;
  if (n < 3) return null;
  const whole = statistic(Int32Array.from({ length: n }, (_, i) => i));
  if (!Number.isFinite(whole)) return null;
  const next = splitmix32(seed);
  const indices = new Int32Array(n);
  const draws = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    for (let i = 0; i < n; i++) indices[i] = Math.floor((next() / 4294967296) * n);
    draws[r] = statistic(indices);
  }
  draws.sort();
  let tail: readonly [number, number] = [(1 - confidence) / 2, (1 + confidence) / 2];
  if (kind === 'bca') tail = correctedTails(draws, whole, jackknife(n, statistic), tail);
  const [lo, hi] = tail.map((q) => quantileOfSorted(draws, q)) as [number, number];
  return { lo, hi, method: `bootstrap (${kind}), n=${n}, ${100 * confidence}%` };
}

/** Bootstrap interval of the median of round medians. */
export function bootstrapMedian(values: ArrayLike<number>, options?: BootstrapOptions): Interval | null {
  const pick = new Float64Array(values.length);
  const statistic = (indices: Int32Array) => {
    for (let i = 0; i < indices.length; i++) pick[i] = values[indices[i]!]!;
    return median(pick);
  };
  return bootstrapInterval(values.length, statistic, options);
}

function jackknife(n: number, statistic: (indices: Int32Array) => number): Float64Array {
  return Float64Array.from({ length: n }, (_, left) =>
    statistic(Int32Array.from({ length: n - 1 }, (_unused, i) => (i < left ? i : i + 1))),
  );
}

/** Bias z0 from the share of draws below the estimate (ties count half), acceleration from the jackknife's skewness. */
function correctedTails(
  sortedDraws: Float64Array,
  whole: number,
  left: Float64Array,
  tails: readonly [number, number],
): [number, number] {
  let below = 0;
  for (const d of sortedDraws) below += d < whole ? 1 : d === whole ? 0.5 : 0;
  const z0 = normalQuantile(below / sortedDraws.length);
  if (!Number.isFinite(z0)) return [...tails];
  const mean = left.reduce((s, v) => s + v, 0) / left.length;
  let [cubes, squares] = [0, 0];
  for (const v of left) {
    cubes += (mean - v) ** 3;
    squares += (mean - v) ** 2;
  }
  const acceleration = squares === 0 ? 0 : cubes / (6 * squares ** 1.5);
  return tails.map((q) => {
    const z = z0 + normalQuantile(q);
    return normalCdf(z0 + z / (1 - acceleration * z));
  }) as [number, number];
}

/**
 * Ratio B ÷ A of rounds that ran interleaved, with a bootstrap interval over pairs: round i of both sides is drawn
 * together, so that drift of the machine that both shared cancels. The statistic is the median of the rounds' ratios
 * (on logs). null where the lengths differ, a value is not positive, or there are fewer than 3 rounds.
 */
export function pairedBootstrapRatio(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  options?: BootstrapOptions,
): { ratio: number; interval: Interval } | null {
  if (a.length !== b.length) return null;
  const logs = Float64Array.from(a, (v, i) => Math.log(b[i]! / v));
  if (!logs.every((v, i) => Number.isFinite(v) && a[i]! > 0)) return null;
  const interval = bootstrapMedian(logs, options);
  if (interval === null) return null;
  const ratio = Math.exp(quantileOfSorted(ascending(logs), 0.5));
  return {
    ratio,
    interval: {
      lo: Math.exp(interval.lo),
      hi: Math.exp(interval.hi),
      method: `paired ${interval.method}`,
    },
  };
}
