import { ascending, quantileOfSorted } from './order.ts';

/** Values kept as they are; more than MLPerf's 662 for p99, so that small pools stay exact. */
const EXACT = 1024;
/** Ratio of neighbouring bin edges: a quantile read from bins is within ±0.5% of a value that was seen. */
const LOG_WIDTH = Math.log(1.01);

/**
 * Quantiles of a stream of positive numbers in bounded memory: exact up to 1,024 values, then counts in logarithmic
 * bins 1% wide (relative error ≤ 0.5%; at most about 2,600 bins from a nanosecond to a day). Zeros and negatives count as
 * the smallest value.
 * Source of the bin scheme and its error bound: Masson, Rim and Lee, "DDSketch" (2019), section 2.
 */
export class Digest {
  #count = 0;
  #exact: number[] | null = [];
  #sorted: Float64Array | null = null;
  readonly #bins = new Map<number, number>();

  get count(): number {
    return this.#count;
  }

  add(values: ArrayLike<number>): void {
    this.#sorted = null;
    for (let i = 0; i < values.length; i++) {
      this.#count++;
      if (this.#exact === null) this.#bin(values[i]!);
      else if (this.#exact.push(values[i]!) > EXACT) {
        for (const v of this.#exact) this.#bin(v);
        this.#exact = null;
      }
    }
  }

  /** The q-quantile; NaN where nothing was added. */
  quantile(q: number): number {
    if (this.#exact !== null) {
      this.#sorted ??= ascending(this.#exact);
      return quantileOfSorted(this.#sorted, q);
    }
    const target = (this.#count - 1) * q;
    let seen = 0;
    let last = Number.NaN;
    for (const [bin, n] of [...this.#bins].sort((a, b) => a[0] - b[0])) {
      seen += n;
      // The geometric middle of the bin is at most half its width away from anything in it.
      last = Math.exp((bin + 0.5) * LOG_WIDTH);
      if (seen > target) break;
    }
    return last;
  }

  #bin(value: number): void {
    const bin = Math.floor(Math.log(Math.max(value, 1e-6)) / LOG_WIDTH);
    this.#bins.set(bin, (this.#bins.get(bin) ?? 0) + 1);
  }
}
