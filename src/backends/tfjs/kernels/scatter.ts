import type * as Tf from '@tensorflow/tfjs-core';
import { axisOf, numberAttr, textAttr } from '../../../graph/kernels/kernel.ts';
import { alongAxis, tuples } from './gather.ts';
import {
  type Call,
  fail,
  floats,
  input,
  type Kernel,
  type KernelTable,
  made,
  plain,
  refuse,
  same,
} from './kernel.ts';
import { picked } from './parts.ts';

type Merge = (old: Tf.Tensor, next: Tf.Tensor, c: Call) => Tf.Tensor;

/** How an update meets what is there. */
const MERGE: Readonly<Record<string, Merge>> = {
  none: (_, next) => next,
  add: (old, next, { tf }) => tf.add(old, next),
  mul: (old, next, { tf }) => tf.mul(old, next),
  max: (old, next, { tf }) => tf.maximum(old, next),
  min: (old, next, { tf }) => tf.minimum(old, next),
};

/**
 * Rounds of updates none of which meets another: the first of each row, then the second … Replacing, only the last of each row
 * counts.
 */
function rounds(rows: readonly number[], replaced: boolean): number[][] {
  if (replaced) return [[...new Map(rows.map((row, i) => [row, i])).values()]];
  const seen = new Map<number, number>();
  const out: number[][] = [];
  rows.forEach((row, i) => {
    const round = seen.get(row) ?? 0;
    seen.set(row, round + 1);
    out[round] ??= [];
    out[round].push(i);
  });
  return out;
}

/** Writes rows of updates [count, length] into a table [rows, length]. */
function written(c: Call, table: Tf.Tensor, rows: readonly number[], updates: Tf.Tensor): Tf.Tensor {
  const { tf } = c;
  const how = textAttr(c, 'reduction', 'none');
  const merge = MERGE[how] ?? refuse(c, `reduction ${how}`);
  const indices = (at: readonly number[]): Tf.Tensor => tf.tensor2d(at as number[], [at.length, 1], 'int32');
  if (how === 'add') {
    // Updates of the same row are added up where they are scattered.
    return tf.add(table, tf.scatterND(indices(rows), updates, table.shape as [number, number]));
  }
  // The cpu engine writes into the tensor that it is given.
  let result = c.engine.name === 'cpu' ? tf.mul(table, 1) : table;
  for (const round of rounds(rows, how === 'none')) {
    const at = round.map((i) => rows[i]!);
    const next = round.length === rows.length ? updates : picked(c, updates, round, 0);
    const merged = merge(how === 'none' ? next : picked(c, result, at, 0), next, c);
    result = tf.tensorScatterUpdate(result, indices(at), merged);
  }
  return result;
}

/** Bools are written as numbers. */
function scattered(c: Call, rows: readonly number[], length: number) {
  const { tf } = c;
  const [x, updates] = [input(c, 0), input(c, 2)];
  if (rows.length === 0) return same(c, plain(c, x), x.dtype);
  const table = tf.reshape(floats(c, plain(c, x)), [-1, length]);
  const result = written(c, table, rows, tf.reshape(floats(c, plain(c, updates)), [rows.length, length]));
  return made(tf.reshape(x.dtype === 'bool' ? tf.notEqual(result, 0) : result, x.shape as number[]), x.dtype);
}

const scatterElements: Kernel = {
  reads: [1],
  run: (c) => {
    const [x, indices, updates] = [input(c, 0), input(c, 1), input(c, 2)];
    const axis = axisOf(c, numberAttr(c, 'axis', 0), x.shape.length);
    if (updates.shape.join() !== indices.shape.join()) fail(c, 'updates and indices differ in shape');
    return [scattered(c, alongAxis(c, x, indices, axis), 1)];
  },
};

const scatterNd: Kernel = {
  reads: [1],
  run: (c) => {
    const [x, indices, updates] = [input(c, 0), input(c, 1), input(c, 2)];
    const { rows, length } = tuples(c, x, indices, 0);
    const wanted = [...indices.shape.slice(0, -1), ...x.shape.slice(indices.shape.at(-1)!)];
    if (updates.shape.join() !== wanted.join()) fail(c, `updates want shape [${wanted.join(', ')}]`);
    return [scattered(c, rows, length)];
  },
};

/** Writing by index. */
export const scattering: KernelTable = {
  ScatterElements: scatterElements,
  Scatter: scatterElements,
  ScatterND: scatterNd,
};
