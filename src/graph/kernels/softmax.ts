import { axisOf, input, type Kernel, type KernelTable, numberAttr, numbers, span, store } from './kernel.ts';

/**
 * Applies a rule to each vector along `axis`. Until opset 12 the input counts as a matrix [before axis, from axis on], and the
 * axis defaults to 1; from 13 on a single axis is meant, the last by default.
 */
function along(rule: (vector: Float64Array) => Float64Array): Kernel {
  return (c) => {
    const x = input(c, 0);
    const flat = c.opset < 13;
    const axis =
      x.shape.length === 0 ? 0 : axisOf(c, numberAttr(c, 'axis', flat ? 1 : -1), x.shape.length, flat);
    const size = flat ? span(x.shape, axis) : (x.shape[axis] ?? 1);
    const step = flat ? 1 : span(x.shape, axis + 1);
    const values = numbers(x);
    const out = new Float64Array(values.length);
    const vector = new Float64Array(size);
    for (let row = 0; row < values.length / (size || 1); row++) {
      const from = Math.floor(row / step) * size * step + (row % step);
      for (let i = 0; i < size; i++) vector[i] = values[from + i * step]!;
      const result = rule(vector);
      for (let i = 0; i < size; i++) out[from + i * step] = result[i]!;
    }
    return [store(x.dtype, x.shape, out)];
  };
}

const largest = (v: Float64Array): number => v.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
const sum = (v: Float64Array): number => v.reduce((a, b) => a + b, 0);

/** Shifted by the maximum, so that no exponential overflows. */
function softmax(v: Float64Array): Float64Array {
  const top = largest(v);
  const e = v.map((x) => Math.exp(x - top));
  const total = sum(e);
  return e.map((x) => x / total);
}

function logSoftmax(v: Float64Array): Float64Array {
  const top = largest(v);
  const log = Math.log(sum(v.map((x) => Math.exp(x - top)))) + top;
  return v.map((x) => x - log);
}

function hardmax(v: Float64Array): Float64Array {
  const winner = v.indexOf(largest(v));
  return v.map((_, i) => Number(i === winner));
}

export const softmaxes: KernelTable = {
  Softmax: along(softmax),
  LogSoftmax: along(logSoftmax),
  Hardmax: along(hardmax),
};
