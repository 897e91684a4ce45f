import type * as Tf from '@tensorflow/tfjs-core';
import { toNumbers } from '../../../core/tensor.ts';
import { axisOf, intsAttr, numberAttr, textAttr } from '../../../graph/kernels/kernel.ts';
import { placesOf } from '../order.ts';
import { around, MOST_AXES } from './fold.ts';
import {
  type Call,
  device,
  fail,
  input,
  ints,
  type Kernel,
  type KernelTable,
  nothing,
  orderOf,
  refuse,
  same,
  sized,
} from './kernel.ts';
import { picked, section } from './parts.ts';

/** Which element stands at a place beyond the ends of a dimension. */
const BEYOND: Readonly<Record<string, (at: number, size: number) => number>> = {
  edge: (at, size) => Math.max(0, Math.min(size - 1, at)),
  wrap: (at, size) => ((at % size) + size) % size,
  reflect: (at, size) => {
    if (size === 1) return 0;
    const period = 2 * (size - 1);
    const folded = ((at % period) + period) % period;
    return folded < size ? folded : period - folded;
  },
};

/** How many elements are added before and after each axis of the graph; negative numbers cut off. */
function amounts(c: Call, rank: number): { before: number[]; after: number[] } {
  const pads = intsAttr(c, 'pads') ?? ints(c, 1) ?? fail(c, 'pads are missing');
  const axes = (ints(c, 3) ?? Array.from({ length: rank }, (_, i) => i)).map((axis) => axisOf(c, axis, rank));
  if (pads.length !== 2 * axes.length) fail(c, `pads want ${2 * axes.length} numbers`);
  const [before, after] = [new Array<number>(rank).fill(0), new Array<number>(rank).fill(0)];
  axes.forEach((axis, i) => {
    before[axis] = pads[i]!;
    after[axis] = pads[axes.length + i]!;
  });
  return { before, after };
}

/** A constant around a tensor. */
function widened(c: Call, x: Tf.Tensor, added: [number, number][], value: number): Tf.Tensor {
  if (added.every(([before, after]) => before + after === 0)) return x;
  if (x.rank <= MOST_AXES) return c.tf.pad(x, added, value);
  return added.reduce((t, amount, place) => {
    if (amount[0] + amount[1] === 0) return t;
    return around(c, t, place, (u, at) =>
      c.tf.pad(
        u,
        u.shape.map((_, i): [number, number] => (i === at ? amount : [0, 0])),
        value,
      ),
    );
  }, x);
}

const pad: Kernel = {
  reads: [1, 2, 3],
  run: (c) => {
    const { tf } = c;
    const x = input(c, 0);
    const { before, after } = amounts(c, x.shape.length);
    const shape = x.shape.map((d, i) => d + before[i]! + after[i]!);
    if (sized(c, shape).includes(0)) return [nothing(x.dtype, shape)];
    const order = orderOf(x);
    const mode = textAttr(c, 'mode', 'constant');
    let result = device(c, x);
    if (mode === 'constant') {
      const begin = order.map((axis) => Math.max(0, -before[axis]!));
      const kept = order.map((axis, i) => x.shape[axis]! - begin[i]! - Math.max(0, -after[axis]!));
      // What is cut off may be all there is: then only the constant is left.
      const value = c.inputs[2] ? toNumbers(c.inputs[2].host!)[0]! : numberAttr(c, 'value', 0);
      if (kept.some((d) => d <= 0)) {
        result = tf.fill(
          order.map((axis) => shape[axis]!),
          value,
        );
        return [same(c, x.dtype === 'bool' ? tf.cast(result, 'bool') : result, x.dtype, order)];
      }
      result = section(c, result, begin, kept);
      const added = order.map((axis): [number, number] => [
        Math.max(0, before[axis]!),
        Math.max(0, after[axis]!),
      ]);
      return [same(c, widened(c, result, added, value), x.dtype, order)];
    }
    const beyond = BEYOND[mode] ?? refuse(c, `mode ${mode}`);
    const places = placesOf(order);
    x.shape.forEach((d, axis) => {
      if (before[axis] === 0 && after[axis] === 0) return;
      const indices = Array.from({ length: shape[axis]! }, (_, i) => beyond(i - before[axis]!, d));
      result = picked(c, result, indices, places[axis]!);
    });
    return [same(c, result, x.dtype, order)];
  },
};

export const padding: KernelTable = { Pad: pad };
