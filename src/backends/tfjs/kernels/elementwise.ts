import type * as Tf from '@tensorflow/tfjs';
import type { DType } from '../../../core/tensor.ts';
import { numberAttr } from '../../../graph/kernels/kernel.ts';
import { identity, isIdentity, type Order } from '../order.ts';
import { isFloat, type Value } from '../value.ts';
import {
  type Call,
  device,
  input,
  type Kernel,
  type KernelTable,
  kernel,
  laid,
  made,
  orderOf,
} from './kernel.ts';

type Unary = (x: Tf.Tensor, c: Call) => Tf.Tensor;
type Binary = (a: Tf.Tensor, b: Tf.Tensor, c: Call) => Tf.Tensor;

/** One operand: the axes stay where they lie. */
const one = (f: Unary, dtype?: DType): Kernel =>
  kernel((c) => {
    const x = input(c, 0);
    return [made(f(device(c, x), c), dtype ?? x.dtype, orderOf(x))];
  });

/** Two operands that broadcast. */
const two = (f: Binary, dtype?: DType): Kernel =>
  kernel((c) => {
    const { tensors, order } = together(c, [input(c, 0), input(c, 1)]);
    return [made(f(tensors[0]!, tensors[1]!, c), dtype ?? input(c, 0).dtype, order)];
  });

/** Any number of operands that broadcast. */
const many = (f: Binary): Kernel =>
  kernel((c) => {
    const { tensors, order } = together(
      c,
      c.inputs.map((_, i) => input(c, i)),
    );
    const result = tensors.reduce((a, b) => f(a, b, c));
    return [made(tensors.length === 1 ? c.tf.clone(result) : result, input(c, 0).dtype, order)];
  });

/**
 * Operands that broadcast, in one order: that of the largest one whose axes don't lie as the graph has them. Operands of lower
 * rank get leading axes of one element, as broadcasting gives them.
 */
export function together(c: Call, values: readonly Value[]): { tensors: Tf.Tensor[]; order: Order } {
  const rank = Math.max(...values.map((value) => value.shape.length));
  const leader = values
    .filter((value) => value.shape.length === rank && !isIdentity(orderOf(value)))
    .sort((a, b) => size(b) - size(a))[0];
  const order = leader ? orderOf(leader) : identity(rank);
  return { tensors: values.map((value) => widened(c, value, order)), order };
}

const size = (value: Value): number => value.shape.reduce((n, d) => n * d, 1);

/** A value with its axes in the order of a tensor of that or a higher rank. */
function widened(c: Call, value: Value, order: Order): Tf.Tensor {
  const missing = order.length - value.shape.length;
  if (missing === 0) return laid(c, value, order);
  if (size(value) === 1 || isIdentity(order)) return device(c, value);
  // The axes that it has, in the order in which they lie among all.
  const own = order.filter((axis) => axis >= missing).map((axis) => axis - missing);
  const tensor = laid(c, value, own);
  const shape = order.map((axis) => (axis < missing ? 1 : value.shape[axis - missing]!));
  return c.tf.reshape(tensor, shape);
}

export const elementwise: KernelTable = {
  Abs: one((x, { tf }) => tf.abs(x)),
  Ceil: one((x, { tf }) => tf.ceil(x)),
  Cos: one((x, { tf }) => tf.cos(x)),
  Elu: one((x, c) => {
    const alpha = numberAttr(c, 'alpha', 1);
    const { tf } = c;
    return alpha === 1 ? tf.elu(x) : tf.where(tf.greater(x, 0), x, tf.mul(tf.sub(tf.exp(x), 1), alpha));
  }),
  Erf: one((x, { tf }) => tf.erf(x)),
  Exp: one((x, { tf }) => tf.exp(x)),
  Floor: one((x, { tf }) => tf.floor(x)),
  LeakyRelu: one((x, c) => c.tf.leakyRelu(x, numberAttr(c, 'alpha', 0.01))),
  Log: one((x, { tf }) => tf.log(x)),
  Neg: one((x, { tf }) => tf.neg(x)),
  Not: one((x, { tf }) => tf.logicalNot(x)),
  Reciprocal: one((x, { tf }) => tf.reciprocal(x)),
  Relu: one((x, { tf }) => tf.relu(x)),
  Sigmoid: one((x, { tf }) => tf.sigmoid(x)),
  Sin: one((x, { tf }) => tf.sin(x)),
  Sqrt: one((x, { tf }) => tf.sqrt(x)),
  Tanh: one((x, { tf }) => tf.tanh(x)),

  Add: two((a, b, { tf }) => tf.add(a, b)),
  Sub: two((a, b, { tf }) => tf.sub(a, b)),
  Mul: two((a, b, { tf }) => tf.mul(a, b)),
  Div: two((a, b, c) => (isFloat(input(c, 0).dtype) ? c.tf.div(a, b) : truncated(c, a, b))),
  Pow: two((a, b, { tf }) => tf.pow(a, tf.cast(b, a.dtype))),
  Max: many((a, b, { tf }) => tf.maximum(a, b)),
  Min: many((a, b, { tf }) => tf.minimum(a, b)),
  Sum: many((a, b, { tf }) => tf.add(a, b)),
  Equal: two((a, b, { tf }) => tf.equal(a, b), 'bool'),
  Greater: two((a, b, { tf }) => tf.greater(a, b), 'bool'),
  GreaterOrEqual: two((a, b, { tf }) => tf.greaterEqual(a, b), 'bool'),
  Less: two((a, b, { tf }) => tf.less(a, b), 'bool'),
  LessOrEqual: two((a, b, { tf }) => tf.lessEqual(a, b), 'bool'),
  And: two((a, b, { tf }) => tf.logicalAnd(a, b), 'bool'),
  Or: two((a, b, { tf }) => tf.logicalOr(a, b), 'bool'),
  Where: kernel((c) => {
    const { tensors, order } = together(c, [input(c, 0), input(c, 1), input(c, 2)]);
    return [made(c.tf.where(tensors[0]!, tensors[1]!, tensors[2]!), input(c, 1).dtype, order)];
  }),
};

/** Whole numbers divide towards zero; tfjs rounds them down. */
function truncated(c: Call, a: Tf.Tensor, b: Tf.Tensor): Tf.Tensor {
  const { tf } = c;
  const quotient = tf.div(tf.cast(a, 'float32'), tf.cast(b, 'float32'));
  return tf.cast(tf.mul(tf.sign(quotient), tf.floor(tf.abs(quotient))), 'int32');
}
