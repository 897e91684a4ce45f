import type { GraphBuilder, Value } from '../../../graph/builder.ts';
import type { Window } from '../../../graph/kernels/window.ts';
import type { Backward } from '../rule.ts';

/** All index tuples of a shape, the last index running fastest. */
export function tuples(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (all, d) => all.flatMap((t) => Array.from({ length: d }, (_, i) => [...t, i])),
    [[]],
  );
}

/** How far a window reaches along an axis: dilation · (kernel − 1) + 1. */
export const reachOf = (w: Window, axis: number): number => (w.kernel[axis]! - 1) * w.dilations[axis]! + 1;

/** Elements along an axis, the padding before it included, that the windows touch. */
export const touched = (w: Window, axis: number): number =>
  (w.output[axis]! - 1) * w.strides[axis]! + reachOf(w, axis);

/** `count` elements from `start` on, `step` apart, of each axis from `first` on. */
export function section(
  b: Backward,
  x: Value,
  first: number,
  start: readonly number[],
  step: readonly number[],
  count: readonly number[],
): Value {
  const sizes = b.sizes(x);
  const at = start.flatMap((s, i) =>
    s === 0 && count[i] === sizes[first + i] && (step[i] === 1 || count[i] === 1) ? [] : [i],
  );
  if (at.length === 0) return x;
  const steps = at.map((i) => step[i]!);
  return b.g.slice(
    x,
    at.map((i) => start[i]!),
    at.map((i) => start[i]! + (count[i]! - 1) * step[i]! + 1),
    at.map((i) => first + i),
    steps.some((s) => s !== 1) ? steps : undefined,
  );
}

/** Adds places of value `outside` (0 when left out) before and after each axis from `first` on. */
export function padded(
  g: GraphBuilder,
  x: Value,
  first: number,
  before: readonly number[],
  after: readonly number[],
  outside?: number,
): Value {
  if ([...before, ...after].every((n) => n === 0)) return x;
  const rest = new Array<number>(x.shape.length - first - before.length).fill(0);
  const lead = new Array<number>(first).fill(0);
  const pads = g.ints([...lead, ...before, ...rest, ...lead, ...after, ...rest]);
  return g.op('Pad', outside === undefined ? [x, pads] : [x, pads, g.scalar(outside, x.dtype)])[0]!;
}

/**
 * An image [N, C, …] and the `pads` with which the windows end exactly where the padded image does: what no window touches is
 * cut off.
 */
export function fitted(b: Backward, image: Value, w: Window): { image: Value; pads: number[] } {
  const size = b.sizes(image).slice(2);
  const end = size.map((d, i) => touched(w, i) - w.begin[i]! - d);
  const kept = size.map((d, i) => Math.min(d, d + end[i]!));
  const zeros = kept.map(() => 0);
  return {
    image: section(
      b,
      image,
      2,
      zeros,
      kept.map(() => 1),
      kept,
    ),
    pads: [...w.begin, ...end.map((n) => Math.max(0, n))],
  };
}

/** Whether windows lie side by side without gap, overlap, padding or dilation, as patch embeddings have them. */
export const isTiling = (w: Window): boolean =>
  w.kernel.every(
    (k, i) => k === w.strides[i] && w.begin[i] === 0 && w.end[i] === 0 && (k === 1 || w.dilations[i] === 1),
  );
