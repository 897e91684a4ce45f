import type * as Tf from '@tensorflow/tfjs-core';
import { axisOf, numberAttr } from '../../../graph/kernels/kernel.ts';
import type { Value } from '../value.ts';
import { MOST_AXES } from './fold.ts';
import {
  type Call,
  floats,
  input,
  type Kernel,
  type KernelTable,
  kernel,
  laid,
  made,
  orderOf,
} from './kernel.ts';
import { reshape } from './views.ts';

/** A rule for the last axis of a tensor. */
type Rule = (x: Tf.Tensor, c: Call) => Tf.Tensor;

/** A rule on a tensor of any rank. */
function ruled(c: Call, x: Tf.Tensor, rule: Rule): Tf.Tensor {
  if (x.rank <= MOST_AXES) return rule(x, c);
  return c.tf.reshape(rule(c.tf.reshape(x, [-1, x.shape.at(-1)!]), c), x.shape);
}

/** A value with one axis last, which costs nothing where it lies there, and the order that it then has. */
function withLast(c: Call, x: Value, axis: number): { tensor: Tf.Tensor; order: number[] } {
  const order = [...orderOf(x).filter((other) => other !== axis), axis];
  return { tensor: laid(c, x, order), order };
}

/**
 * Until opset 12 the input counts as a matrix [before axis, from axis on], and the axis defaults to 1; from 13 on a single axis
 * is meant, the last by default.
 */
function along(rule: Rule): Kernel {
  return kernel((c) => {
    const x = input(c, 0);
    const rank = x.shape.length;
    const flat = c.opset < 13;
    if (rank === 0) return [made(c.tf.reshape(rule(c.tf.reshape(laid(c, x, []), [1]), c), []), x.dtype)];
    const axis = axisOf(c, numberAttr(c, 'axis', flat ? 1 : -1), rank, flat);
    const rest = x.shape.slice(axis).reduce((n, d) => n * d, 1);
    if (!flat || (axis < rank && rest === x.shape[axis])) {
      const { tensor, order } = withLast(c, x, axis);
      return [made(ruled(c, tensor, rule), x.dtype, order)];
    }
    const rows = x.shape.slice(0, axis).reduce((n, d) => n * d, 1);
    const matrix = { ...reshape(c, x, [rows, rest]), fixed: false };
    const { tensor, order } = withLast(c, matrix, 1);
    const result = { ...made(rule(tensor, c), x.dtype, order), fixed: false };
    return [reshape(c, result, x.shape)];
  });
}

function logSoftmax(x: Tf.Tensor, { tf }: Call): Tf.Tensor {
  const shifted = tf.sub(x, tf.max(x, -1, true));
  return tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), -1, true)));
}

function hardmax(x: Tf.Tensor, c: Call): Tf.Tensor {
  const { tf } = c;
  const winner = tf.reshape(tf.argMax(x, -1), [...x.shape.slice(0, -1), 1]);
  return floats(c, tf.equal(winner, tf.range(0, x.shape.at(-1)!, 1, 'int32')));
}

export const softmaxes: KernelTable = {
  Softmax: along((x, { tf }) => tf.softmax(x)),
  LogSoftmax: along(logSoftmax),
  Hardmax: along(hardmax),
};
