import type { DType, Tensor } from '../../core/tensor.ts';
import { dtypeOf } from '../dtypes.ts';
import {
  cells,
  fail,
  input,
  intsAttr,
  intsInput,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  refuse,
  room,
  scratch,
  span,
  store,
  tensorAttr,
} from './kernel.ts';

const constant: Kernel = (c) => {
  const value = tensorAttr(c, 'value');
  if (value) return [{ dtype: value.dtype, shape: value.shape, data: value.data }];
  const list = (dtype: DType, name: string, scalar: boolean): Tensor[] => {
    const given = scalar ? [numberAttr(c, name, 0)] : (intsAttr(c, name) ?? []);
    return [store(dtype, scalar ? [] : [given.length], Float64Array.from(given))];
  };
  if ('value_float' in c.node.attrs) return list('float32', 'value_float', true);
  if ('value_floats' in c.node.attrs) return list('float32', 'value_floats', false);
  if ('value_int' in c.node.attrs) return list('int64', 'value_int', true);
  if ('value_ints' in c.node.attrs) return list('int64', 'value_ints', false);
  return fail(c, 'it holds neither a tensor nor numbers');
};

const constantOfShape: Kernel = (c) => {
  const shape = intsInput(c, 0) ?? fail(c, 'the shape is missing');
  const value = tensorAttr(c, 'value');
  const dtype = value?.dtype ?? 'float32';
  const data = room(c, dtype, shape);
  if (value) data.fill(cells(value.data)[0] as never);
  return [{ dtype, shape, data }];
};

const range: Kernel = (c) => {
  const [start, limit, delta] = [0, 1, 2].map((i) => numbers(input(c, i))[0]!) as [number, number, number];
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  if (!Number.isFinite(count)) fail(c, `from ${start} to ${limit} by ${delta} has no end`);
  const values = scratch(c, [count]);
  for (let i = 0; i < count; i++) values[i] = start + i * delta;
  return [store(input(c, 0).dtype, [count], values)];
};

/** Keeps one side of the k-th diagonal of each matrix; the rest becomes 0. */
const trilu: Kernel = (c) => {
  const x = input(c, 0);
  const k = intsInput(c, 1)?.[0] ?? 0;
  const upper = numberAttr(c, 'upper', 1) !== 0;
  const [rows, columns] = [x.shape.at(-2) ?? fail(c, 'the input is no matrix'), x.shape.at(-1)!];
  const data = x.data.slice() as typeof x.data;
  const to = cells(data);
  const zero = data instanceof BigInt64Array || data instanceof BigUint64Array ? 0n : 0;
  for (let i = 0; i < data.length; i++) {
    const distance = (i % columns) - (Math.floor(i / columns) % rows);
    if (upper ? distance < k : distance > k) to[i] = zero;
  }
  return [{ dtype: x.dtype, shape: x.shape, data }];
};

/** The k largest (or smallest) along an axis, in order; equal values keep the order of their indices. */
const topK: Kernel = (c) => {
  const x = input(c, 0);
  const rank = x.shape.length;
  const axis = numberAttr(c, 'axis', -1) + (numberAttr(c, 'axis', -1) < 0 ? rank : 0);
  const size = x.shape[axis] ?? fail(c, `axis ${axis} does not exist in rank ${rank}`);
  const k = intsInput(c, 1)?.[0] ?? numberAttr(c, 'k', 0);
  if (k < 0 || k > size) fail(c, `${k} of ${size} values are asked for`);
  const sign = numberAttr(c, 'largest', 1) !== 0 ? -1 : 1;
  const shape = x.shape.map((d, i) => (i === axis ? k : d));
  const [values, best, winners] = [numbers(x), scratch(c, shape), scratch(c, shape)];
  const step = span(x.shape, axis + 1);
  for (let row = 0; row < values.length / (size || 1); row++) {
    const [outer, inner] = [Math.floor(row / step), row % step];
    const order = Array.from({ length: size }, (_, i) => i).sort(
      (a, b) =>
        sign * (values[(outer * size + a) * step + inner]! - values[(outer * size + b) * step + inner]!) ||
        a - b,
    );
    for (let i = 0; i < k; i++) {
      best[(outer * k + i) * step + inner] = values[(outer * size + order[i]!) * step + inner]!;
      winners[(outer * k + i) * step + inner] = order[i]!;
    }
  }
  return [store(x.dtype, shape, best), store('int64', shape, winners)];
};

/** Coordinates of the elements that are not 0, one column per element. */
const nonZero: Kernel = (c) => {
  const x = input(c, 0);
  const found: number[] = [];
  numbers(x).forEach((v, i) => {
    if (v !== 0) found.push(i);
  });
  const out = new Float64Array(x.shape.length * found.length);
  x.shape.forEach((d, axis) => {
    found.forEach((at, i) => {
      out[axis * found.length + i] = Math.floor(at / span(x.shape, axis + 1)) % d;
    });
  });
  return [store('int64', [x.shape.length, found.length], out)];
};

/** Ones on the k-th diagonal of a matrix like the input. */
const eyeLike: Kernel = (c) => {
  const { shape, dtype } = input(c, 0);
  const [rows, columns] = shape as [number, number];
  if (shape.length !== 2) fail(c, 'the input is no matrix');
  const code = numberAttr(c, 'dtype', 0);
  const k = numberAttr(c, 'k', 0);
  const values = scratch(c, shape);
  for (let i = Math.max(0, -k); i < rows && i + k < columns; i++) values[i * columns + i + k] = 1;
  return [store(code === 0 ? dtype : (dtypeOf(code) ?? refuse(c, `element type ${code}`)), shape, values)];
};

/** Tensors from nothing, from a shape, or chosen from others. */
export const creation: KernelTable = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: range,
  Trilu: trilu,
  TopK: topK,
  NonZero: nonZero,
  EyeLike: eyeLike,
};
