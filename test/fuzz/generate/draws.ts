import fc from 'fast-check';
import { random } from '../../../src/core/random.ts';
import {
  allocate,
  type DType,
  elementCount,
  int64,
  type Tensor,
  tensor,
  toFloat16,
  toNumbers,
} from '../../../src/core/tensor.ts';
import type { Sketch, Value } from '../sketch.ts';

/** One step of a random graph: adds nodes to a sketch, or nothing where it doesn't fit. Shrinks with what it was drawn from. */
export type Step = (s: Sketch) => void;
export type Steps = Readonly<Record<string, fc.Arbitrary<Step>>>;

/** Sizes, few of them 0; shrinks towards 1. */
export const dim = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 4 }), weight: 24 },
  { arbitrary: fc.constant(0), weight: 1 },
);

/** Where an operand comes from: a value that is there already, or a new one. */
export interface Draw {
  /** 0: the newest value that fits; higher: an older one, or a new one. */
  readonly pick: number;
  readonly shape: readonly number[];
  /** Decides the numbers of a new one; 0 counts upwards. */
  readonly seed: number;
  readonly constant: boolean;
}
export const draw: fc.Arbitrary<Draw> = fc.record({
  pick: fc.nat(5),
  shape: fc.array(dim, { maxLength: 4 }),
  seed: fc.nat(999),
  constant: fc.boolean(),
});

/** An axis or place, brought into range by `axisIn`. */
export const raw = fc.nat(11);

/** An axis from either end of `rank` dimensions. */
export const axisIn = (n: number, rank: number): number => {
  const k = n % (2 * rank);
  return k < rank ? k : k - 2 * rank;
};

export interface Wanted {
  readonly dtypes: readonly DType[];
  readonly rank?: readonly [number, number];
  /** What its numbers must be like. */
  readonly where?: (v: Value) => boolean;
  /** Range of the numbers of a new one. */
  readonly range?: readonly [number, number];
}

/** Sizes with as many dimensions as are wanted. */
export function ranked(shape: readonly number[], [low, high]: readonly [number, number]): number[] {
  const cut = shape.slice(0, high);
  return [...cut, ...Array.from({ length: Math.max(0, low - cut.length) }, () => 2)];
}

/** A value that fits: one of those that are there, or a new one of the first type that is wanted. */
export function operand(s: Sketch, d: Draw, want: Wanted): Value {
  const [low, high] = want.rank ?? [0, 8];
  const fits = s.values.filter(
    (v) =>
      want.dtypes.includes(v.tensor.dtype) &&
      v.tensor.shape.length >= low &&
      v.tensor.shape.length <= high &&
      (want.where?.(v) ?? true),
  );
  const at = fits.length - 1 - d.pick;
  if (at >= 0) return fits[at]!;
  const dtype = want.dtypes[d.seed % want.dtypes.length]!;
  const made = numbered(dtype, ranked(d.shape, [low, high]), d.seed, want.range);
  return d.constant ? s.constant(made) : s.input(made);
}

/** Small numbers that every format holds exactly: multiples of 1/8, whole ones, or 0 and 1. Seed 0 counts upwards. */
export function numbered(
  dtype: DType,
  shape: readonly number[],
  seed: number,
  [low, high]: readonly [number, number] = dtype.startsWith('u') ? [0, 9] : [-3, 3],
): Tensor {
  const next = random(seed);
  const data = allocate(dtype, elementCount(shape));
  const cells = data as unknown as Record<number, number | bigint>;
  const step = dtype.includes('float') ? 8 : 1;
  const count = Math.floor((high - low) * step) + 1;
  for (let i = 0; i < data.length; i++) {
    const place = seed === 0 ? (i + count - 1) % count : Math.floor(next.uniform() * count);
    const value = low + place / step;
    if (dtype === 'bool') cells[i] = seed === 0 ? i % 2 : Number(next.uniform() < 0.5);
    else if (dtype === 'float16') cells[i] = toFloat16(value);
    else cells[i] = data instanceof BigInt64Array || data instanceof BigUint64Array ? BigInt(value) : value;
  }
  return tensor(dtype, shape, data);
}

/** A vector of int64 as a constant: axes, sizes, pads. */
export const vector = (s: Sketch, values: readonly number[]): Value =>
  s.constant(int64([values.length], values));

/** Every number of a value passes. */
export const all =
  (test: (x: number) => boolean) =>
  (v: Value): boolean =>
    toNumbers(v.tensor).every(test);

/** Rounding it can't go two ways. */
export const roundable = (v: Value): boolean =>
  v.exact || toNumbers(v.tensor).every((x) => Math.abs(x * 2 - Math.round(x * 2)) > 1e-2);

export const FLOATS: readonly DType[] = ['float32', 'float32', 'float32', 'float16'];
export const NUMBERS: readonly DType[] = ['float32', 'float32', 'int64', 'int32', 'float16'];
export const ANY: readonly DType[] = ['float32', 'float32', 'int64', 'int32', 'bool', 'float16'];
