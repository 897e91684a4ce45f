import { elementCount } from '../../../core/tensor.ts';
import { axisOf, intsAttr, numberAttr } from '../../../graph/kernels/kernel.ts';
import { reshaped, transposed } from '../order.ts';
import type { Value } from '../value.ts';
import {
  type Call,
  device,
  fail,
  input,
  ints,
  type Kernel,
  type KernelTable,
  type Made,
  made,
  orderOf,
  plain,
  type Run,
  same,
  sized,
} from './kernel.ts';

/** The same elements under another shape; moved only where the axes that it joins don't lie together. */
export function reshape(c: Call, x: Value, shape: readonly number[]): Made {
  if (elementCount(sized(c, shape)) !== elementCount(x.shape)) {
    fail(c, `[${x.shape.join(', ')}] cannot become [${shape.join(', ')}]`);
  }
  const where = reshaped(x.shape, orderOf(x), shape);
  if (!where) return made(c.tf.reshape(plain(c, x), shape as number[]), x.dtype);
  return made(c.tf.reshape(device(c, x), where.shape), x.dtype, where.order);
}

/** Whatever the numbers are, they stay where they lie. */
const view = (reads: readonly number[], run: Run): Kernel => ({ run, reads, host: () => false });

export const views: KernelTable = {
  Identity: view([], (c) => [same(c, device(c, input(c, 0)), input(c, 0).dtype, orderOf(input(c, 0)))]),
  Transpose: view([], (c) => {
    const x = input(c, 0);
    const perm = intsAttr(c, 'perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i);
    if (perm.length !== x.shape.length || x.shape.some((_, axis) => !perm.includes(axis))) {
      fail(c, `perm [${perm.join(', ')}] does not fit rank ${x.shape.length}`);
    }
    return [same(c, device(c, x), x.dtype, transposed(orderOf(x), perm))];
  }),
  Reshape: view([1], (c) => {
    const x = input(c, 0);
    const asked = ints(c, 1) ?? intsAttr(c, 'shape') ?? fail(c, 'the shape is missing');
    const zeros = numberAttr(c, 'allowzero', 0) === 1;
    const shape = asked.map((d, i) => (d === 0 && !zeros ? x.shape[i]! : d));
    const total = x.shape.reduce((n, d) => n * d, 1);
    const known = shape.reduce((n, d) => (d === -1 ? n : n * d), 1);
    return [
      reshape(
        c,
        x,
        shape.map((d) => (d === -1 ? (known === 0 ? 0 : total / known) : d)),
      ),
    ];
  }),
  Flatten: view([], (c) => {
    const x = input(c, 0);
    const axis = axisOf(c, numberAttr(c, 'axis', 1), x.shape.length, true);
    const product = (from: number, to: number) => x.shape.slice(from, to).reduce((n, d) => n * d, 1);
    return [reshape(c, x, [product(0, axis), product(axis, x.shape.length)])];
  }),
  Squeeze: view([1], (c) => {
    const x = input(c, 0);
    const rank = x.shape.length;
    const axes = (ints(c, 1) ?? intsAttr(c, 'axes'))?.map((axis) => axisOf(c, axis, rank));
    return [
      reshape(
        c,
        x,
        x.shape.filter((d, i) => (axes ? !axes.includes(i) : d !== 1)),
      ),
    ];
  }),
  Unsqueeze: view([1], (c) => {
    const x = input(c, 0);
    const given = ints(c, 1) ?? intsAttr(c, 'axes') ?? fail(c, 'the axes are missing');
    const rank = x.shape.length + given.length;
    const axes = given.map((axis) => axisOf(c, axis, rank));
    const shape: number[] = [];
    for (let i = 0, from = 0; i < rank; i++) shape.push(axes.includes(i) ? 1 : x.shape[from++]!);
    return [reshape(c, x, shape)];
  }),
};
