import type { Value } from '../../../graph/builder.ts';
import type { Backward } from '../rule.ts';
import { numbersOf } from './channels.ts';

/** A linear map along one axis: each of `to` results as a weighted sum of elements of the axis. */
export interface AxisMap {
  readonly axis: number;
  /** Size of the axis before it. */
  readonly from: number;
  /** For each result the elements that it is made of; an element may occur more than once. */
  readonly rows: readonly (readonly (readonly [index: number, weight: number])[])[];
}

const countOf = (sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, 1);

/**
 * The transposed map, from results back to elements: `dy` with `rows.length` elements along the axis gives `from` of them. A
 * product with a constant matrix, except where blocks of results come from one element each (nearest neighbours), or blocks of
 * elements go into one result each (means of blocks).
 */
export function transposedMap(b: Backward, dy: Value, { axis, from, rows }: AxisMap): Value {
  const { g } = b;
  const sizes = b.sizes(dy);
  const [outer, inner] = [countOf(sizes.slice(0, axis)), countOf(sizes.slice(axis + 1))];
  const to = rows.length;
  const shape = sizes.map((d, i) => (i === axis ? from : d));
  const scaled = (x: Value, weight: number): Value => (weight === 1 ? x : g.mul(x, weight));
  const times = blocks(rows, from);
  if (times) {
    const sums = g.reduceSum(g.reshape(dy, [outer, from, times.size, inner]), [2], false);
    return scaled(g.reshape(sums, shape), times.weight);
  }
  const of = blocks(turned(rows, from), to);
  if (of) {
    const wide = g.reshape(scaled(dy, of.weight), [outer, to, 1, inner]);
    return g.reshape(g.expand(wide, g.ints([outer, to, of.size, inner])), shape);
  }
  const matrix = new Float64Array(from * to);
  const isLast = inner === 1;
  rows.forEach((row, t) => {
    for (const [index, weight] of row) matrix[isLast ? t * from + index : index * to + t]! += weight;
  });
  const constant = numbersOf(g, dy.dtype, isLast ? [to, from] : [from, to], matrix, 'map');
  const product = isLast
    ? g.matmul(g.reshape(dy, [outer, to]), constant)
    : g.matmul(constant, g.reshape(dy, [outer, to, inner]));
  return g.reshape(product, shape);
}

/** The map from elements to results read the other way. */
function turned(rows: AxisMap['rows'], from: number): AxisMap['rows'] {
  const out = Array.from({ length: from }, (): [number, number][] => []);
  rows.forEach((row, t) => {
    for (const [index, weight] of row) out[index]!.push([t, weight]);
  });
  return out;
}

/** Whether result t is `weight` times element ⌊t / size⌋ for all of them. */
function blocks(rows: AxisMap['rows'], from: number): { size: number; weight: number } | null {
  const size = rows.length / from;
  const weight = rows[0]?.[0]?.[1];
  if (!Number.isInteger(size) || weight === undefined) return null;
  const isBlock = (row: AxisMap['rows'][number], t: number): boolean =>
    row.length === 1 && row[0]![0] === Math.floor(t / size) && row[0]![1] === weight;
  return rows.every(isBlock) ? { size, weight } : null;
}
