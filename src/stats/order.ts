/** Up to here inserting is faster than the engine's sort. */
const SMALL = 48;

/** Medians of 100,000 records would otherwise leave 300,000 arrays to the garbage collector. */
const scratch = new Float64Array(SMALL);

/** An ascending copy. */
export function ascending(values: ArrayLike<number>): Float64Array {
  if (values.length > SMALL) return new Float64Array(values).sort();
  return insert(values, new Float64Array(values.length));
}

function insert(values: ArrayLike<number>, sorted: Float64Array): Float64Array {
  for (let i = 0; i < values.length; i++) {
    const v = values[i]!;
    let j = i;
    for (; j > 0 && sorted[j - 1]! > v; j--) sorted[j] = sorted[j - 1]!;
    sorted[j] = v;
  }
  return sorted;
}

/**
 * The q-quantile, 0 ≤ q ≤ 1, of ascending values by linear interpolation between order statistics: type 7 of Hyndman
 * and Fan, "Sample quantiles in statistical packages" (1996); the default of R and NumPy. NaN where there are none.
 */
export function quantileOfSorted(sorted: ArrayLike<number>, q: number): number {
  const n = sorted.length;
  if (n === 0) return Number.NaN;
  const h = (n - 1) * q;
  const low = Math.floor(h);
  const a = sorted[low]!;
  const b = sorted[Math.min(low + 1, n - 1)]!;
  return a + (h - low) * (b - a);
}

/** The q-quantile of values in any order; see {@link quantileOfSorted}. */
export function quantile(values: ArrayLike<number>, q: number): number {
  return quantileOfSorted(ascending(values), q);
}

/** The middle value, or the mean of the two middle ones. NaN where there are none. */
export function median(values: ArrayLike<number>): number {
  const n = values.length;
  if (n === 0) return Number.NaN;
  const sorted = n > SMALL ? ascending(values) : insert(values, scratch);
  const upper = sorted[n >> 1]!;
  return n % 2 === 1 ? upper : sorted[(n >> 1) - 1]! + (upper - sorted[(n >> 1) - 1]!) / 2;
}
