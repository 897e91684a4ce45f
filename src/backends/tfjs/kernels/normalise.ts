import type * as Tf from '@tensorflow/tfjs';
import { axisOf, intsAttr, numberAttr } from '../../../graph/kernels/kernel.ts';
import { placesOf } from '../order.ts';
import type { Value } from '../value.ts';
import { widened } from './broadcast.ts';
import {
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
import { mean, reduced } from './reduce.ts';
import { reshape } from './views.ts';

const unfixed = (value: Made): Value => ({ ...value, fixed: false });

/** Mean of a value over axes of the graph, which stay with one element. */
const meanOver = (c: Call, x: Value, axes: readonly number[]): Value =>
  unfixed(reduced(c, x, axes, true, mean));

interface Normalised {
  readonly y: Value;
  readonly mean: Value | null;
  /** 1/√(variance + ε), or 1/√(mean square + ε). */
  readonly inverse: Value;
}

/** (x − mean)/√(variance + ε) over axes of the graph, population variance; `centred` false leaves the mean in. */
export function normalised(
  c: Call,
  x: Value,
  axes: readonly number[],
  epsilon: number,
  centred = true,
): Normalised {
  const { tf } = c;
  const order = orderOf(x);
  const mean = centred ? meanOver(c, x, axes) : null;
  const rest = mean ? tf.sub(device(c, x), device(c, mean)) : device(c, x);
  const variance = meanOver(c, unfixed(made(tf.square(rest), x.dtype, order)), axes);
  const inverse = unfixed(made(tf.rsqrt(tf.add(device(c, variance), epsilon)), x.dtype, order));
  return { y: unfixed(made(tf.mul(rest, device(c, inverse)), x.dtype, order)), mean, inverse };
}

/** y · scale + bias, both stretched from the right to the shape of y. */
function affine(c: Call, y: Value, scale: Value, bias: Value | undefined): Made {
  const { tf } = c;
  const order = orderOf(y);
  for (const given of bias ? [scale, bias] : [scale]) {
    const start = y.shape.length - given.shape.length;
    if (start < 0 || given.shape.some((d, i) => d !== 1 && d !== y.shape[start + i])) {
      fail(c, 'scale or bias does not fit the input');
    }
  }
  const scaled = tf.mul(device(c, y), widened(c, scale, order));
  return made(bias ? tf.add(scaled, widened(c, bias, order)) : scaled, y.dtype, order);
}

/** Normalises over all axes from `axis` on. */
const trailingNorm = (centred: boolean): Kernel =>
  kernel((c) => {
    const x = input(c, 0);
    const rank = x.shape.length;
    const from = axisOf(c, numberAttr(c, 'axis', -1), rank);
    const axes = Array.from({ length: rank - from }, (_, i) => from + i);
    const { y, mean, inverse } = normalised(c, x, axes, numberAttr(c, 'epsilon', 1e-5), centred);
    const scaled = affine(c, y, input(c, 1), c.inputs[2]);
    if (!mean) return [scaled];
    const statistic = ({ fixed: _, ...value }: Value): Made => ({ ...value, dtype: 'float32' });
    return [scaled, statistic(mean), statistic(inverse)];
  });

/** A vector by channel, or by group, as a tensor that stretches over [batch, channels, …]. */
const column = (c: Call, value: Value, rank: number): Value =>
  unfixed(reshape(c, value, [value.shape[0]!, ...new Array<number>(rank - 2).fill(1)]));

/** Normalises groups of channels over their spatial extent. */
const groupNorm: Kernel = kernel((c) => {
  const x = input(c, 0);
  const [batch, channels, ...plane] = x.shape as [number, number, ...number[]];
  const groups = numberAttr(c, 'num_groups', 0);
  const [scale, bias] = [input(c, 1), input(c, 2)];
  if (groups < 1 || channels % groups !== 0) {
    fail(c, `${channels} channels don't divide into ${groups} groups`);
  }
  const grouped = unfixed(reshape(c, x, [batch, groups, channels / groups, ...plane]));
  const axes = grouped.shape.map((_, i) => i).slice(2);
  const { y } = normalised(c, grouped, axes, numberAttr(c, 'epsilon', 1e-5));
  const [wide, narrow] = [grouped.shape.length, x.shape.length];
  // GroupNormalization of opset 18 scales by group, later ones by channel.
  if (scale.shape[0] === groups && groups !== channels) {
    const scaled = unfixed(affine(c, y, column(c, scale, wide), column(c, bias, wide)));
    return [reshape(c, scaled, x.shape)];
  }
  const whole = unfixed(reshape(c, y, x.shape));
  return [affine(c, whole, column(c, scale, narrow), column(c, bias, narrow))];
});

/** x / ‖x‖ along an axis, p = 1 or 2; a zero vector stays zero. */
const lpNorm: Kernel = kernel((c) => {
  const { tf } = c;
  const x = input(c, 0);
  const axis = axisOf(c, numberAttr(c, 'axis', -1), x.shape.length);
  const tensor = device(c, x);
  const place = placesOf(orderOf(x))[axis]!;
  const norm: Tf.Tensor =
    numberAttr(c, 'p', 2) === 1
      ? tf.sum(tf.abs(tensor), place, true)
      : tf.sqrt(tf.sum(tf.square(tensor), place, true));
  const zero = tf.equal(norm, 0);
  return [made(tf.div(tensor, tf.where(zero, tf.onesLike(norm), norm)), x.dtype, orderOf(x))];
});

/** (x − mean)/√variance over axes, by default all but the channels. */
const meanVariance: Kernel = kernel((c) => {
  const x = input(c, 0);
  const axes = (intsAttr(c, 'axes') ?? [0, 2, 3]).map((axis) => axisOf(c, axis, x.shape.length));
  // As the function body of the operator set has it: ε is added to the deviation, 1e-9.
  const { tf } = c;
  const mean = meanOver(c, x, axes);
  const rest = tf.sub(device(c, x), device(c, mean));
  const variance = meanOver(c, unfixed(made(tf.square(rest), x.dtype, orderOf(x))), axes);
  return [made(tf.div(rest, tf.add(tf.sqrt(device(c, variance)), 1e-9)), x.dtype, orderOf(x))];
});

export const normalisations: KernelTable = {
  LayerNormalization: trailingNorm(true),
  RMSNormalization: trailingNorm(false),
  SimplifiedLayerNormalization: trailingNorm(false),
  GroupNormalization: groupNorm,
  LpNormalization: lpNorm,
  MeanVarianceNormalization: meanVariance,
};
