import { normalQuantile } from './distributions.ts';
import { type Interval, medianInterval } from './interval.ts';
import { ascending, median, quantileOfSorted } from './order.ts';
import { untiedUCdf } from './ranks.ts';

/** More values of a side than this are thinned to that many equally spaced quantiles: 4,096 pairs are enough. */
const MOST = 64;
/** Rounds up to which the signed-rank distribution is computed exactly. */
const EXACT_ROUNDS = 60;

export interface RatioEstimate {
  readonly ratio: number;
  /** null where the samples are too small for the confidence asked for. */
  readonly interval: Interval | null;
}

/**
 * Hodges–Lehmann estimate of the ratio B ÷ A of two independent samples: the median of all b/a, with the interval that
 * inverts the Mann–Whitney test (on logs a shift is a ratio). null where a side is empty or a value is not positive.
 * 95% needs 4 against 4 values. Source: Hodges and Lehmann (1963); interval: Moses, in Hollander, Wolfe and Chicken,
 * "Nonparametric Statistical Methods", 3rd ed., section 4.3.
 */
export function hodgesLehmannRatio(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  confidence = 0.95,
): RatioEstimate | null {
  const la = logs(a);
  const lb = logs(b);
  if (la === null || lb === null) return null;
  const differences = new Float64Array(la.length * lb.length);
  let i = 0;
  for (const y of lb) for (const x of la) differences[i++] = y - x;
  differences.sort();
  const k = lowerRank(a.length, b.length, 1 - confidence, differences.length);
  const method = `Hodges–Lehmann, n=${a.length}+${b.length}, ${100 * confidence}%`;
  return {
    ratio: Math.exp(quantileOfSorted(differences, 0.5)),
    interval:
      k < 1
        ? null
        : {
            lo: Math.exp(differences[k - 1]!),
            hi: Math.exp(differences[differences.length - k]!),
            method,
          },
  };
}

/**
 * Paired Hodges–Lehmann estimate of the ratio B ÷ A of rounds that ran interleaved: the median of the Walsh averages of
 * log(bᵢ/aᵢ), with the interval that inverts the exact Wilcoxon signed-rank test. Round i of both sides stays together,
 * so drift of the machine that both shared cancels. It reaches its nominal coverage at 6 rounds, where a bootstrap of
 * so few rounds covers only 91–94% (scripts/gate-power.ts prints both). Beyond 60 rounds the order-statistic interval of the
 * rounds' ratios. null where the lengths differ or a value is not positive; the interval is null below 6 rounds at 95%.
 * Source: Hodges and Lehmann (1963); interval: Tukey, in Hollander, Wolfe and Chicken, 3rd ed., section 3.3.
 */
export function pairedRatio(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  confidence = 0.95,
): RatioEstimate | null {
  const n = a.length;
  const positive = Array.from(a).every((v, i) => v > 0 && b[i]! > 0 && Number.isFinite(b[i]! / v));
  if (n === 0 || n !== b.length || !positive) return null;
  const z = Float64Array.from(a, (v, i) => Math.log(b[i]! / v));
  if (n > EXACT_ROUNDS) {
    const { lo, hi, method } = medianInterval(z, confidence)!;
    const interval = { lo: Math.exp(lo), hi: Math.exp(hi), method: `paired ${method}` };
    return { ratio: Math.exp(median(z)), interval };
  }
  const walsh = new Float64Array((n * (n + 1)) / 2);
  let at = 0;
  for (let i = 0; i < n; i++) for (let j = i; j < n; j++) walsh[at++] = (z[i]! + z[j]!) / 2;
  walsh.sort();
  const k = signedRankLower(n, 1 - confidence);
  const method = `paired Hodges–Lehmann, n=${n}, ${100 * confidence}%`;
  return {
    ratio: Math.exp(quantileOfSorted(walsh, 0.5)),
    interval: k < 1 ? null : { lo: Math.exp(walsh[k - 1]!), hi: Math.exp(walsh[walsh.length - k]!), method },
  };
}

/** Ranks of the lower limit by n and α: a run compares thousands of rows with the same number of rounds. */
const lowerRanks = new Map<string, number>();

/** The largest k with 2·P(T ≤ k − 1) ≤ α, T being the sum of the ranks 1 … n that carry a positive sign; n ≤ 60. */
function signedRankLower(n: number, alpha: number): number {
  const key = `${n} ${alpha}`;
  const known = lowerRanks.get(key);
  if (known !== undefined) return known;
  const top = (n * (n + 1)) / 2;
  const share = new Float64Array(top + 1);
  share[0] = 1;
  for (let rank = 1; rank <= n; rank++) {
    for (let s = top; s >= 0; s--) share[s] = (share[s]! + (s >= rank ? share[s - rank]! : 0)) / 2;
  }
  let [k, below] = [0, 0];
  while (k <= top && 2 * (below + share[k]!) <= alpha) below += share[k++]!;
  if (lowerRanks.size < 256) lowerRanks.set(key, k);
  return k;
}

function logs(values: ArrayLike<number>): Float64Array | null {
  if (values.length === 0) return null;
  let sorted = ascending(values);
  if (!(sorted[0]! > 0) || !Number.isFinite(sorted.at(-1)!)) return null;
  if (sorted.length > MOST) {
    const all = sorted;
    sorted = Float64Array.from({ length: MOST }, (_, i) => quantileOfSorted(all, (i + 0.5) / MOST));
  }
  return sorted.map(Math.log);
}

/** The 1-based rank of the lower limit among `pairs` ordered differences: the largest k with 2·P(U ≤ k − 1) ≤ α. */
function lowerRank(n: number, m: number, alpha: number, pairs: number): number {
  const cdf = untiedUCdf(n, m);
  if (cdf === null) {
    const z = -normalQuantile(alpha / 2);
    const rank = (n * m) / 2 - z * Math.sqrt((n * m * (n + m + 1)) / 12);
    return Math.floor((rank * pairs) / (n * m));
  }
  let k = 0;
  while (k < cdf.length && 2 * cdf[k]! <= alpha) k++;
  return k;
}
