import type { Interval } from './interval.ts';
import { median } from './order.ts';
import { ROUNDS_FOR_INTERVAL, type RoundSummary, summariseRounds } from './rounds.ts';

/** Two points always lie on a line, so they cannot say whether there is one. */
export const SIZES_FOR_EXPONENT = 3;

/** value ≈ factor · size ^ exponent. */
export interface PowerLaw {
  readonly exponent: number;
  readonly factor: number;
  /** By what factor the value farthest from the law departs from it, at least 1: 1.1 is 10%. */
  readonly departure: number;
}

/**
 * The power law through values at sizes: ordinary least squares of log value on log size, with equal weights.
 * null with fewer than two different sizes, where the lengths differ, or where a number is not positive.
 * Source: Draper and Smith, "Applied Regression Analysis", 3rd ed., section 1.2, on logarithms.
 */
export function powerLaw(sizes: readonly number[], values: readonly number[]): PowerLaw | null {
  const n = sizes.length;
  if (n !== values.length || new Set(sizes).size < 2) return null;
  const x = sizes.map(Math.log);
  const y = values.map(Math.log);
  if (![...x, ...y].every(Number.isFinite)) return null;
  const [meanX, meanY] = [mean(x), mean(y)];
  let [products, squares] = [0, 0];
  for (let i = 0; i < n; i++) {
    products += (x[i]! - meanX) * (y[i]! - meanY);
    squares += (x[i]! - meanX) ** 2;
  }
  return through(x, y, products / squares);
}

/** The law of a given exponent through the middle of the logarithms, which is where least squares puts it too. */
function through(x: readonly number[], y: readonly number[], exponent: number): PowerLaw {
  const start = mean(y) - exponent * mean(x);
  const farthest = Math.max(...y.map((v, i) => Math.abs(v - start - exponent * x[i]!)));
  return { exponent, factor: Math.exp(start), departure: Math.exp(farthest) };
}

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;

/** How a cost grows with size, with what the rounds say of it. */
export interface Growth extends PowerLaw, Omit<RoundSummary, 'value'> {
  /** The exponent of each round, in round order; one for what is counted. */
  readonly exponents: readonly number[];
  /** Exponents between the two smallest and the two largest sizes: they differ where no single power law holds. */
  readonly ends: readonly [low: number, high: number];
  /**
   * Whether one exponent would mislead: a value lies a tenth off the law, and the ends differ in the same way beyond the
   * rounds' noise.
   */
  readonly bends: boolean;
}

/** From this departure on a cost is not told by one exponent. */
const FAR = 1.1;

/**
 * The power law of a cost over at least three sizes in ascending order. Rounds of all sizes ran interleaved, so each round
 * gives a law of its own; the exponent is the median of the rounds' and has the interval of such a median
 * ({@link summariseRounds}). That interval says how far measuring again would move the exponent; how well a power law
 * describes the cost at all is what `departure`, `ends` and `bends` say.
 * Where rounds are missing at a size, round i of one is no longer round i of another: the law is then fitted to the medians,
 * without an interval.
 *
 * @param values of each size, one per round
 * @param exact counted, not measured: there is no uncertainty to state
 * @returns null with fewer than three different sizes, or where a number is not positive
 */
export function growth(
  sizes: readonly number[],
  values: readonly (readonly number[])[],
  exact = false,
): Growth | null {
  if (new Set(sizes).size < SIZES_FOR_EXPONENT || sizes.length !== values.length) return null;
  const middles = values.map(median);
  const law = powerLaw(sizes, middles);
  if (law === null) return null;
  const ends = endsOf(sizes, middles);
  const whole = { ...law, ends, ci_lo: null, ci_hi: null, bends: law.departure >= FAR };
  if (exact) return { ...whole, exponents: [law.exponent], ci_method: 'exact' };
  const rounds = values[0]!.length;
  if (values.some((own) => own.length !== rounds)) {
    return { ...whole, exponents: [], bends: false, ci_method: 'none: some sizes lack rounds' };
  }
  const perRound = Array.from({ length: rounds }, (_, round) => values.map((own) => own[round]!));
  const exponents = perRound.map((own) => powerLaw(sizes, own)?.exponent);
  if (!exponents.every((exponent) => exponent !== undefined)) return null;
  const { value, ...interval } = summariseRounds(exponents);
  const fit = through(sizes.map(Math.log), middles.map(Math.log), value!);
  const rising = perRound.map((own) => endsOf(sizes, own)).map(([low, high]) => high - low);
  return { ...fit, ...interval, ends, exponents, bends: fit.departure >= FAR && excludesZero(rising) };
}

function endsOf(sizes: readonly number[], values: readonly number[]): readonly [low: number, high: number] {
  const between = (i: number, j: number): number =>
    Math.log(values[j]! / values[i]!) / Math.log(sizes[j]! / sizes[i]!);
  const last = sizes.length - 1;
  return [between(0, 1), between(last - 1, last)];
}

/** By the interval of the median where there are rounds for it; else only where all rounds agree. */
function excludesZero(differences: readonly number[]): boolean {
  const { ci_lo, ci_hi } = summariseRounds(differences);
  if (differences.length >= ROUNDS_FOR_INTERVAL) return ci_lo! > 0 || ci_hi! < 0;
  return differences.every((d) => d > 0) || differences.every((d) => d < 0);
}

/**
 * By how much a's exponent exceeds b's, as the interval of the median of the rounds' differences; null where their rounds
 * are not pairs or too few for an interval.
 */
export function exponentDifference(
  a: Growth,
  b: Growth,
): (Pick<Interval, 'lo' | 'hi'> & { readonly rounds: number }) | null {
  const rounds = a.exponents.length;
  if (rounds !== b.exponents.length) return null;
  const { ci_lo, ci_hi } = summariseRounds(a.exponents.map((exponent, i) => exponent - b.exponents[i]!));
  return ci_lo === null || ci_hi === null ? null : { lo: ci_lo, hi: ci_hi, rounds };
}
