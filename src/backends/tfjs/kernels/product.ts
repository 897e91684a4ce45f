import type * as Tf from '@tensorflow/tfjs-core';
import { identity, type Order } from '../order.ts';
import type { Value } from '../value.ts';
import { type Activation, LINEAR } from './activation.ts';
import { tiled } from './fold.ts';
import { type Call, call, cutOut, laid, seenAs } from './kernel.ts';

export interface Epilogue {
  /** [N], on the engine. */
  readonly bias?: Tf.Tensor;
  readonly activation?: Activation;
}

/**
 * The matrices of a value, [..., rows, columns], or their transposes. A constant is transposed once; wherever the axes lie as
 * they are wanted, nothing moves.
 */
export function matrices(c: Call, value: Value, transpose: boolean): Tf.Tensor {
  const rank = value.shape.length;
  const order: Order = transpose ? [...identity(rank - 2), rank - 1, rank - 2] : identity(rank);
  return laid(c, value, order);
}

/** [M, K] · [K, N], with what follows in the same kernel. @param shape of the result, M rows and N columns in all */
export function multiplied(
  { tf, engine }: Call,
  a: Tf.Tensor,
  b: Tf.Tensor,
  shape: number[],
  { bias, activation: { name, alpha } = LINEAR }: Epilogue = {},
): Tf.Tensor {
  const [k, n] = b.shape.slice(-2) as [number, number];
  if (engine.name === 'tensorflow') {
    // Its kernel is made of tfjs's functions, which want whole tensors.
    const [rows, columns] = [tf.reshape(a, [-1, k]), tf.reshape(b, [k, n])];
    const options = {
      a: rows,
      b: columns,
      activation: name,
      leakyreluAlpha: alpha ?? 0,
      ...(bias ? { bias } : {}),
    };
    return tf.reshape(tf.fused.matMul(options), shape);
  }
  const inputs = { a: seenAs(a, [1, a.size / k, k]), b: seenAs(b, [1, k, n]), ...(bias ? { bias } : {}) };
  const attrs = { transposeA: false, transposeB: false, activation: name, leakyreluAlpha: alpha ?? 0 };
  return call(tf, '_FusedMatMul', inputs, attrs, shape);
}

/** Multiply–accumulates from which on a product by itself beats its share of a batch on wasm (measured: 13 against 1.4 GFLOP/s). */
export const WORTH_A_CALL = 1 << 17;

/**
 * [..., M, K] · [..., K, N] of batches that broadcast. The wasm engine multiplies fast only matrices without a batch: there
 * large ones are multiplied one by one.
 */
export function batched(c: Call, a: Tf.Tensor, b: Tf.Tensor): Tf.Tensor {
  const { tf, engine } = c;
  const [m, k] = a.shape.slice(-2) as [number, number];
  const n = b.shape.at(-1)!;
  if (engine.name !== 'wasm' || m * k * n < WORTH_A_CALL) return native(c, a, b);
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const count = batch.reduce((total, d) => total * d, 1);
  const pieces: Tf.Tensor[] = [];
  const left = tf.reshape(a, [-1, m, k]);
  const right = tf.reshape(b, [-1, k, n]);
  const places = { a: strides(a.shape.slice(0, -2), batch), b: strides(b.shape.slice(0, -2), batch) };
  for (let i = 0; i < count; i++) {
    const x = tf.reshape(cutOut(c, left, [at(places.a, batch, i), 0, 0], [1, m, k]), [m, k]);
    const y = tf.reshape(cutOut(c, right, [at(places.b, batch, i), 0, 0], [1, k, n]), [k, n]);
    pieces.push(tf.matMul(x, y));
  }
  const joined = pieces.length === 1 ? pieces[0]! : tf.concat(pieces, 0);
  return tf.reshape(joined, [...batch, m, n]);
}

/** tfjs's own product of batches; ranks above 4 confuse some engines, so equal batches become one axis. */
function native(c: Call, a: Tf.Tensor, b: Tf.Tensor): Tf.Tensor {
  const { tf } = c;
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const flat = (x: Tf.Tensor): Tf.Tensor => {
    const own = x.shape.slice(0, -2);
    const matrix = x.shape.slice(-2);
    const full = own.every((d) => d === 1) ? 1 : batch.reduce((total, d) => total * d, 1);
    const same = full === 1 || (own.length === batch.length && own.every((d, i) => d === batch[i]));
    const wide = batch.map((_, i) => own[i - batch.length + own.length] ?? 1);
    const times = [...batch.map((d, i) => d / wide[i]!), 1, 1];
    const whole = same ? x : tiled(c, tf.reshape(x, [...wide, ...matrix]), times);
    return tf.reshape(whole, [full, ...matrix]);
  };
  const product = tf.matMul(flat(a), flat(b));
  return tf.reshape(product, [...batch, a.shape.at(-2)!, b.shape.at(-1)!]);
}

/** The shape that two batches broadcast to. */
function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    return x === 1 ? y : x;
  });
}

/** How far each axis of the broadcast batch moves in a batch of its own; 0 where that has one element. */
function strides(own: readonly number[], batch: readonly number[]): number[] {
  const result = new Array<number>(batch.length).fill(0);
  for (let i = batch.length - 1, step = 1; i >= 0; i--) {
    const d = own[i - batch.length + own.length] ?? 1;
    if (d > 1) result[i] = step;
    step *= d;
  }
  return result;
}

/** Place of the `index`-th matrix of the broadcast batch. */
function at(steps: readonly number[], batch: readonly number[], index: number): number {
  let place = 0;
  for (let i = batch.length - 1, rest = index; i >= 0; i--) {
    place += (rest % batch[i]!) * steps[i]!;
    rest = Math.floor(rest / batch[i]!);
  }
  return place;
}
