import type * as Tf from '@tensorflow/tfjs-core';
import { intsAttr, numberAttr } from '../../../graph/kernels/kernel.ts';
import { type Window, windowOf } from '../../../graph/kernels/window.ts';
import { placesOf } from '../order.ts';
import { isFloat, type Value } from '../value.ts';
import {
  atHost,
  type Call,
  device,
  fail,
  input,
  type Kernel,
  type KernelTable,
  kernel,
  type Made,
  made,
  orderOf,
} from './kernel.ts';
import { fromSpatial, lastReach, padded, padding, planar, spatial, strided } from './spatial.ts';

interface Pooling {
  readonly x: Value;
  readonly image: Tf.Tensor;
  readonly window: Window;
  readonly size: readonly number[];
  /** Padding after each axis up to the window's last step. */
  readonly end: readonly number[];
}

function pooling(c: Call): Pooling {
  const x = input(c, 0);
  const shape = intsAttr(c, 'kernel_shape') ?? fail(c, 'kernel_shape is missing');
  if (x.shape.length < 3 || shape.length !== x.shape.length - 2)
    fail(c, 'kernel_shape does not fit the input');
  const window = planar(windowOf(c, x.shape.slice(2), shape));
  const lying = spatial(c, x);
  const image = lying.dtype === 'float32' ? lying : c.tf.cast(lying, 'float32');
  const size = image.shape.slice(1, -1);
  return { x, image, window, size, end: lastReach(window, size) };
}

/** A result in the input's type. */
const pooled = (c: Call, { x }: Pooling, out: Tf.Tensor): readonly Made[] => [
  fromSpatial(c, isFloat(x.dtype) ? out : c.tf.cast(out, 'int32'), x),
];

/**
 * Whether tfjs's own pooling gives what ONNX asks for: images, no dilation, and no window that lies in the padding alone
 * (XNNPACK then reads the nearest element).
 */
function isPlain({ window, size, end }: Pooling): boolean {
  const { kernel, dilations, begin } = window;
  if (kernel.length !== 2 || kernel.every((k) => k === 1)) return false;
  return kernel.every(
    (k, i) =>
      dilations[i] === 1 &&
      begin[i]! >= 0 &&
      end[i]! >= 0 &&
      begin[i]! < k &&
      // The last window starts inside.
      (window.output[i]! - 1) * window.strides[i]! - begin[i]! < size[i]!,
  );
}

/** TensorFlow's pools take no numbers as padding. */
const padsItself = (c: Call): boolean => c.engine.name !== 'tensorflow';

/** The windows' elements combined axis by axis, place by place: any number of axes, any dilation. */
function bySlices(
  c: Call,
  { image, window, end }: Pooling,
  outside: number,
  combine: (a: Tf.Tensor, b: Tf.Tensor) => Tf.Tensor,
): Tf.Tensor {
  let out = padded(c, image, window.begin, end, outside);
  window.kernel.forEach((taps, axis) => {
    const strides = window.strides.map((s, i) => (i === axis ? s : 1));
    const output = out.shape.slice(1, -1).map((d, i) => (i === axis ? window.output[i]! : d));
    const steps = Array.from({ length: taps }, (_, k) => {
      const from = output.map((_d, i) => (i === axis ? k * window.dilations[i]! : 0));
      return strided(c, out, from, strides, output);
    });
    out = steps.reduce(combine);
  });
  return out;
}

type Pair = [number, number];

/** Padding never wins. On the engines wasm and cpu a window with a NaN may give its greatest number. */
const maxPool: Kernel = {
  // No engine says where the greatest elements lie.
  host: (inputs, { outputs }) => !!outputs[1] || atHost(inputs),
  run: (c) => {
    const p = pooling(c);
    const { tf } = c;
    const { kernel: shape, strides, begin } = p.window;
    if (!isPlain(p)) {
      const most = bySlices(c, p, Number.NEGATIVE_INFINITY, (a, b) => tf.maximum(a, b));
      return pooled(c, p, most);
    }
    const isOwn = padsItself(c);
    const x = isOwn ? p.image : padded(c, p.image, begin, p.end, Number.NEGATIVE_INFINITY);
    const pad = isOwn ? padding(begin, p.end) : 'valid';
    return pooled(c, p, tf.maxPool(x as Tf.Tensor4D, shape as Pair, strides as Pair, pad));
  },
};

/** How many elements each window along an axis counts: those inside, or those in the padding too. */
function counts({ window, size }: Pooling, axis: number, withPadding: boolean): number[] {
  const [step, begin] = [window.strides[axis]!, window.begin[axis]!];
  const least = withPadding ? -begin : 0;
  // What ceil_mode adds beyond the padding never counts.
  const most = size[axis]! + (withPadding ? window.end[axis]! : 0);
  return Array.from({ length: window.output[axis]! }, (_, o) => {
    let count = 0;
    for (let k = 0; k < window.kernel[axis]!; k++) {
      const at = o * step - begin + k * window.dilations[axis]!;
      if (at >= least && at < most) count++;
    }
    return count;
  });
}

/** Sums of windows over the number of elements that count. */
function averageBySlices(c: Call, p: Pooling, withPadding: boolean): Tf.Tensor {
  const { tf } = c;
  const sums = bySlices(c, p, 0, (a, b) => tf.add(a, b));
  return p.size.reduce<Tf.Tensor>((out, _d, axis) => {
    const shape = [1, ...p.size.map((_s, i) => (i === axis ? p.window.output[i]! : 1)), 1];
    return tf.div(out, tf.tensor(counts(p, axis, withPadding), shape, 'float32'));
  }, sums);
}

const averagePool: Kernel = kernel((c) => {
  const p = pooling(c);
  const { tf } = c;
  const { kernel: shape, strides, begin, end } = p.window;
  const withPadding = numberAttr(c, 'count_include_pad', 0) !== 0;
  const isPadded = [...begin, ...p.end].some((n) => n !== 0);
  if (!isPlain(p) || (isPadded && !padsItself(c))) return pooled(c, p, averageBySlices(c, p, withPadding));
  const inside = p.end.map((n, i) => Math.min(n, end[i]!));
  const beyond = p.end.map((n, i) => n - inside[i]!);
  // Padding that counts is part of the image; tfjs leaves out its own.
  const x = withPadding ? padded(c, p.image, begin, inside) : p.image;
  const pad = withPadding ? padding([0, 0], beyond) : padding(begin, p.end);
  return pooled(c, p, tf.avgPool(x as Tf.Tensor4D, shape as Pair, strides as Pair, pad));
});

/** (Σ |x|^p)^(1/p) over each window. */
const lpPool: Kernel = kernel((c) => {
  const p = pooling(c);
  const { tf } = c;
  const power = numberAttr(c, 'p', 2);
  const raised = power === 2 ? tf.square(p.image) : tf.pow(tf.abs(p.image), power);
  const sums = bySlices(c, { ...p, image: raised }, 0, (a, b) => tf.add(a, b));
  return pooled(c, p, power === 2 ? tf.sqrt(sums) : tf.pow(sums, 1 / power));
});

/** Over all spatial axes, wherever they lie. */
const globalPool = (rule: (x: Tf.Tensor, axes: number[], c: Call) => Tf.Tensor): Kernel =>
  kernel((c) => {
    const x = input(c, 0);
    if (x.shape.length < 3) fail(c, 'the input has no spatial dimension');
    const places = [...placesOf(orderOf(x)).slice(2)].sort((a, b) => a - b);
    return [made(rule(device(c, x), places, c), x.dtype, orderOf(x))];
  });

/** Mean over axes, which stay with one element. wasm moves axes that it reduces to the end first; its pools need not. */
export function meanOf(x: Tf.Tensor, axes: number[], { tf, engine }: Call): Tf.Tensor {
  const [, height, width] = x.shape as [number, number, number, number];
  const isImage = x.rank === 4 && axes.join() === '1,2' && height * width > 1;
  if (engine.name !== 'wasm' || !isImage) return tf.mean(x, axes, true);
  return tf.avgPool(x as Tf.Tensor4D, [height, width], 1, 'valid');
}

export const pools: KernelTable = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  LpPool: lpPool,
  GlobalAveragePool: globalPool(meanOf),
  GlobalMaxPool: globalPool((x, axes, { tf }) => tf.max(x, axes, true)),
};
