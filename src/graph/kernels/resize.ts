import {
  axisOf,
  type Call,
  fail,
  input,
  intsAttr,
  intsInput,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  refuse,
  scratch,
  span,
  store,
  textAttr,
} from './kernel.ts';
import { type Axis, type Taps, tapsOf } from './resize-taps.ts';

/** The attributes that decide how an axis is sampled. */
function axisOptions(c: Call): Omit<Axis, 'from' | 'to' | 'scale' | 'roi'> {
  return {
    mode: textAttr(c, 'mode', 'nearest'),
    where: textAttr(c, 'coordinate_transformation_mode', 'half_pixel'),
    nearest: textAttr(c, 'nearest_mode', 'round_prefer_floor'),
    cubic: numberAttr(c, 'cubic_coeff_a', -0.75),
    antialias: numberAttr(c, 'antialias', 0) !== 0,
    excludeOutside: numberAttr(c, 'exclude_outside', 0) !== 0,
  };
}

interface Target {
  readonly to: number;
  readonly scale: number;
}

/** Sizes and scales of the resized axes; of sizes and scales one is given. */
function targets(c: Call, from: readonly number[]): Target[] {
  const sizes = c.inputs[3] && c.inputs[3].data.length > 0 ? intsInput(c, 3) : undefined;
  const scales = c.inputs[2] && c.inputs[2].data.length > 0 ? [...numbers(c.inputs[2])] : undefined;
  if ((sizes ?? scales)?.length !== from.length)
    fail(c, 'sizes or scales are missing or do not fit the axes');
  if (!sizes) return from.map((size, i) => ({ to: Math.floor(size * scales![i]!), scale: scales![i]! }));
  const policy = textAttr(c, 'keep_aspect_ratio_policy', 'stretch');
  const ratios = sizes.map((size, i) => size / from[i]!);
  if (policy === 'stretch') return sizes.map((to, i) => ({ to, scale: ratios[i]! }));
  if (policy !== 'not_larger' && policy !== 'not_smaller') fail(c, `keep_aspect_ratio_policy ${policy}`);
  const scale = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
  return from.map((size) => ({ to: Math.floor(scale * size + 0.5), scale }));
}

/** An axis that is resampled: its new size, and what each of its elements is made of. */
export interface Resampled {
  readonly axis: number;
  readonly to: number;
  readonly taps: readonly Taps[];
}

/** The axes that a Resize changes, in their order, from the shape of its input and the numbers of the other inputs. */
export function resampledAxes(c: Call, x: readonly number[]): Resampled[] {
  const axes = (intsAttr(c, 'axes') ?? x.map((_, i) => i)).map((a) => axisOf(c, a, x.length));
  const options = axisOptions(c);
  const crop = options.where === 'tf_crop_and_resize';
  const roi = crop ? numbers(input(c, 1)) : undefined;
  if (roi && roi.length !== 2 * axes.length) fail(c, `roi wants ${2 * axes.length} numbers`);
  const wanted = targets(
    c,
    axes.map((axis) => x[axis]!),
  );
  return axes.flatMap((axis, i) => {
    const from = x[axis]!;
    const { to, scale } = wanted[i]!;
    const region = roi && ([roi[i]!, roi[axes.length + i]!] as const);
    if (to === from && scale === 1 && !region) return [];
    if (from === 0 && to > 0) fail(c, 'nothing can be resized to something');
    const taps = tapsOf({ ...options, from, to, scale, ...(region && { roi: region }) }, (what) =>
      refuse(c, what),
    );
    return [{ axis, to, taps }];
  });
}

/** Nearest, linear and cubic resampling, one axis after the other. */
const resize: Kernel = (c) => {
  const x = input(c, 0);
  const outside = numberAttr(c, 'extrapolation_value', 0);
  let shape = [...x.shape];
  let values = numbers(x);
  for (const { axis, to, taps } of resampledAxes(c, x.shape)) {
    const from = shape[axis]!;
    const next = shape.map((d, k) => (k === axis ? to : d));
    const out = scratch(c, next);
    const [outer, inner] = [span(shape, 0, axis), span(shape, axis + 1)];
    for (let o = 0; o < outer; o++) {
      for (let t = 0; t < to; t++) {
        const made = (o * to + t) * inner;
        if (taps[t] === null) out.fill(outside, made, made + inner);
        for (const [index, weight] of taps[t] ?? []) {
          for (let k = 0; k < inner; k++) out[made + k]! += weight * values[(o * from + index) * inner + k]!;
        }
      }
    }
    [shape, values] = [next, out];
  }
  return [store(x.dtype, shape, values)];
};

export const resampling: KernelTable = { Resize: resize };
