import type * as Tf from '@tensorflow/tfjs-core';
import { axisOf, intsAttr, numberAttr } from '../../../graph/kernels/kernel.ts';
import { placesOf, without } from '../order.ts';
import type { Value } from '../value.ts';
import { around, folded } from './fold.ts';
import {
  type Call,
  device,
  fail,
  input,
  ints,
  type Kernel,
  type KernelTable,
  type Made,
  made,
  orderOf,
} from './kernel.ts';

/** Reduces a tensor over places; the reduced ones go. */
export type Reduction = (x: Tf.Tensor, places: number[], c: Call) => Tf.Tensor;

/** Axes are an attribute first and an input later; null where nothing is to be reduced. */
function reducedAxes(c: Call, rank: number): number[] | null {
  const given = intsAttr(c, 'axes') ?? ints(c, 1);
  if (given && given.length > 0) return [...new Set(given.map((axis) => axisOf(c, axis, rank)))];
  if (numberAttr(c, 'noop_with_empty_axes', 0) !== 0) return null;
  return Array.from({ length: rank }, (_, i) => i);
}

/** Reduces a value over axes of the graph, wherever they lie; the reduced ones become 1 when they are kept. */
export function reduced(c: Call, x: Value, axes: readonly number[], keep: boolean, f: Reduction): Made {
  const order = orderOf(x);
  const result = joined(
    c,
    device(c, x),
    order.map((axis) => axes.includes(axis)),
    f,
  );
  const left = order.filter((axis) => keep || !axes.includes(axis));
  const shape = left.map((axis) => (axes.includes(axis) ? 1 : x.shape[axis]!));
  return made(c.tf.reshape(result, shape), x.dtype, keep ? order : without(order, axes));
}

/** Neighbours that are all reduced, or all not, are one axis: engines know few axes and are fast on the last. */
function joined(c: Call, x: Tf.Tensor, gone: readonly boolean[], f: Reduction): Tf.Tensor {
  const sizes: number[] = [];
  const flags: boolean[] = [];
  x.shape.forEach((d, place) => {
    if (d === 1) return;
    if (flags.length > 0 && flags.at(-1) === gone[place]) sizes[sizes.length - 1]! *= d;
    else {
      sizes.push(d);
      flags.push(gone[place]!);
    }
  });
  // Something must be reduced, so that a square or a logarithm is taken of single elements too.
  if (!flags.includes(true)) {
    sizes.push(1);
    flags.push(true);
  }
  const places = flags.flatMap((flag, place) => (flag ? [place] : []));
  return f(c.tf.reshape(x, sizes), places, c);
}

/** From how many numbers on wasm, which adds one after the other, adds them in two steps: the error grows with each one. */
const LONG = 4096;

export const sum: Reduction = (x, places, { tf, engine }) => {
  const last = x.rank - 1;
  const size = x.shape[last] ?? 1;
  const part = engine.name === 'wasm' && places.includes(last) && size >= LONG ? nearRoot(size) : 1;
  if (part === 1) return tf.sum(x, places);
  const parts = tf.reshape(x, [...x.shape.slice(0, -1), size / part, part]);
  return tf.sum(tf.sum(parts, -1), places);
};

/** The largest divisor up to the square root, where sums of sums are the most accurate. */
function nearRoot(size: number): number {
  let part = Math.floor(Math.sqrt(size));
  while (size % part !== 0) part--;
  return part;
}

export const mean: Reduction = (x, places, c) => {
  // There the sum is divided where it is summed, and a program more is what costs.
  if (c.engine.name === 'webgpu') return c.tf.mean(x, places);
  const count = places.reduce((n, place) => n * x.shape[place]!, 1);
  return c.tf.div(sum(x, places, c), count);
};

const reduce = (f: Reduction, bool?: Reduction): Kernel => ({
  reads: [1],
  run: (c) => {
    const x = input(c, 0);
    const axes = reducedAxes(c, x.shape.length) ?? [];
    const rule = x.dtype === 'bool' ? (bool ?? fail(c, 'bool has no sum')) : f;
    return [reduced(c, x, axes, numberAttr(c, 'keepdims', 1) !== 0, rule)];
  },
});

/** Shifted by the maximum, or exponentials overflow; where that is infinite, by nothing. */
const logSumExp: Reduction = (x, places, { tf }) => {
  const top = tf.max(x, places, true);
  const shift = tf.where(tf.isFinite(top), top, tf.zerosLike(top));
  const total = tf.sum(tf.exp(tf.sub(x, shift)), places, true);
  return tf.add(tf.log(total), shift);
};

/** Index of the largest or smallest along an axis: the first of equals, or the last. */
const arg = (pick: 'argMax' | 'argMin'): Kernel => ({
  run: (c) => {
    const { tf } = c;
    const x = input(c, 0);
    const axis = axisOf(c, numberAttr(c, 'axis', 0), x.shape.length);
    const order = orderOf(x);
    const place = placesOf(order)[axis]!;
    const { tensor, at } = folded(c, device(c, x), place);
    const last = numberAttr(c, 'select_last_index', 0) !== 0;
    const found = tf[pick](last ? tf.reverse(tensor, at) : tensor, at);
    const index = last ? tf.sub(tf.scalar(x.shape[axis]! - 1, 'int32'), found) : found;
    // The shape is said, for webgpu keeps an axis where it is the only one.
    const keep = numberAttr(c, 'keepdims', 1) !== 0;
    const left = order.filter((other) => keep || other !== axis);
    const shape = left.map((other) => (other === axis ? 1 : x.shape[other]!));
    return [made(tf.reshape(index, shape), 'int64', keep ? order : without(order, [axis]))];
  },
});

const cumSum: Kernel = {
  reads: [1],
  run: (c) => {
    const x = input(c, 0);
    const axis = axisOf(c, ints(c, 1)?.[0] ?? fail(c, 'the axis is missing'), x.shape.length);
    const place = placesOf(orderOf(x))[axis]!;
    const [exclusive, reverse] = [numberAttr(c, 'exclusive', 0) !== 0, numberAttr(c, 'reverse', 0) !== 0];
    const { tf } = c;
    // From the end is from the front of what is turned round: webgpu reuses shaders for other lengths when it goes backwards.
    const result = around(c, device(c, x), place, (t, at) => {
      const sums = tf.cumsum(reverse ? tf.reverse(t, at) : t, at, exclusive);
      return reverse ? tf.reverse(sums, at) : sums;
    });
    return [made(result, x.dtype, orderOf(x))];
  },
};

/** Reductions over axes, argument of the extremum, running sums. */
export const reductions: KernelTable = {
  ReduceSum: reduce(sum),
  ReduceMean: reduce(mean),
  ReduceMax: reduce(
    (x, at, { tf }) => tf.max(x, at),
    (x, at, { tf }) => tf.any(x, at),
  ),
  ReduceMin: reduce(
    (x, at, { tf }) => tf.min(x, at),
    (x, at, { tf }) => tf.all(x, at),
  ),
  ReduceProd: reduce((x, at, { tf }) => tf.prod(x, at)),
  ReduceL1: reduce((x, at, c) => sum(c.tf.abs(x), at, c)),
  ReduceL2: reduce((x, at, c) => c.tf.sqrt(sum(c.tf.square(x), at, c))),
  ReduceSumSquare: reduce((x, at, c) => sum(c.tf.square(x), at, c)),
  ReduceLogSum: reduce((x, at, c) => c.tf.log(sum(x, at, c))),
  ReduceLogSumExp: reduce(logSumExp),
  ArgMax: arg('argMax'),
  ArgMin: arg('argMin'),
  CumSum: cumSum,
};
