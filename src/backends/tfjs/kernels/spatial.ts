import type * as Tf from '@tensorflow/tfjs-core';
import type { Window } from '../../../graph/kernels/window.ts';
import { identity, type Order } from '../order.ts';
import type { Value } from '../value.ts';
import { type Call, laid, type Made, made } from './kernel.ts';

/** Batch, then the spatial axes, then channels: what tfjs convolves and pools. */
function channelsLast(rank: number): Order {
  ORDERS[rank] ??= [0, ...identity(rank).slice(2), 1];
  return ORDERS[rank];
}

/** By rank. */
const ORDERS: Order[] = [];

/** A batch of images or volumes with their channels last; a signal (rank 3) becomes images of one row. */
export function spatial(c: Call, x: Value): Tf.Tensor {
  const tensor = laid(c, x, channelsLast(x.shape.length));
  const [n, length, channels] = tensor.shape as [number, number, number];
  return tensor.rank === 3 ? c.tf.reshape(tensor, [n, 1, length, channels]) : tensor;
}

/** A result whose channels lie last, as a value of `rank` axes. */
export function fromSpatial(c: Call, tensor: Tf.Tensor, like: Value): Made {
  const rank = like.shape.length;
  const [n, , length, channels] = tensor.shape as [number, number, number, number];
  return made(
    rank === 3 ? c.tf.reshape(tensor, [n, length, channels]) : tensor,
    like.dtype,
    channelsLast(rank),
  );
}

/** A signal's window as that of images of one row. */
export function planar(window: Window): Window {
  if (window.kernel.length !== 1) return window;
  return {
    kernel: [1, ...window.kernel],
    strides: [1, ...window.strides],
    dilations: [1, ...window.dilations],
    begin: [0, ...window.begin],
    end: [0, ...window.end],
    output: [1, ...window.output],
  };
}

/** How far a window reaches along an axis. */
export const reach = (w: Window, axis: number): number => (w.kernel[axis]! - 1) * w.dilations[axis]! + 1;

/**
 * The padding after each axis up to where a window's last step reaches: ceil_mode steps beyond the declared padding, or leaves
 * out a step that would lie in it. tfjs, which rounds down, then takes as many steps as the window has.
 */
export const lastReach = (w: Window, size: readonly number[]): number[] =>
  size.map((d, i) =>
    Math.max(Math.min(0, w.end[i]!), (w.output[i]! - 1) * w.strides[i]! + reach(w, i) - d - w.begin[i]!),
  );

/** Cuts off (below zero) and adds elements of `value` at both ends of each spatial axis. */
export function padded(
  { tf }: Pick<Call, 'tf'>,
  x: Tf.Tensor,
  begin: readonly number[],
  end: readonly number[],
  value = 0,
): Tf.Tensor {
  const cut = (n: number): number => Math.max(0, -n);
  let out = x;
  if ([...begin, ...end].some((n) => n < 0)) {
    const from = [0, ...begin.map(cut), 0];
    const size = x.shape.map((d, i) => d - from[i]! - cut(end[i - 1] ?? 0));
    if (size.some((d) => d <= 0)) {
      const all = x.shape.map((d, i) => d + (begin[i - 1] ?? 0) + (end[i - 1] ?? 0));
      return tf.fill(all, value);
    }
    out = tf.slice(out, from, size);
  }
  if ([...begin, ...end].every((n) => n <= 0)) return out;
  const ends = begin.map((n, i): Ends => [Math.max(0, n), Math.max(0, end[i]!)]);
  if (out.rank === 5) {
    // The engine webgpu pads four axes at most, and gives zeros beyond.
    const [n, d, h, w, channels] = out.shape as [number, number, number, number, number];
    const deep = tf.pad(tf.reshape(out, [n, d, h * w * channels]), [NONE, ends.shift()!, NONE], value);
    const flat = tf.reshape(deep, [n * deep.shape[1]!, h, w, channels]);
    const all = tf.pad(flat, [NONE, ...ends, NONE], value);
    return tf.reshape(all, [n, deep.shape[1]!, ...all.shape.slice(1)]);
  }
  return tf.pad(out, [NONE, ...ends, NONE], value);
}

const NONE: Ends = [0, 0];

/** tfjs's padding argument for images: numbers at each end, or 'valid' where there are none. */
export function padding(begin: readonly number[], end: readonly number[]): Explicit | 'valid' {
  if ([...begin, ...end].every((n) => n === 0)) return 'valid';
  return [NONE, [begin[0]!, end[0]!], [begin[1]!, end[1]!], NONE];
}

type Ends = [number, number];
export type Explicit = [Ends, Ends, Ends, Ends];

/** Every `strides`-th place of the spatial axes from `from` on, `output` of them. */
export function strided(
  { tf }: Pick<Call, 'tf'>,
  x: Tf.Tensor,
  from: readonly number[],
  strides: readonly number[],
  output: readonly number[],
): Tf.Tensor {
  // One axis at a time, as the middle one of three: the engine webgpu is wrong about strides from five axes on.
  return output.reduce((out, count, i) => {
    const [first, step] = [from[i]!, strides[i]!];
    const { shape } = out;
    const size = shape[i + 1]!;
    if (first === 0 && count === size) return out;
    const product = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1);
    const [outer, inner] = [product(shape.slice(0, i + 1)), product(shape.slice(i + 2))];
    const flat = tf.reshape(out, [outer, size, inner]);
    const part =
      step === 1
        ? tf.slice(flat, [0, first, 0], [outer, count, inner])
        : tf.stridedSlice(flat, [0, first, 0], [outer, first + (count - 1) * step + 1, inner], [1, step, 1]);
    return tf.reshape(part, [...shape.slice(0, i + 1), count, ...shape.slice(i + 2)]);
  }, x);
}
