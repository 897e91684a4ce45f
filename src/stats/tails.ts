/**
 * How many samples a percentile needs before it may be printed: the smallest n with P(Binomial(n, 1 − p) ≤ 1) ≤ 1%, so
 * that at 99% confidence at least two samples lie beyond the percentile.
 * Source: MLPerf Inference rules, appendix "Early stopping criterion" (64 for p90, 662 for p99; same rule for p95).
 */
export const PERCENTILES = [
  { name: 'p90', q: 0.9, needs: 64 },
  { name: 'p95', q: 0.95, needs: 130 },
  { name: 'p99', q: 0.99, needs: 662 },
] as const;

/** Why a percentile is not printed, or null when there are enough samples. */
export function tooFewFor(needs: number, has: number): string | null {
  return has >= needs ? null : `n/a: needs ≥ ${needs} samples, has ${has}`;
}
