import type * as Tf from '@tensorflow/tfjs-core';
import type { DType } from '../../../core/tensor.ts';
import { dtypeOf } from '../../../graph/dtypes.ts';
import { axisOf, numberAttr } from '../../../graph/kernels/kernel.ts';
import type { Value } from '../value.ts';
import { combined } from './broadcast.ts';
import {
  atHost,
  type Call,
  device,
  fail,
  floats,
  form,
  input,
  type Kernel,
  type KernelTable,
  type Made,
  made,
  orderOf,
  plain,
  refuse,
  upload,
} from './kernel.ts';
import { products } from './matmul.ts';
import { picked } from './parts.ts';

const LIMITS: Readonly<Partial<Record<DType, readonly [number, number]>>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
};

/** Bytes and shorts are whole numbers that float32 holds: they may stay on the engine. */
const exactly = (run: Kernel['run']): Kernel => ({
  host: (inputs) => atHost(inputs.map((value) => value && { ...value, dtype: 'float32' })),
  run,
});

/** Scales or zero points as float32 that stretch over x: one for all, one along the axis, or one per block along it. */
function spread(c: Call, x: Value, given: Value): Value {
  const { tf } = c;
  const numbers = floats(c, plain(c, given));
  const value = (device: Tf.Tensor): Value => ({ ...made(device, 'float32'), fixed: false });
  if (given.shape.every((d) => d === 1)) return value(tf.reshape(numbers, []));
  const axis = axisOf(c, numberAttr(c, 'axis', 1), x.shape.length);
  const size = x.shape[axis]!;
  const block = numberAttr(c, 'block_size', 0);
  if (block > 0) {
    const at = Array.from({ length: size }, (_, i) => Math.floor(i / block));
    return value(picked(c, numbers, at, axis));
  }
  if (given.shape.length !== 1 || given.shape[0] !== size) {
    fail(c, `scales of [${given.shape}] don't fit a dimension of ${size}`);
  }
  return value(
    tf.reshape(
      numbers,
      x.shape.map((_, i) => (i === axis ? size : 1)),
    ),
  );
}

/** saturate(round(x) + zero), halves to even, as whole numbers. */
function saturated(c: Call, x: Tf.Tensor, zero: Tf.Tensor | undefined, dtype: DType): Tf.Tensor {
  const { tf } = c;
  const [low, high] = LIMITS[dtype] ?? refuse(c, `element type ${dtype}`);
  const rounded = tf.round(x);
  return tf.cast(tf.clipByValue(zero ? tf.add(rounded, zero) : rounded, low, high), 'int32');
}

const quantize: Kernel = exactly((c) => {
  const [x, scale, zero] = [input(c, 0), input(c, 1), c.inputs[2]];
  const code = numberAttr(c, 'output_dtype', 0);
  const dtype = zero?.dtype ?? (code === 0 ? 'uint8' : (dtypeOf(code) ?? refuse(c, `element type ${code}`)));
  const operands = [x, scale, ...(zero ? [zero] : [])].map((value, i) => (i === 0 ? x : spread(c, x, value)));
  return [combined(c, operands, dtype, ([a, s, z]) => saturated(c, c.tf.div(a!, s!), z, dtype))];
});

/** (x − zero) · scale. */
const dequantize: Kernel = exactly((c) => {
  const { tf } = c;
  const [x, scale, zero] = [input(c, 0), input(c, 1), c.inputs[2]];
  const operands = [x, scale, ...(zero ? [zero] : [])].map((value, i) => (i === 0 ? x : spread(c, x, value)));
  return [
    combined(c, operands, scale.dtype, ([a, s, z]) => {
      const levels = floats(c, a!);
      return tf.mul(z ? tf.sub(levels, z) : levels, s!);
    }),
  ];
});

/** uint8 over the range of x, widened so that 0 is exact. */
const dynamicQuantize: Kernel = {
  run: (c) => {
    const { tf } = c;
    const x = input(c, 0);
    const tensor = c.tf.reshape(device(c, x), [-1]);
    const [low, high] = [tf.minimum(tf.min(tensor), 0), tf.maximum(tf.max(tensor), 0)];
    const range = tf.div(tf.sub(high, low), 255);
    const scale = tf.where(tf.equal(range, 0), tf.onesLike(range), range);
    const zero = tf.clipByValue(tf.round(tf.div(tf.neg(low), scale)), 0, 255);
    const levels = saturated(c, tf.div(tensor, scale), zero, 'uint8');
    return [
      made(tf.reshape(levels, device(c, x).shape), 'uint8', orderOf(x)),
      made(scale, 'float32'),
      made(tf.cast(zero, 'int32'), 'uint8'),
    ];
  },
};

/** A matrix of whole numbers less its zero points (one, or one per row or column) in float32; weights once and for all. */
function shifted(c: Call, x: Value, zero: Value | undefined, perRow: boolean): Value {
  const { tf } = c;
  const make = (): Tf.Tensor => {
    const numbers = floats(c, x.fixed && x.host && !x.device ? upload(c, x.host) : plain(c, x));
    if (!zero) return x.fixed ? tf.clone(numbers) : numbers;
    const zeros = floats(c, plain(c, zero));
    const column = perRow && zero.shape.length === 1 && zero.shape[0] !== 1;
    return tf.sub(numbers, column ? tf.reshape(zeros, [-1, 1]) : zeros);
  };
  const fixed = x.fixed && (!zero || zero.fixed);
  return {
    dtype: 'float32',
    shape: x.shape,
    fixed: false,
    device: fixed ? form(c, x, 'less its zero', make) : make(),
  };
}

/** The product of two matrices less their zero points; exact below 2^24, as float32 is. */
const product = (c: Call, a: Value, b: Value): Made => products.MatMul!.run({ ...c, inputs: [a, b] })[0]!;

const matmulInteger: Kernel = exactly((c) => {
  const y = product(
    c,
    shifted(c, input(c, 0), c.inputs[2], true),
    shifted(c, input(c, 1), c.inputs[3], false),
  );
  return [{ ...y, dtype: 'int32', device: c.tf.cast(c.tf.round(y.device!), 'int32') }];
});

const qLinearMatmul: Kernel = exactly((c) => {
  const { tf } = c;
  const [scaleA, scaleB, scaleY, zeroY] = [input(c, 1), input(c, 4), input(c, 6), input(c, 7)];
  const y = product(
    c,
    shifted(c, input(c, 0), input(c, 2), true),
    shifted(c, input(c, 3), input(c, 5), false),
  );
  const column = (value: Value): Tf.Tensor =>
    value.shape.length === 1 && value.shape[0] !== 1 ? tf.reshape(plain(c, value), [-1, 1]) : plain(c, value);
  const scale = tf.mul(column(scaleA), tf.div(plain(c, scaleB), column(scaleY)));
  const levels = tf.mul(y.device!, scale);
  const dtype = zeroY.dtype;
  return [{ ...y, dtype, device: saturated(c, levels, floats(c, column(zeroY)), dtype) }];
});

export const quantisation: KernelTable = {
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  DynamicQuantizeLinear: dynamicQuantize,
  MatMulInteger: matmulInteger,
  QLinearMatMul: qLinearMatmul,
};
