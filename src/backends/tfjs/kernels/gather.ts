import type * as Tf from '@tensorflow/tfjs-core';
import { axisOf, numberAttr } from '../../../graph/kernels/kernel.ts';
import { stridesOf } from '../../../graph/kernels/strided.ts';
import { identity, placesOf } from '../order.ts';
import type { Value } from '../value.ts';
import {
  atHost,
  type Call,
  device,
  fail,
  input,
  ints,
  type Kernel,
  type KernelTable,
  laid,
  made,
  nothing,
  orderOf,
  plain,
  same,
  sized,
} from './kernel.ts';
import { picked } from './parts.ts';

/** An index from the front; a negative one counts from the end. */
export function place(c: Call, index: number, size: number): number {
  const at = index < 0 ? index + size : index;
  return at >= 0 && at < size ? at : fail(c, `index ${index} is out of range for a dimension of ${size}`);
}

export const countOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** Indices are checked on the host; where there are none, nothing is picked from however large a table. */
const gather: Kernel = {
  reads: [1],
  host: (inputs) => atHost(inputs) && !inputs[1]?.shape.includes(0),
  run: (c) => {
    const x = input(c, 0);
    const at = input(c, 1);
    const axis = axisOf(c, numberAttr(c, 'axis', 0), x.shape.length);
    const shape = [...x.shape.slice(0, axis), ...at.shape, ...x.shape.slice(axis + 1)];
    if (sized(c, shape).includes(0)) return [nothing(x.dtype, shape)];
    const indices = ints(c, 1)!.map((index) => place(c, index, x.shape[axis]!));
    const order = orderOf(x);
    const where = placesOf(order)[axis]!;
    const found = picked(c, device(c, x), indices, where);
    // The indices' axes stand where the axis stood, in the graph and on the engine.
    const added = at.shape.length - 1;
    const moved = order.flatMap((a) =>
      a === axis ? identity(at.shape.length).map((i) => axis + i) : [a < axis ? a : a + added],
    );
    return [
      made(
        c.tf.reshape(
          found,
          moved.map((a) => shape[a]!),
        ),
        x.dtype,
        moved,
      ),
    ];
  },
};

/** For each index, which element it points at when its coordinate along `axis` is replaced by it. */
export function alongAxis(c: Call, x: Value, indices: Value, axis: number): number[] {
  if (indices.shape.length !== x.shape.length) fail(c, 'indices and data differ in rank');
  if (indices.shape.some((d, i) => i !== axis && d > x.shape[i]!)) fail(c, 'indices reach beyond the data');
  const [own, strides] = [stridesOf(indices.shape), stridesOf(x.shape)];
  return Array.from(indices.host!.data as ArrayLike<number | bigint>, (index, position) => {
    let at = place(c, Number(index), x.shape[axis]!) * strides[axis]!;
    for (let i = 0; i < strides.length; i++) {
      if (i !== axis) at += (Math.floor(position / own[i]!) % indices.shape[i]!) * strides[i]!;
    }
    return at;
  });
}

const gatherElements: Kernel = {
  reads: [1],
  run: (c) => {
    const { tf } = c;
    const [x, indices] = [input(c, 0), input(c, 1)];
    const axis = axisOf(c, numberAttr(c, 'axis', 0), x.shape.length);
    const at = alongAxis(c, x, indices, axis);
    const found = picked(c, tf.reshape(plain(c, x), [-1]), at, 0);
    return [made(tf.reshape(found, indices.shape as number[]), x.dtype)];
  },
};

/** Which slices of x tuples of indices (the last axis) point at, `batch` axes in parallel, and how long a slice is. */
export function tuples(c: Call, x: Value, indices: Value, batch: number): { rows: number[]; length: number } {
  const depth = indices.shape.at(-1) ?? fail(c, 'indices are a scalar');
  if (!(batch >= 0 && batch < indices.shape.length)) fail(c, `batch_dims is ${batch}`);
  if (batch + depth > x.shape.length) {
    fail(c, `tuples of ${depth} indices are too long for rank ${x.shape.length}`);
  }
  const numbers = Array.from(indices.host!.data as ArrayLike<number | bigint>, Number);
  const length = countOf(x.shape.slice(batch + depth));
  const perBatch = countOf(indices.shape.slice(batch, -1));
  const rows = Array.from({ length: countOf(indices.shape.slice(0, -1)) }, (_, tuple) => {
    let row = Math.floor(tuple / perBatch);
    for (let d = 0; d < depth; d++) {
      const size = x.shape[batch + d]!;
      row = row * size + place(c, numbers[tuple * depth + d]!, size);
    }
    return row;
  });
  return { rows, length };
}

const gatherNd: Kernel = {
  reads: [1],
  run: (c) => {
    const { tf } = c;
    const [x, indices] = [input(c, 0), input(c, 1)];
    const batch = numberAttr(c, 'batch_dims', 0);
    const { rows, length } = tuples(c, x, indices, batch);
    const found = picked(c, tf.reshape(plain(c, x), [-1, length]), rows, 0);
    const shape = [...indices.shape.slice(0, -1), ...x.shape.slice(batch + indices.shape.at(-1)!)];
    return [made(tf.reshape(found, shape), x.dtype)];
  },
};

/** Values are [off, on]; an index out of range gives a row of off. */
const oneHot: Kernel = {
  reads: [0, 1, 2],
  host: (inputs) => atHost(inputs, 2),
  run: (c) => {
    const { tf } = c;
    const [indices, values] = [input(c, 0), input(c, 2)];
    const depth = ints(c, 1)![0]!;
    const rank = indices.shape.length + 1;
    const axis = axisOf(c, numberAttr(c, 'axis', -1), rank);
    const at = ints(c, 0)!.map((index) => (index < 0 ? index + depth : index));
    const shape = sized(c, [...indices.shape, depth]);
    if (shape.includes(0)) {
      return [nothing(values.dtype, [...indices.shape.slice(0, axis), depth, ...indices.shape.slice(axis)])];
    }
    const hot = tf.equal(tf.tensor2d(at, [at.length, 1], 'int32'), tf.range(0, depth, 1, 'int32'));
    const [off, on] = tf.split(tf.reshape(device(c, values), [2]), 2) as [Tf.Tensor, Tf.Tensor];
    const filled =
      values.dtype === 'bool'
        ? tf.logicalOr(tf.logicalAnd(hot, on), tf.logicalAnd(tf.logicalNot(hot), off))
        : tf.where(hot, on, off);
    // The new axis lies last.
    const order = [...identity(rank).filter((a) => a !== axis), axis];
    return [made(tf.reshape(filled, shape), values.dtype, order)];
  },
};

/** Keeps one side of the k-th diagonal of each matrix; the rest becomes 0. */
const trilu: Kernel = {
  reads: [1],
  run: (c) => {
    const { tf } = c;
    const x = input(c, 0);
    const k = ints(c, 1)?.[0] ?? 0;
    const upper = numberAttr(c, 'upper', 1) !== 0;
    const [rows, columns] = [x.shape.at(-2) ?? fail(c, 'the input is no matrix'), x.shape.at(-1)!];
    const kept = new Uint8Array(rows * columns);
    for (let i = 0; i < kept.length; i++) {
      const distance = (i % columns) - Math.floor(i / columns);
      kept[i] = Number(upper ? distance >= k : distance <= k);
    }
    const matrices = tf.reshape(plain(c, x), [-1, rows, columns]);
    const mask = tf.tensor(kept, [rows, columns], 'bool');
    const result =
      x.dtype === 'bool' ? tf.logicalAnd(matrices, mask) : tf.where(mask, matrices, tf.scalar(0));
    return [made(tf.reshape(result, x.shape as number[]), x.dtype)];
  },
};

/** The k largest (or smallest) along an axis, in order. */
const topK: Kernel = {
  reads: [1],
  run: (c) => {
    const { tf } = c;
    const x = input(c, 0);
    const rank = x.shape.length;
    const axis = axisOf(c, numberAttr(c, 'axis', -1), rank);
    const k = ints(c, 1)?.[0] ?? numberAttr(c, 'k', 0);
    if (k < 0 || k > x.shape[axis]!) fail(c, `${k} of ${x.shape[axis]} values are asked for`);
    if (k === 0) {
      const shape = x.shape.map((d, i) => (i === axis ? 0 : d));
      return [nothing(x.dtype, shape), nothing('int64', shape)];
    }
    const order = [...orderOf(x).filter((a) => a !== axis), axis];
    const smallest = numberAttr(c, 'largest', 1) === 0;
    const tensor = laid(c, x, order);
    // Of one element there is nothing to choose; webgpu would give its input's own data away.
    if (k === 1 && x.shape[axis] === 1) {
      return [same(c, tensor, x.dtype, order), made(tf.zeros(tensor.shape, 'int32'), 'int64', order)];
    }
    const rows = tf.reshape(tensor, [-1, x.shape[axis]!]);
    const { values, indices } = tf.topk(smallest ? tf.neg(rows) : rows, k, true);
    const shape = [...tensor.shape.slice(0, -1), k];
    const best = tf.reshape(smallest ? tf.neg(values) : values, shape);
    return [made(best, x.dtype, order), made(tf.reshape(indices, shape), 'int64', order)];
  },
};

/** The slices along an axis (or the elements, without one) at which a condition holds. */
const compress: Kernel = {
  reads: [1],
  host: () => false,
  run: (c) => {
    const x = input(c, 0);
    const flat = c.node.attrs.axis === undefined;
    const axis = flat ? 0 : axisOf(c, numberAttr(c, 'axis', 0), x.shape.length);
    const at = ints(c, 1)!.flatMap((holds, i) => (holds ? [i] : []));
    const size = flat ? countOf(x.shape) : x.shape[axis]!;
    for (const i of at) place(c, i, size);
    const order = flat ? [0] : orderOf(x);
    const shape = flat ? [at.length] : x.shape.map((d, i) => (i === axis ? at.length : d));
    if (shape.includes(0)) return [nothing(x.dtype, shape)];
    const tensor = flat ? c.tf.reshape(plain(c, x), [-1]) : device(c, x);
    return [made(picked(c, tensor, at, placesOf(order)[axis]!), x.dtype, order)];
  },
};

/** Reading by index. */
export const indexing: KernelTable = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  OneHot: oneHot,
  Trilu: trilu,
  TopK: topK,
  Compress: compress,
};
