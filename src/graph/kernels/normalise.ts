import type { Tensor } from '../../core/tensor.ts';
import {
  axisOf,
  type Call,
  fail,
  input,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  span,
  store,
} from './kernel.ts';
import { broadcastShape, stretchedIndex } from './strided.ts';

/** Mean and 1/√(variance + ε) of `values[from … from + count)`, population variance. */
function moments(values: Float64Array, from: number, count: number, epsilon: number): [number, number] {
  let mean = 0;
  for (let i = from; i < from + count; i++) mean += values[i]!;
  mean /= count;
  let variance = 0;
  for (let i = from; i < from + count; i++) variance += (values[i]! - mean) ** 2;
  return [mean, 1 / Math.sqrt(variance / count + epsilon)];
}

function perChannel(c: Call, index: number, channels: number): Float64Array {
  const t = input(c, index);
  return t.data.length === channels ? numbers(t) : fail(c, `input ${index} wants ${channels} values`);
}

/**
 * The same with the statistics of the batch; the other outputs are the running ones, which keep the share `momentum` of what
 * they were (variance of the population).
 */
function batchNormTraining(c: Call): Tensor[] {
  const x = input(c, 0);
  const [channels, plane] = [x.shape[1] ?? 1, span(x.shape, 2)];
  const values = numbers(x);
  const count = values.length / channels;
  const [mean, variance] = [new Float64Array(channels), new Float64Array(channels)];
  const channelOf = (i: number): number => Math.floor(i / plane) % channels;
  values.forEach((v, i) => {
    mean[channelOf(i)]! += v / count;
  });
  values.forEach((v, i) => {
    variance[channelOf(i)]! += (v - mean[channelOf(i)]!) ** 2 / count;
  });
  const [scale, bias] = [perChannel(c, 1, channels), perChannel(c, 2, channels)];
  const [epsilon, momentum] = [numberAttr(c, 'epsilon', 1e-5), numberAttr(c, 'momentum', 0.9)];
  const y = values.map((v, i) => {
    const ch = channelOf(i);
    return (scale[ch]! * (v - mean[ch]!)) / Math.sqrt(variance[ch]! + epsilon) + bias[ch]!;
  });
  const running = (index: number, batch: Float64Array): Tensor =>
    store(
      input(c, index).dtype,
      [channels],
      perChannel(c, index, channels).map((old, ch) => old * momentum + batch[ch]! * (1 - momentum)),
    );
  return [store(x.dtype, x.shape, y), running(3, mean), running(4, variance)];
}

/** y = scale·(x − mean)/√(variance + ε) + bias by channel, with the statistics that were learnt (inference). */
const batchNorm: Kernel = (c) => {
  if (numberAttr(c, 'training_mode', 0) !== 0) return batchNormTraining(c);
  const x = input(c, 0);
  const [channels, plane] = [x.shape[1] ?? 1, span(x.shape, 2)];
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((i) => perChannel(c, i, channels)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const epsilon = numberAttr(c, 'epsilon', 1e-5);
  const y = numbers(x).map((v, i) => {
    const ch = Math.floor(i / plane) % channels;
    return (scale[ch]! * (v - mean[ch]!)) / Math.sqrt(variance[ch]! + epsilon) + bias[ch]!;
  });
  return [store(x.dtype, x.shape, y)];
};

/** Normalises over all dimensions from `axis` on; `centred` false leaves the mean in (RMSNormalization). */
function trailingNorm(centred: boolean): Kernel {
  return (c) => {
    const [x, scale, bias] = [input(c, 0), input(c, 1), c.inputs[2]];
    const axis = axisOf(c, numberAttr(c, 'axis', -1), x.shape.length);
    const epsilon = numberAttr(c, 'epsilon', 1e-5);
    const [values, count] = [numbers(x), span(x.shape, axis)];
    const [means, inverses] = [
      new Float64Array(values.length / (count || 1)),
      new Float64Array(values.length / (count || 1)),
    ];
    for (let row = 0; row < means.length; row++) {
      [means[row], inverses[row]] = centred
        ? moments(values, row * count, count, epsilon)
        : [0, rootMeanSquare(values, row * count, count, epsilon)];
    }
    const y = values.map((v, i) => {
      const row = Math.floor(i / count);
      return (v - means[row]!) * inverses[row]!;
    });
    const scaled = affine(c, x, y, scale, bias);
    if (!centred) return [store(x.dtype, x.shape, scaled)];
    const statistics = x.shape.map((d, i) => (i < axis ? d : 1));
    const dtype = x.dtype === 'float64' ? 'float64' : 'float32';
    return [
      store(x.dtype, x.shape, scaled),
      store(dtype, statistics, means),
      store(dtype, statistics, inverses),
    ];
  };
}

function rootMeanSquare(values: Float64Array, from: number, count: number, epsilon: number): number {
  let sum = 0;
  for (let i = from; i < from + count; i++) sum += values[i]! ** 2;
  return 1 / Math.sqrt(sum / count + epsilon);
}

/** y · scale + bias, both stretched to the shape of x. */
function affine(c: Call, x: Tensor, y: Float64Array, scale: Tensor, bias: Tensor | undefined): Float64Array {
  for (const t of bias ? [scale, bias] : [scale]) {
    if (broadcastShape(c, t.shape, x.shape).join() !== x.shape.join())
      fail(c, 'scale or bias does not fit the input');
  }
  const [factor, at] = [numbers(scale), stretchedIndex(scale.shape, x.shape)];
  const [added, atBias] = bias ? [numbers(bias), stretchedIndex(bias.shape, x.shape)] : [null, at];
  return y.map((v, i) => v * factor[at(i)]! + (added ? added[atBias(i)]! : 0));
}

/** Normalises groups of channels over their spatial extent. */
function groupNorm(c: Call, groups: number): Tensor[] {
  const x = input(c, 0);
  const [channels, plane] = [x.shape[1] ?? 1, span(x.shape, 2)];
  if (groups < 1 || channels % groups !== 0)
    fail(c, `${channels} channels don't divide into ${groups} groups`);
  const values = numbers(x);
  const epsilon = numberAttr(c, 'epsilon', 1e-5);
  const count = (channels / groups) * plane;
  // GroupNormalization of opset 18 scales by group, later ones by channel.
  const perGroup = input(c, 1).data.length === groups && groups !== channels;
  const [scale, bias] = [
    perChannel(c, 1, perGroup ? groups : channels),
    perChannel(c, 2, perGroup ? groups : channels),
  ];
  const y = new Float64Array(values.length);
  for (let from = 0; from < values.length; from += count) {
    const [mean, inverse] = moments(values, from, count, epsilon);
    for (let i = from; i < from + count; i++) {
      const ch = Math.floor(i / plane) % channels;
      const at = perGroup ? Math.floor(ch / (channels / groups)) : ch;
      y[i] = (values[i]! - mean) * inverse * scale[at]! + bias[at]!;
    }
  }
  return [store(x.dtype, x.shape, y)];
}

/** x / ‖x‖ along an axis, p = 1 or 2; a zero vector stays zero. */
const lpNorm: Kernel = (c) => {
  const x = input(c, 0);
  const axis = axisOf(c, numberAttr(c, 'axis', -1), x.shape.length);
  const p = numberAttr(c, 'p', 2);
  const [values, size, step] = [numbers(x), x.shape[axis]!, span(x.shape, axis + 1)];
  const y = new Float64Array(values.length);
  for (let row = 0; row < values.length / (size || 1); row++) {
    const from = Math.floor(row / step) * size * step + (row % step);
    let sum = 0;
    for (let i = 0; i < size; i++) sum += Math.abs(values[from + i * step]!) ** p;
    const norm = sum ** (1 / p);
    for (let i = 0; i < size; i++) y[from + i * step] = norm === 0 ? 0 : values[from + i * step]! / norm;
  }
  return [store(x.dtype, x.shape, y)];
};

export const normalisation: KernelTable = {
  BatchNormalization: batchNorm,
  LayerNormalization: trailingNorm(true),
  RMSNormalization: trailingNorm(false),
  InstanceNormalization: (c) => groupNorm(c, input(c, 0).shape[1] ?? 1),
  GroupNormalization: (c) => groupNorm(c, numberAttr(c, 'num_groups', 0)),
  LpNormalization: lpNorm,
};
