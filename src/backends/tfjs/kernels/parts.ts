import type * as Tf from '@tensorflow/tfjs-core';
import { axisOf, intsAttr, numberAttr } from '../../../graph/kernels/kernel.ts';
import { identity, placesOf } from '../order.ts';
import type { Value } from '../value.ts';
import { around, MOST_AXES, tiled } from './fold.ts';
import {
  atHost,
  type Call,
  cutOut,
  device,
  fail,
  input,
  ints,
  type Kernel,
  type KernelTable,
  laid,
  made,
  nothing,
  orderOf,
  same,
  sized,
} from './kernel.ts';

/** The elements at `indices` along one place. */
export const picked = (c: Call, x: Tf.Tensor, indices: readonly number[], place: number): Tf.Tensor =>
  c.tf.gather(x, c.tf.tensor1d(indices as number[], 'int32'), place);

/** Parts of the same type side by side, in the order of the largest; parts without elements add nothing. */
const concat: Kernel = {
  host: (inputs) => atHost(inputs.map((value) => value && { ...value, shape: [] })),
  run: (c) => {
    const values = c.inputs.map((_, i) => input(c, i));
    const first = values[0] ?? fail(c, 'it has no operand');
    const rank = first.shape.length;
    const axis = axisOf(c, numberAttr(c, 'axis', 0), rank);
    for (const { shape, dtype } of values) {
      const fits = shape.length === rank && shape.every((d, i) => i === axis || d === first.shape[i]);
      if (!fits || dtype !== first.dtype) {
        fail(c, `${dtype}[${shape.join(', ')}] does not go with ${first.dtype}[${first.shape.join(', ')}]`);
      }
    }
    const parts = values.filter(({ shape }) => !shape.includes(0));
    const total = values.reduce((n, { shape }) => n + shape[axis]!, 0);
    const shape = first.shape.map((d, i) => (i === axis ? total : d));
    if (parts.length === 0) return [nothing(first.dtype, shape)];
    const count = ({ shape }: Value): number => shape.reduce((n, d) => n * d, 1);
    const order = orderOf(parts.reduce((a, b) => (count(b) > count(a) ? b : a)));
    if (parts.length === 1) return [same(c, device(c, parts[0]!), first.dtype, order)];
    const tensors = parts.map((value) => laid(c, value, order));
    return [made(c.tf.concat(tensors, placesOf(order)[axis]!), first.dtype, order)];
  },
};

/** Sizes are an attribute or the second input; else equal parts, the last one smaller. */
const split: Kernel = {
  reads: [1],
  run: (c) => {
    const x = input(c, 0);
    const axis = axisOf(c, numberAttr(c, 'axis', 0), x.shape.length);
    const size = x.shape[axis]!;
    const count = numberAttr(c, 'num_outputs', c.node.outputs.length);
    const even = Math.ceil(size / count);
    const sizes =
      intsAttr(c, 'split') ??
      ints(c, 1) ??
      Array.from({ length: count }, (_, i) => Math.max(0, Math.min(even, size - i * even)));
    if (sizes.some((s) => s < 0) || sizes.reduce((a, b) => a + b, 0) !== size) {
      fail(c, `parts [${sizes.join(', ')}] don't add up to ${size}`);
    }
    const [tensor, order] = [device(c, x), orderOf(x)];
    const place = placesOf(order)[axis]!;
    let start = 0;
    return sizes.map((part) => {
      if (part === 0)
        return nothing(
          x.dtype,
          x.shape.map((d, i) => (i === axis ? 0 : d)),
        );
      const from = start;
      start += part;
      if (part === size) return same(c, tensor, x.dtype, order);
      return made(cut(c, tensor, place, from, part), x.dtype, order);
    });
  },
};

/** A run of `size` elements along one place. */
function cut(c: Call, x: Tf.Tensor, place: number, start: number, size: number): Tf.Tensor {
  return around(c, x, place, (t, at) =>
    cutOut(
      c,
      t,
      t.shape.map((_, i) => (i === at ? start : 0)),
      t.shape.map((d, i) => (i === at ? size : d)),
    ),
  );
}

/** Starts and ends are clamped to the dimension, as in NumPy; negative steps run backwards. */
const slice: Kernel = {
  reads: [1, 2, 3, 4],
  run: (c) => {
    const x = input(c, 0);
    const starts = intsAttr(c, 'starts') ?? ints(c, 1) ?? fail(c, 'starts are missing');
    const ends = intsAttr(c, 'ends') ?? ints(c, 2) ?? fail(c, 'ends are missing');
    const axes = intsAttr(c, 'axes') ?? ints(c, 3) ?? starts.map((_, i) => i);
    const steps = ints(c, 4) ?? starts.map(() => 1);
    const order = orderOf(x);
    const places = placesOf(order);
    const begin = x.shape.map(() => 0);
    const sizes = order.map((axis) => x.shape[axis]!);
    const jumps: { place: number; indices: number[] }[] = [];
    const shape = [...x.shape];
    axes.forEach((a, i) => {
      const axis = axisOf(c, a, x.shape.length);
      const step = steps[i] ?? 1;
      if (step === 0) fail(c, 'a step is 0');
      const { start, count } = range(starts[i]!, ends[i]!, step, x.shape[axis]!);
      const place = places[axis]!;
      shape[axis] = count;
      if (step === 1) {
        begin[place] = start;
        sizes[place] = count;
      } else jumps.push({ place, indices: Array.from({ length: count }, (_, k) => start + k * step) });
    });
    if (shape.includes(0)) return [nothing(x.dtype, shape)];
    let result = device(c, x);
    result = section(c, result, begin, sizes);
    for (const { place, indices } of jumps) result = picked(c, result, indices, place);
    return [same(c, result, x.dtype, order)];
  },
};

/** A part of a tensor; nothing is copied where it is the whole. */
export function section(c: Call, x: Tf.Tensor, begin: number[], sizes: number[]): Tf.Tensor {
  if (sizes.every((d, place) => d === x.shape[place])) return x;
  if (x.rank <= MOST_AXES) return cutOut(c, x, begin, sizes);
  return sizes.reduce((t, d, place) => (d === t.shape[place] ? t : cut(c, t, place, begin[place]!, d)), x);
}

function range(from: number, to: number, step: number, size: number): { start: number; count: number } {
  const clamp = (at: number, low: number, high: number): number =>
    Math.max(low, Math.min(high, at < 0 ? at + size : at));
  const start = step > 0 ? clamp(from, 0, size) : clamp(from, 0, size - 1);
  const end = step > 0 ? clamp(to, 0, size) : clamp(to, -1, size - 1);
  return { start, count: Math.max(0, Math.ceil((end - start) / step)) };
}

/** Stretches as broadcasting does; new axes come first. */
const expand: Kernel = {
  reads: [1],
  run: (c) => {
    const x = input(c, 0);
    const asked = ints(c, 1) ?? fail(c, 'the shape is missing');
    const rank = Math.max(asked.length, x.shape.length);
    const at = (shape: readonly number[], i: number): number => shape[i - rank + shape.length] ?? 1;
    const shape = Array.from({ length: rank }, (_, i) => {
      const [d, to] = [at(x.shape, i), at(asked, i)];
      if (d !== to && d !== 1 && to !== 1) fail(c, `[${x.shape}] does not stretch to [${asked}]`);
      return d === 1 ? to : d;
    });
    if (sized(c, shape).includes(0)) return [nothing(x.dtype, shape)];
    const missing = rank - x.shape.length;
    const order = [...identity(missing), ...orderOf(x).map((axis) => axis + missing)];
    const wide = c.tf.reshape(
      device(c, x),
      order.map((axis) => at(x.shape, axis)),
    );
    const times = order.map((axis) => shape[axis]! / at(x.shape, axis));
    return [repeated(c, wide, times, x, order)];
  },
};

const tile: Kernel = {
  reads: [1],
  run: (c) => {
    const x = input(c, 0);
    const times = ints(c, 1) ?? fail(c, 'repeats are missing');
    if (times.length !== x.shape.length) fail(c, `repeats want ${x.shape.length} numbers`);
    const shape = sized(
      c,
      x.shape.map((d, i) => d * times[i]!),
    );
    if (shape.includes(0)) return [nothing(x.dtype, shape)];
    const order = orderOf(x);
    return [
      repeated(
        c,
        device(c, x),
        order.map((axis) => times[axis]!),
        x,
        order,
      ),
    ];
  },
};

function repeated(c: Call, tensor: Tf.Tensor, times: number[], x: Value, order: readonly number[]) {
  if (times.every((n) => n === 1)) return same(c, tensor, x.dtype, order);
  return made(tiled(c, tensor, times), x.dtype, order);
}

/** Cutting and joining along axes. */
export const parts: KernelTable = { Concat: concat, Split: split, Slice: slice, Expand: expand, Tile: tile };
