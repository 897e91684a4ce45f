import type * as Tf from '@tensorflow/tfjs-core';
import type { DType } from '../../../core/tensor.ts';
import { identity, isIdentity, type Order, sameOrder } from '../order.ts';
import type { Value } from '../value.ts';
import { flatly, MOST_AXES, tiled } from './fold.ts';
import {
  type Call,
  device,
  input,
  type Kernel,
  kernel,
  laid,
  type Made,
  made,
  orderOf,
  plain,
} from './kernel.ts';

type Unary = (x: Tf.Tensor, c: Call) => Tf.Tensor;
type Binary = (a: Tf.Tensor, b: Tf.Tensor, c: Call) => Tf.Tensor;

/** One operand: the axes stay where they lie. */
export const one = (f: Unary, dtype?: DType): Kernel =>
  kernel((c) => {
    const x = input(c, 0);
    const result = flatly(c, device(c, x), (tensor) => f(tensor, c));
    return [made(result, dtype ?? x.dtype, orderOf(x))];
  });

/** Two operands that broadcast. */
export const two = (f: Binary, dtype?: DType): Kernel =>
  kernel((c) => [
    combined(c, [input(c, 0), input(c, 1)], dtype ?? input(c, 0).dtype, ([a, b]) => f(a!, b!, c)),
  ]);

/** Any number of operands that broadcast, one after the other. */
export const many = (f: Binary, finish: Unary = (x, { tf }) => tf.clone(x)): Kernel =>
  kernel((c) => {
    const values = c.inputs.map((_, i) => input(c, i));
    return [
      combined(c, values, input(c, 0).dtype, (tensors) =>
        finish(
          tensors.reduce((a, b) => f(a, b, c)),
          c,
        ),
      ),
    ];
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
export function widened(c: Call, value: Value, order: Order): Tf.Tensor {
  const missing = order.length - value.shape.length;
  if (missing === 0) return laid(c, value, order);
  if (size(value) === 1) return device(c, value);
  if (isIdentity(order)) return plain(c, value);
  // The axes that it has, in the order in which they lie among all.
  const own = order.filter((axis) => axis >= missing).map((axis) => axis - missing);
  const tensor = laid(c, value, own);
  const shape = order.map((axis) => (axis < missing ? 1 : value.shape[axis - missing]!));
  return c.tf.reshape(tensor, shape);
}

/** A function of operands that broadcast; axes are joined where there are more than the engines know. */
export function combined(
  c: Call,
  values: readonly Value[],
  dtype: DType,
  f: (tensors: Tf.Tensor[]) => Tf.Tensor,
): Made {
  const first = values[0]!;
  if (values.every((value) => alreadyAlike(first, value)) && first.shape.length <= MOST_AXES) {
    const tensors = values.map((value) => device(c, value));
    return made(f(tensors), dtype, first.order);
  }
  const { tensors, order } = together(c, values);
  if (order.length <= MOST_AXES) return made(f(tensors), dtype, order);
  const shapes = tensors.map((t) => [...new Array<number>(order.length - t.rank).fill(1), ...t.shape]);
  const shape = order.map((_, place) => shapes.reduce((d, s) => (s[place] === 1 ? d : s[place]!), 1));
  const groups = alike(shapes, shape);
  const joined = tensors.map((t, k) =>
    c.tf.reshape(
      t,
      groups.map((group) => group.reduce((n, place) => n * shapes[k]![place]!, 1)),
    ),
  );
  return made(
    c.tf.reshape(groups.length > MOST_AXES ? f(flattened(c, joined)) : f(joined), shape),
    dtype,
    order,
  );
}

/** Operands of one rank that broadcast, each stretched to all elements, in one row. */
function flattened(c: Call, tensors: readonly Tf.Tensor[]): Tf.Tensor[] {
  const shape = tensors[0]!.shape.map((_, place) => Math.max(...tensors.map((t) => t.shape[place]!)));
  return tensors.map((t) => {
    const times = shape.map((d, place) => d / t.shape[place]!);
    return c.tf.reshape(tiled(c, t, times), [-1]);
  });
}

/** Whether two values have one shape and lie in one order, as the two ends of a residual connection do. */
export const alreadyAlike = (a: Value, b: Value): boolean =>
  a === b ||
  ((a.order === b.order || sameOrder(orderOf(a), orderOf(b))) &&
    a.shape.length === b.shape.length &&
    a.shape.every((d, axis) => d === b.shape[axis]));

/** Runs of axes which each operand either has all or stretches all. */
function alike(shapes: readonly (readonly number[])[], shape: readonly number[]): number[][] {
  const groups: number[][] = [];
  const real = shape.map((_, place) => place).filter((place) => shape[place] !== 1);
  for (const place of real) {
    const group = groups.at(-1);
    const last = group?.at(-1);
    const same = last !== undefined && shapes.every((s) => (s[last] === 1) === (s[place] === 1));
    if (same) group!.push(place);
    else groups.push([place]);
  }
  return groups;
}
