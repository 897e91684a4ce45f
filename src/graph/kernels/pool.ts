import {
  type Call,
  fail,
  input,
  intsAttr,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  scratch,
  span,
  store,
} from './kernel.ts';
import { slide, type Window, windowOf } from './window.ts';

interface Pooling {
  readonly window: Window;
  readonly size: readonly number[];
  readonly planes: number;
  readonly shape: readonly number[];
}

function pooling(c: Call): Pooling {
  const x = input(c, 0);
  const kernel = intsAttr(c, 'kernel_shape') ?? fail(c, 'kernel_shape is missing');
  if (x.shape.length < 3 || kernel.length !== x.shape.length - 2)
    fail(c, 'kernel_shape does not fit the input');
  const size = x.shape.slice(2);
  const window = windowOf(c, size, kernel);
  return { window, size, planes: span(x.shape, 0, 2), shape: [...x.shape.slice(0, 2), ...window.output] };
}

/** The flat index of a place of a plane when its first dimension runs fastest (storage_order 1). */
function columnMajor(place: number, size: readonly number[]): number {
  let [rest, at] = [place, 0];
  let step = span(size);
  for (let axis = size.length - 1; axis >= 0; axis--) {
    step /= size[axis]!;
    at += (rest % size[axis]!) * step;
    rest = Math.floor(rest / size[axis]!);
  }
  return at;
}

/** Padding never wins; the second output is the flat index of each winner. */
const maxPool: Kernel = (c) => {
  const x = input(c, 0);
  const { window, size, planes, shape } = pooling(c);
  const [values, out, winners] = [numbers(x), scratch(c, shape), scratch(c, shape)];
  const [plane, area] = [span(size), span(window.output)];
  const rowMajor = numberAttr(c, 'storage_order', 0) === 0;
  slide(window, size, (position, taps, count) => {
    for (let p = 0; p < planes; p++) {
      let best = Number.NEGATIVE_INFINITY;
      let winner = count === 0 ? 0 : p * plane + taps[1]!;
      for (let t = 1; t < count; t += 2) {
        const value = values[p * plane + taps[t]!]!;
        if (value > best || Number.isNaN(value)) {
          best = value;
          winner = p * plane + taps[t]!;
        }
      }
      out[p * area + position] = best;
      winners[p * area + position] = rowMajor ? winner : p * plane + columnMajor(winner - p * plane, size);
    }
  });
  return [store(x.dtype, shape, out), store('int64', shape, winners)];
};

/** How many places of a window count when padding does: those that ceil_mode adds beyond the padding never do. */
function placesWithPadding(w: Window, size: readonly number[], position: number): number {
  let count = 1;
  let o = position;
  for (let axis = size.length - 1; axis >= 0; axis--) {
    const start = (o % w.output[axis]!) * w.strides[axis]! - w.begin[axis]!;
    o = Math.floor(o / w.output[axis]!);
    let inside = 0;
    for (let k = 0; k < w.kernel[axis]!; k++) {
      if (start + k * w.dilations[axis]! < size[axis]! + w.end[axis]!) inside++;
    }
    count *= inside;
  }
  return count;
}

const averagePool: Kernel = (c) => {
  const x = input(c, 0);
  const { window, size, planes, shape } = pooling(c);
  const withPadding = numberAttr(c, 'count_include_pad', 0) !== 0;
  const [values, out] = [numbers(x), scratch(c, shape)];
  const [plane, area] = [span(size), span(window.output)];
  slide(window, size, (position, taps, count) => {
    const places = withPadding ? placesWithPadding(window, size, position) : count / 2;
    for (let p = 0; p < planes; p++) {
      let sum = 0;
      for (let t = 1; t < count; t += 2) sum += values[p * plane + taps[t]!]!;
      out[p * area + position] = sum / places;
    }
  });
  return [store(x.dtype, shape, out)];
};

/** (Σ|x|ᵖ)^(1/p) over each window. */
const lpPool: Kernel = (c) => {
  const x = input(c, 0);
  const { window, size, planes, shape } = pooling(c);
  const p = numberAttr(c, 'p', 2);
  const [values, out] = [numbers(x), scratch(c, shape)];
  const [plane, area] = [span(size), span(window.output)];
  slide(window, size, (position, taps, count) => {
    for (let at = 0; at < planes; at++) {
      let sum = 0;
      for (let t = 1; t < count; t += 2) sum += Math.abs(values[at * plane + taps[t]!]!) ** p;
      out[at * area + position] = sum ** (1 / p);
    }
  });
  return [store(x.dtype, shape, out)];
};

const globalPool =
  (rule: (plane: Float64Array) => number): Kernel =>
  (c) => {
    const x = input(c, 0);
    if (x.shape.length < 3) fail(c, 'the input has no spatial dimension');
    const values = numbers(x);
    const plane = span(x.shape, 2);
    const shape = x.shape.map((d, i) => (i < 2 ? d : 1));
    const out = scratch(c, shape).map((_, p) => rule(values.subarray(p * plane, (p + 1) * plane)));
    return [store(x.dtype, shape, out)];
  };

export const pools: KernelTable = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  LpPool: lpPool,
  GlobalAveragePool: globalPool((plane) => plane.reduce((a, b) => a + b, 0) / plane.length),
  GlobalMaxPool: globalPool((plane) => plane.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)),
};
