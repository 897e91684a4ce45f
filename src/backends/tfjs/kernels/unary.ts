import type * as Tf from '@tensorflow/tfjs-core';
import { numberAttr, textAttr } from '../../../graph/kernels/kernel.ts';
import { one } from './broadcast.ts';
import type { Call, KernelTable } from './kernel.ts';

type Function = (x: Tf.Tensor, c: Call) => Tf.Tensor;

/** α·(eˣ − 1) below 0 and x elsewhere; exponentials of large values would be infinite, and α may be 0. */
function elu(x: Tf.Tensor, { tf }: Call, alpha: number): Tf.Tensor {
  if (alpha === 1) return tf.elu(x);
  return tf.where(tf.less(x, 0), tf.mul(tf.expm1(tf.minimum(x, 0)), alpha), x);
}

/** Between 0 and 1; NaN stays NaN, which `clipByValue` on wasm doesn't promise. */
const unit = (x: Tf.Tensor, { tf }: Call): Tf.Tensor => tf.minimum(tf.maximum(x, 0), 1);

const gelu: Function = (x, c) => {
  const { tf } = c;
  if (textAttr(c, 'approximate', 'none') !== 'tanh') {
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  }
  const inner = tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI));
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
};

/** x·tanh(log(1 + eˣ)) = x·n/(n + 2) with n = eˣ·(eˣ + 2), without the logarithm of nearly 1; beyond 20 it is x. */
const mish: Function = (x, { tf }) => {
  const e = tf.exp(tf.minimum(x, 20));
  const n = tf.mul(e, tf.add(e, 2));
  return tf.mul(x, tf.div(n, tf.add(n, 2)));
};

/** By way of the arctangent, whose error on GPUs is a tenth of that of their arcsine (WGSL allows 4096 ulp and some use them). */
const arcsine: Function = (x, { tf }) => {
  const other = tf.sqrt(tf.mul(tf.sub(1, x), tf.add(1, x)));
  return tf.atan(tf.div(x, other));
};

const isInf: Function = (x, c) => {
  const { tf } = c;
  const up = numberAttr(c, 'detect_positive', 1) !== 0;
  const down = numberAttr(c, 'detect_negative', 1) !== 0;
  const infinite = tf.isInf(x);
  if (up && down) return infinite;
  if (!up && !down) return tf.zerosLike(infinite);
  return tf.logicalAnd(infinite, up ? tf.greater(x, 0) : tf.less(x, 0));
};

/** Operators of one operand, element by element. */
export const unary: KernelTable = {
  Abs: one((x, { tf }) => tf.abs(x)),
  Acos: one((x, c) => (c.engine.name === 'webgpu' ? c.tf.sub(Math.PI / 2, arcsine(x, c)) : c.tf.acos(x))),
  Acosh: one((x, { tf }) => tf.acosh(x)),
  Asin: one((x, c) => (c.engine.name === 'webgpu' ? arcsine(x, c) : c.tf.asin(x))),
  Asinh: one((x, { tf }) => tf.asinh(x)),
  Atan: one((x, { tf }) => tf.atan(x)),
  Atanh: one((x, { tf }) => tf.atanh(x)),
  Ceil: one((x, { tf }) => tf.ceil(x)),
  Cos: one((x, { tf }) => tf.cos(x)),
  Cosh: one((x, { tf }) => tf.cosh(x)),
  Erf: one((x, { tf }) => tf.erf(x)),
  Exp: one((x, { tf }) => tf.exp(x)),
  Floor: one((x, { tf }) => tf.floor(x)),
  IsInf: one(isInf, 'bool'),
  IsNaN: one((x, { tf }) => tf.isNaN(x), 'bool'),
  Log: one((x, { tf }) => tf.log(x)),
  Neg: one((x, { tf }) => tf.neg(x)),
  Not: one((x, { tf }) => tf.logicalNot(x)),
  Reciprocal: one((x, { tf }) => tf.reciprocal(x)),
  Round: one((x, { tf }) => tf.round(x)),
  // The sign of NaN is NaN; tfjs says 0.
  Sign: one((x, { tf }) => tf.where(tf.isNaN(x), x, tf.sign(x))),
  Sin: one((x, { tf }) => tf.sin(x)),
  Sinh: one((x, { tf }) => tf.sinh(x)),
  Sqrt: one((x, { tf }) => tf.sqrt(x)),
  Tan: one((x, { tf }) => tf.tan(x)),
  Tanh: one((x, { tf }) => tf.tanh(x)),

  Celu: one((x, c) => {
    const alpha = numberAttr(c, 'alpha', 1);
    const { tf } = c;
    return tf.add(tf.maximum(x, 0), tf.mul(tf.expm1(tf.minimum(tf.div(x, alpha), 0)), alpha));
  }),
  Elu: one((x, c) => elu(x, c, numberAttr(c, 'alpha', 1))),
  Gelu: one(gelu),
  HardSigmoid: one((x, c) =>
    unit(c.tf.add(c.tf.mul(x, numberAttr(c, 'alpha', 0.2)), numberAttr(c, 'beta', 0.5)), c),
  ),
  HardSwish: one((x, c) => c.tf.mul(x, unit(c.tf.add(c.tf.mul(x, 1 / 6), 0.5), c))),
  LeakyRelu: one((x, c) => c.tf.leakyRelu(x, numberAttr(c, 'alpha', 0.01))),
  Mish: one(mish),
  Selu: one((x, c) => {
    const gamma = numberAttr(c, 'gamma', 1.0507009873554805);
    return c.tf.mul(elu(x, c, numberAttr(c, 'alpha', 1.6732632423543772)), gamma);
  }),
  Shrink: one((x, c) => {
    const { tf } = c;
    const [bias, lambd] = [numberAttr(c, 'bias', 0), numberAttr(c, 'lambd', 0.5)];
    const zero = tf.zerosLike(x);
    const above = tf.where(tf.greater(x, lambd), tf.sub(x, bias), zero);
    return tf.where(tf.less(x, -lambd), tf.add(x, bias), above);
  }),
  Sigmoid: one((x, { tf }) => tf.sigmoid(x)),
  Softplus: one((x, { tf }) => tf.softplus(x)),
  Softsign: one((x, { tf }) => tf.div(x, tf.add(tf.abs(x), 1))),
  Swish: one((x, c) => {
    const alpha = numberAttr(c, 'alpha', 1);
    return c.tf.mul(x, c.tf.sigmoid(alpha === 1 ? x : c.tf.mul(x, alpha)));
  }),
  ThresholdedRelu: one((x, c) =>
    c.tf.where(c.tf.greater(x, numberAttr(c, 'alpha', 1)), x, c.tf.zerosLike(x)),
  ),
};
