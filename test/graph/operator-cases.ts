import fc from 'fast-check';
import type { Attribute } from '../../src/core/graph.ts';
import { random } from '../../src/core/random.ts';
import {
  allocate,
  type DType,
  elementCount,
  float32,
  int64,
  type Tensor,
  tensor,
  toFloat16,
} from '../../src/core/tensor.ts';

/** One node to be computed by two runtimes. `fixed` marks inputs that the graph holds as constants (shapes, axes). */
export interface OperatorCase {
  readonly op: string;
  readonly domain?: string;
  readonly inputs: readonly (Tensor | null)[];
  readonly attrs: Readonly<Record<string, Attribute>>;
  readonly floats: readonly string[];
  readonly fixed: readonly number[];
  readonly outputs: number;
  readonly opset: number;
  readonly tolerance: number;
}

type Loose = Partial<OperatorCase> & { inputs: readonly (Tensor | null)[] };

export function operatorCase(op: string, given: Loose): OperatorCase {
  return { op, attrs: {}, floats: [], fixed: [], outputs: 1, opset: 17, tolerance: 1e-5, ...given };
}

/** Reproducible numbers in [low, high). */
export function filled(
  shape: readonly number[],
  seed: number,
  low = -3,
  high = 3,
  dtype: DType = 'float32',
): Tensor {
  const draw = random(seed);
  const data = allocate(dtype, elementCount(shape)) as unknown as Record<number, number | bigint>;
  for (let i = 0; i < elementCount(shape); i++) {
    const value = low + draw.uniform() * (high - low);
    if (dtype === 'float16') data[i] = toFloat16(value);
    else if (dtype === 'int64' || dtype === 'uint64') data[i] = BigInt(Math.floor(value));
    else if (dtype === 'float32' || dtype === 'float64') data[i] = value;
    else data[i] = Math.floor(value);
  }
  return tensor(dtype, shape, data as never);
}

export const flags = (shape: readonly number[], seed: number): Tensor => filled(shape, seed, 0, 2, 'bool');
export const vector = (values: readonly number[]): Tensor => int64([values.length], values);
export const scalar = (value: number): Tensor => float32([], [value]);

export const seed = fc.integer({ min: 0, max: 1e6 });
export const size = fc.integer({ min: 1, max: 4 });
export const shape = (min = 1, max = 4): fc.Arbitrary<number[]> =>
  fc.array(size, { minLength: min, maxLength: max });

/** Two shapes that broadcast against each other. */
export const shapePair: fc.Arbitrary<[number[], number[]]> = fc
  .tuple(
    shape(0, 4),
    fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 4, maxLength: 4 }),
    fc.nat(4),
    fc.nat(4),
  )
  .map(([full, ones, dropA, dropB]) => [
    full.map((d, i) => (ones[i]![0] ? 1 : d)).slice(Math.min(dropA, full.length)),
    full.map((d, i) => (ones[i]![1] ? 1 : d)).slice(Math.min(dropB, full.length)),
  ]);

/** A shape and one of its axes, counted from either end. */
export const shapeAxis = (min = 1, max = 4): fc.Arbitrary<[number[], number]> =>
  shape(min, max).chain((s) => fc.tuple(fc.constant(s), fc.integer({ min: -s.length, max: s.length - 1 })));
