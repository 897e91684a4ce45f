import type { DType } from '../../../core/tensor.ts';
import type { GraphBuilder, Value } from '../../../graph/builder.ts';
import { store } from '../../../graph/kernels/kernel.ts';
import type { Backward } from '../rule.ts';

const countOf = (sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, 1);

/** Σ over all axes of [N, C, …] but the channels: [C]. Two sums of which the first runs along memory are faster than one. */
export function channelSum(b: Backward, x: Value): Value {
  const [batch, channels, ...plane] = b.sizes(x) as [number, number, ...number[]];
  const rows =
    plane.length > 0 ? b.g.reduceSum(b.g.reshape(x, [batch, channels, countOf(plane)]), [2], false) : x;
  return batch === 1 ? b.g.reshape(rows, [channels]) : b.g.reduceSum(rows, [0], false);
}

/** A vector [C] as a tensor that stretches over [N, C, …]. */
export function perChannel(b: Backward, x: Value, rank: number): Value {
  const channels = countOf(b.sizes(x));
  return b.g.reshape(x, [1, channels, ...new Array<number>(rank - 2).fill(1)]);
}

/** A constant of that shape with the given numbers, row by row. */
export function numbersOf(
  g: GraphBuilder,
  dtype: DType,
  shape: readonly number[],
  values: ArrayLike<number>,
  hint: string,
): Value {
  return g.constant(store(dtype, shape, Float64Array.from(values)), hint);
}

/** A constant vector of one number. */
export const filled = (g: GraphBuilder, dtype: DType, length: number, value: number): Value =>
  numbersOf(g, dtype, [length], new Float64Array(length).fill(value), `${value}s`);
