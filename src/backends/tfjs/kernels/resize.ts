import type * as Tf from '@tensorflow/tfjs-core';
import { float32 } from '../../../core/tensor.ts';
import { numberAttr, textAttr } from '../../../graph/kernels/kernel.ts';
import { type Resampled, resampledAxes } from '../../../graph/kernels/resize.ts';
import { placesOf } from '../order.ts';
import type { Value } from '../value.ts';
import {
  type Call,
  device,
  fail,
  input,
  type Kernel,
  type KernelTable,
  type Made,
  made,
  orderOf,
  same,
} from './kernel.ts';
import { fromSpatial, spatial } from './spatial.ts';

/** Nearest, linear and cubic resampling, one axis after the other wherever it lies. */
function resized(c: Call): readonly Made[] {
  const x = input(c, 0);
  const given = c.inputs.map((value, i) => (i === 0 ? undefined : value?.host));
  const axes = resampledAxes({ node: c.node, opset: c.opset, inputs: given }, x.shape);
  if (axes.length === 0) return [same(c, device(c, x), x.dtype, orderOf(x))];
  const corners = bilinearOf(c, x, axes, given[2]?.data.length ? Array.from(given[2].data, Number) : null);
  if (corners) {
    const size = [2, 3].map((axis) => axes.find((a) => a.axis === axis)?.to ?? x.shape[axis]!);
    const image = spatial(c, x) as Tf.Tensor4D;
    const { alignCorners, halfPixel } = corners;
    const out = c.tf.image.resizeBilinear(image, size as [number, number], alignCorners, halfPixel);
    return [fromSpatial(c, out, x)];
  }
  const places = placesOf(orderOf(x));
  const outside = numberAttr(c, 'extrapolation_value', 0);
  const out = axes.reduce((t, a) => along(c, t, places[a.axis]!, a, outside), device(c, x));
  return [made(out, x.dtype, orderOf(x))];
}

/** How tfjs's own bilinear resampling gives what a node asks for; null where it does not. */
function bilinearOf(
  c: Call,
  x: Value,
  axes: readonly Resampled[],
  scales: readonly number[] | null,
): { alignCorners: boolean; halfPixel: boolean } | null {
  const flag = (name: string): boolean => numberAttr(c, name, 0) !== 0;
  if (x.shape.length !== 4 || axes.some(({ axis }) => axis < 2)) return null;
  if (textAttr(c, 'mode', 'nearest') !== 'linear' || flag('antialias') || flag('exclude_outside'))
    return null;
  // It has no scale but that of the sizes.
  const isRounded = scales?.some((s, i) => !Number.isInteger(s * x.shape[i + 4 - scales.length]!));
  if (isRounded || textAttr(c, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch') return null;
  const where = textAttr(c, 'coordinate_transformation_mode', 'half_pixel');
  if (where === 'align_corners') return { alignCorners: true, halfPixel: false };
  if (where === 'asymmetric') return { alignCorners: false, halfPixel: false };
  const isHalf = where === 'half_pixel' || (where === 'pytorch_half_pixel' && axes.every((a) => a.to > 1));
  return isHalf ? { alignCorners: false, halfPixel: true } : null;
}

/** One axis: for each place of the taps the elements are gathered, weighted and added. */
function along(c: Call, x: Tf.Tensor, place: number, { to, taps }: Resampled, outside: number): Tf.Tensor {
  const { tf } = c;
  const inner = x.shape.slice(place + 1).reduce((n, d) => n * d, 1);
  const flat = tf.reshape(x, [-1, x.shape[place]!, inner]);
  const most = taps.reduce((n, t) => Math.max(n, t?.length ?? 0), 0);
  const column = (values: readonly number[]): Tf.Tensor =>
    tf.tensor(values as number[], [1, to, 1], 'float32');
  const terms: Tf.Tensor[] = [];
  for (let k = 0; k < most; k++) {
    const weights = taps.map((t) => t?.[k]?.[1] ?? 0);
    if (weights.every((w) => w === 0)) continue;
    const at = tf.tensor1d(
      taps.map((t) => t?.[k]?.[0] ?? 0),
      'int32',
    );
    const part = tf.gather(flat, at, 1);
    terms.push(weights.every((w) => w === 1) ? part : tf.mul(part, column(weights)));
  }
  const sum = terms.length > 0 ? terms.reduce((a, b) => tf.add(a, b)) : tf.zeros([flat.shape[0]!, to, inner]);
  const isOutside = taps.map((t) => (t === null ? outside : 0));
  const all = isOutside.some((v) => v !== 0) ? tf.add(sum, column(isOutside)) : sum;
  return tf.reshape(all, [...x.shape.slice(0, place), to, ...x.shape.slice(place + 1)]);
}

const resize: Kernel = { reads: [1, 2, 3], run: resized };

/** Resize as it was until operator set 9: scales only, as an input or (set 7) an attribute, and no half pixels. */
const upsample: Kernel = {
  reads: [1],
  run: (c) => {
    const listed = c.node.attrs.scales;
    const scales: Value | undefined = Array.isArray(listed)
      ? {
          dtype: 'float32',
          shape: [listed.length],
          fixed: true,
          host: float32([listed.length], listed.map(Number)),
        }
      : c.inputs[1];
    const attrs = {
      mode: textAttr(c, 'mode', 'nearest'),
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    };
    const inputs = [input(c, 0), undefined, scales ?? fail(c, 'the scales are missing')];
    return resized({ ...c, node: { ...c.node, attrs }, inputs });
  },
};

export const resampling: KernelTable = { Resize: resize, Upsample: upsample };
