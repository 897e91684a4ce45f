import {
  axisOf,
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
import { stridesOf, walk } from './strided.ts';

/** y = x / (bias + α/size · Σ x²)^β, the sum over `size` neighbouring channels, the larger half of them behind. */
const localResponse: Kernel = (c) => {
  const x = input(c, 0);
  const [channels, plane] = [x.shape[1] ?? 1, span(x.shape, 2)];
  const size = numberAttr(c, 'size', 1);
  const [alpha, beta, bias] = [
    numberAttr(c, 'alpha', 1e-4),
    numberAttr(c, 'beta', 0.75),
    numberAttr(c, 'bias', 1),
  ];
  const [before, behind] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
  const values = numbers(x);
  const y = values.map((v, i) => {
    const ch = Math.floor(i / plane) % channels;
    let sum = 0;
    for (let k = Math.max(0, ch - before); k <= Math.min(channels - 1, ch + behind); k++)
      sum += values[i + (k - ch) * plane]! ** 2;
    return v / (bias + (alpha / size) * sum) ** beta;
  });
  return [store(x.dtype, x.shape, y)];
};

/** (x − mean) / (deviation + 1e-9) over `axes`, by default all but the channels. */
const meanVariance: Kernel = (c) => {
  const x = input(c, 0);
  const axes = (intsAttr(c, 'axes') ?? [0, 2, 3]).map((a) => axisOf(c, a, x.shape.length));
  const kept = x.shape.map((d, i) => (axes.includes(i) ? 1 : d));
  const strides = stridesOf(kept).map((s, i) => (axes.includes(i) ? 0 : s));
  const count = axes.reduce((n, axis) => n * x.shape[axis]!, 1);
  const [values, mean, variance] = [numbers(x), scratch(c, kept), scratch(c, kept)];
  walk(x.shape, strides, 0, (group, at) => {
    mean[group]! += values[at]! / count;
  });
  walk(x.shape, strides, 0, (group, at) => {
    variance[group]! += (values[at]! - mean[group]!) ** 2 / count;
  });
  const y = new Float64Array(values.length);
  walk(x.shape, strides, 0, (group, at) => {
    y[at] = (values[at]! - mean[group]!) / (Math.sqrt(variance[group]!) + 1e-9);
  });
  return [store(x.dtype, x.shape, y)];
};

/** Normalisations without learnt parameters. */
export const acrossNormalisation: KernelTable = {
  LRN: localResponse,
  MeanVarianceNormalization: meanVariance,
};
