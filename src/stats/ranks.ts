import { normalCdf } from './distributions.ts';

/** The largest n·N·sum of the exact distribution's table, about 10 ms of work (37 against 37); beyond it the normal approximation is good to three digits. */
const EXACT_WORK = 6e6;
/** Tables without ties by their sizes: a run compares thousands of rows with the same numbers of rounds. */
const untied = new Map<string, Float64Array | null>();

export interface RankTest {
  /** Pairs (a, b) with b > a, ties counted half. */
  readonly u: number;
  /** Two-sided. */
  readonly p: number;
  readonly method: string;
}

/**
 * Mann–Whitney U test, two-sided: are draws of `b` larger or smaller than draws of `a`? For small samples the exact
 * permutation distribution of the rank sum given the ties (p = twice the smaller tail), else the normal approximation
 * with tie and continuity correction. p = 1 where a side is empty.
 * Source: Mann and Whitney (1947); shift algorithm of Streitberg and Röhmel (1986) for tied ranks; Lehmann,
 * "Nonparametrics" (1975), section 1.4 for the variance under ties.
 */
export function mannWhitney(a: ArrayLike<number>, b: ArrayLike<number>): RankTest {
  const n = a.length;
  const m = b.length;
  if (n === 0 || m === 0) return { u: 0, p: 1, method: 'Mann–Whitney: a side is empty' };
  const { ranks, tieTerm } = midranks([...Array.from(a), ...Array.from(b)]);
  let sum = 0;
  for (let j = n; j < n + m; j++) sum += ranks[j]!;
  const u = sum - (m * (m + 1)) / 2;
  // Midranks are multiples of one half; the table wants whole numbers.
  const scale = tieTerm === 0 ? 1 : 2;
  const counts =
    tieTerm === 0
      ? untiedCounts(n, m)
      : rankSumCounts(
          Int32Array.from(ranks, (r) => r * scale),
          m,
        );
  if (counts !== null) {
    const at = Math.round(sum * scale);
    const total = counts.reduce((s, v) => s + v, 0);
    const lower = counts.subarray(0, at + 1).reduce((s, v) => s + v, 0) / total;
    const upper = counts.subarray(at).reduce((s, v) => s + v, 0) / total;
    return { u, p: Math.min(1, 2 * Math.min(lower, upper)), method: 'exact Mann–Whitney' };
  }
  const N = n + m;
  const variance = ((n * m) / 12) * (N + 1 - tieTerm / (N * (N - 1)));
  const distance = Math.abs(u - (n * m) / 2);
  const p =
    variance === 0 ? 1 : Math.min(1, 2 * normalCdf(-Math.max(0, distance - 0.5) / Math.sqrt(variance)));
  return { u, p, method: 'Mann–Whitney (normal approximation)' };
}

/** The smallest two-sided p that `n` against `m` untied values can reach: 2 ÷ C(n+m, n). */
export function smallestP(n: number, m: number): number {
  let ways = 1;
  for (let i = 1; i <= n; i++) ways = (ways * (m + i)) / i;
  return Math.min(1, 2 / ways);
}

/** P(U ≤ u) without ties for all u = 0 … n·m, or null where the table would be too large. */
export function untiedUCdf(n: number, m: number): Float64Array | null {
  const counts = untiedCounts(n, m);
  if (counts === null) return null;
  const offset = (m * (m + 1)) / 2;
  const cdf = new Float64Array(n * m + 1);
  const total = counts.reduce((s, v) => s + v, 0);
  let sum = 0;
  for (let u = 0; u <= n * m; u++) {
    sum += counts[offset + u]!;
    cdf[u] = sum / total;
  }
  return cdf;
}

function untiedCounts(n: number, m: number): Float64Array | null {
  const key = `${n}+${m}`;
  let counts = untied.get(key);
  if (counts === undefined) {
    counts = rankSumCounts(
      Int32Array.from({ length: n + m }, (_, i) => i + 1),
      m,
    );
    if (untied.size >= 64) untied.clear();
    untied.set(key, counts);
  }
  return counts;
}

/** Ranks from 1, equal values sharing the mean of theirs, and Σ(t³ − t) over groups of t equal values. */
function midranks(values: readonly number[]): { ranks: Float64Array; tieTerm: number } {
  const order = values.map((_, i) => i).sort((i, j) => values[i]! - values[j]!);
  const ranks = new Float64Array(values.length);
  let tieTerm = 0;
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + 1 + end) / 2;
    const t = end - start;
    tieTerm += t ** 3 - t;
    start = end;
  }
  return { ranks, tieTerm };
}

/** How many of the subsets of `size` of the whole-number ranks have each sum; null where that is too much work. */
function rankSumCounts(ranks: Int32Array, size: number): Float64Array | null {
  const largest = [...ranks].sort((x, y) => y - x).slice(0, size);
  const top = largest.reduce((s, v) => s + v, 0);
  if (ranks.length * size * top > EXACT_WORK) return null;
  const width = top + 1;
  const table = new Float64Array((size + 1) * width);
  table[0] = 1;
  for (let i = 0; i < ranks.length; i++) {
    const rank = ranks[i]!;
    for (let k = Math.min(i + 1, size); k >= 1; k--) {
      const to = k * width;
      const from = to - width - rank;
      for (let s = top; s >= rank; s--) table[to + s]! += table[from + s]!;
    }
  }
  return table.slice(size * width);
}
