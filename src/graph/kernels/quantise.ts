import type { DType, Tensor } from '../../core/tensor.ts';
import { dtypeOf } from '../dtypes.ts';
import {
  axisOf,
  type Call,
  fail,
  input,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  refuse,
  span,
  store,
} from './kernel.ts';
import { matmulNumbers } from './matmul.ts';
import { roundHalfEven } from './unary.ts';

const LIMITS: Readonly<Partial<Record<DType, readonly [number, number]>>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
  int32: [-(2 ** 31), 2 ** 31 - 1],
};

/** Which scale and zero point an element of x takes: one for all, one along `axis`, or one per block along it. */
function groupOf(c: Call, x: Tensor, scale: Tensor): (i: number) => number {
  if (scale.data.length === 1) return () => 0;
  const axis = axisOf(c, numberAttr(c, 'axis', 1), x.shape.length);
  const [size, inner] = [x.shape[axis]!, span(x.shape, axis + 1)];
  const block = numberAttr(c, 'block_size', 0);
  if (block > 0) {
    const blocks = Math.ceil(size / block);
    return (i) => {
      const [outer, at] = [Math.floor(i / (inner * size)), Math.floor(i / inner) % size];
      return (outer * blocks + Math.floor(at / block)) * inner + (i % inner);
    };
  }
  if (scale.data.length !== size) fail(c, `${scale.data.length} scales don't fit a dimension of ${size}`);
  return (i) => Math.floor(i / inner) % size;
}

/** y = saturate(round(x ÷ scale) + zero), halves to even. */
const quantize: Kernel = (c) => {
  const [x, scale, zero] = [input(c, 0), input(c, 1), c.inputs[2]];
  const declared = numberAttr(c, 'output_dtype', 0);
  const dtype =
    zero?.dtype ?? (declared === 0 ? 'uint8' : dtypeOf(declared)) ?? refuse(c, `element type ${declared}`);
  const [low, high] = LIMITS[dtype] ?? refuse(c, dtype);
  const [scales, zeros, at] = [numbers(scale), zero && numbers(zero), groupOf(c, x, scale)];
  const y = numbers(x).map((v, i) => {
    const g = at(i);
    return Math.max(low, Math.min(high, roundHalfEven(Math.fround(v / scales[g]!)) + (zeros?.[g] ?? 0)));
  });
  return [store(dtype, x.shape, y)];
};

/** y = (x − zero) · scale. */
const dequantize: Kernel = (c) => {
  const [x, scale, zero] = [input(c, 0), input(c, 1), c.inputs[2]];
  const [scales, zeros, at] = [numbers(scale), zero && numbers(zero), groupOf(c, x, scale)];
  return [
    store(
      scale.dtype,
      x.shape,
      numbers(x).map((v, i) => (v - (zeros?.[at(i)] ?? 0)) * scales[at(i)]!),
    ),
  ];
};

/** uint8 over the range of x, widened so that 0 is exact. */
const dynamicQuantize: Kernel = (c) => {
  const x = input(c, 0);
  const values = numbers(x);
  const low = values.reduce((a, b) => Math.min(a, b), 0);
  const high = values.reduce((a, b) => Math.max(a, b), 0);
  const scale = Math.fround(Math.fround(high - low) / 255) || 1;
  const zero = Math.max(0, Math.min(255, roundHalfEven(Math.fround(-low / scale))));
  const y = values.map((v) => Math.max(0, Math.min(255, roundHalfEven(Math.fround(v / scale)) + zero)));
  return [
    store('uint8', x.shape, y),
    store('float32', [], Float64Array.of(scale)),
    store('uint8', [], Float64Array.of(zero)),
  ];
};

/** int32 product of (a − zero of a)·(b − zero of b); zero points are scalars, or one per row of a or column of b. */
const matmulInteger: Kernel = (c) => {
  const [a, b] = [input(c, 0), input(c, 1)];
  const shifted = (t: Tensor, zero: Tensor | undefined, perRow: boolean): Float64Array => {
    if (!zero) return numbers(t);
    const [zeros, columns, rows] = [numbers(zero), t.shape.at(-1)!, t.shape.at(-2) ?? 1];
    if (zeros.length === 1) return numbers(t).map((v) => v - zeros[0]!);
    if (zeros.length !== (perRow ? rows : columns)) fail(c, 'a zero point does not fit its operand');
    return numbers(t).map((v, i) => v - zeros[perRow ? Math.floor(i / columns) % rows : i % columns]!);
  };
  const { shape, values } = matmulNumbers(
    c,
    shifted(a, c.inputs[2], true),
    a.shape,
    shifted(b, c.inputs[3], false),
    b.shape,
  );
  return [store('int32', shape, values)];
};

export const quantisation: KernelTable = {
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  DynamicQuantizeLinear: dynamicQuantize,
  MatMulInteger: matmulInteger,
};
