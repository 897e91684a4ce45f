import { axisOf, intsAttr, numberAttr } from '../../../graph/kernels/kernel.ts';
import type { Value } from '../value.ts';
import { combined } from './broadcast.ts';
import { flatly } from './fold.ts';
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
import { mean, type Reduction, reduced, sum } from './reduce.ts';
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
  const mean = centred ? meanOver(c, x, axes) : null;
  const rest = mean ? unfixed(combined(c, [x, mean], x.dtype, ([a, b]) => tf.sub(a!, b!))) : x;
  const square = flatly(c, device(c, rest), (t) => tf.square(t));
  const variance = meanOver(c, unfixed(made(square, x.dtype, orderOf(rest))), axes);
  const root = flatly(c, device(c, variance), (t) => tf.rsqrt(tf.add(t, epsilon)));
  const inverse = unfixed(made(root, x.dtype, orderOf(variance)));
  const y = combined(c, [rest, inverse], x.dtype, ([a, b]) => tf.mul(a!, b!));
  return { y: unfixed(y), mean, inverse };
}

/** y · scale + bias, both stretched from the right to the shape of y. */
function affine(c: Call, y: Value, scale: Value, bias: Value | undefined): Made {
  const { tf } = c;
  for (const given of bias ? [scale, bias] : [scale]) {
    const start = y.shape.length - given.shape.length;
    if (start < 0 || given.shape.some((d, i) => d !== 1 && d !== y.shape[start + i])) {
      fail(c, 'scale or bias does not fit the input');
    }
  }
  return combined(c, bias ? [y, scale, bias] : [y, scale], y.dtype, ([a, b, added]) => {
    const scaled = tf.mul(a!, b!);
    return added ? tf.add(scaled, added) : scaled;
  });
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
  const rule: Reduction =
    numberAttr(c, 'p', 2) === 1
      ? (t, at) => sum(tf.abs(t), at, c)
      : (t, at) => tf.sqrt(sum(tf.square(t), at, c));
  const norm = unfixed(reduced(c, x, [axis], true, rule));
  return [
    combined(c, [x, norm], x.dtype, ([a, b]) => tf.div(a!, tf.where(tf.equal(b!, 0), tf.onesLike(b!), b!))),
  ];
});

/** (x − mean)/√variance over axes, by default all but the channels. */
const meanVariance: Kernel = kernel((c) => {
  const x = input(c, 0);
  const axes = (intsAttr(c, 'axes') ?? [0, 2, 3]).map((axis) => axisOf(c, axis, x.shape.length));
  const { tf } = c;
  const rest = unfixed(combined(c, [x, meanOver(c, x, axes)], x.dtype, ([a, b]) => tf.sub(a!, b!)));
  const square = flatly(c, device(c, rest), (t) => tf.square(t));
  const variance = meanOver(c, unfixed(made(square, x.dtype, orderOf(rest))), axes);
  // As the function body of the operator set has it: ε is added to the deviation, 1e-9.
  return [combined(c, [rest, variance], x.dtype, ([a, b]) => tf.div(a!, tf.add(tf.sqrt(b!), 1e-9)))];
});

export const normalisations: KernelTable = {
  LayerNormalization: trailingNorm(true),
  RMSNormalization: trailingNorm(false),
  SimplifiedLayerNormalization: trailingNorm(false),
  GroupNormalization: groupNorm,
  LpNormalization: lpNorm,
  MeanVarianceNormalization: meanVariance,
};
