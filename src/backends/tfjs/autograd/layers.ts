/**
 * Layers in tfjs's own operators, for its own autograd to differentiate, as somebody writes them who knows where its wasm engine
 * (4.22) is slow or lacks a kernel: products whose gradients transpose first, heads one by one, rows added up by index.
 */
import type * as Tf from '@tensorflow/tfjs-core';
import type { Parameters } from './parameters.ts';

/**
 * a · b of matrices. tfjs's own gradient asks the engine for products of transposed operands, which take ten times as long there
 * as transposing and multiplying.
 */
export function product(tf: typeof Tf, a: Tf.Tensor2D, b: Tf.Tensor2D): Tf.Tensor2D {
  const multiply = tf.customGrad((x, y, save) => {
    const [left, right] = [x as Tf.Tensor2D, y as Tf.Tensor2D];
    (save as Tf.GradSaveFunc)([left, right]);
    return {
      value: tf.matMul(left, right),
      gradFunc: (dy: Tf.Tensor, saved: Tf.Tensor[]) => {
        const [l, r] = saved as [Tf.Tensor2D, Tf.Tensor2D];
        return [tf.matMul(dy as Tf.Tensor2D, tf.transpose(r)), tf.matMul(tf.transpose(l), dy as Tf.Tensor2D)];
      },
    };
  });
  return multiply(a, b) as Tf.Tensor2D;
}

/** rows · Wᵀ + b with `<name>.weight` [out, in] and, where there is one, `<name>.bias`. */
export function linear(p: Parameters, name: string): (rows: Tf.Tensor2D) => Tf.Tensor2D {
  const { tf } = p;
  const weight = p.turned(`${name}.weight`) as Tf.Tensor as Tf.Tensor2D;
  const bias = p.has(`${name}.bias`) ? p.plain(`${name}.bias`) : null;
  return (rows) => {
    const y = product(tf, rows, weight);
    return bias ? tf.add(y, bias) : y;
  };
}

export function layerNorm(p: Parameters, name: string, eps: number): (rows: Tf.Tensor2D) => Tf.Tensor2D {
  const { tf } = p;
  const [scale, shift] = [p.plain(`${name}.weight`), p.plain(`${name}.bias`)];
  return (rows) => {
    const centred = tf.sub(rows, tf.mean(rows, 1, true));
    const spread = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), eps));
    return tf.add(tf.mul(tf.mul(centred, spread), scale), shift);
  };
}

export function rmsNorm(p: Parameters, name: string, eps: number): (rows: Tf.Tensor2D) => Tf.Tensor2D {
  const { tf } = p;
  const scale = p.plain(`${name}.weight`);
  return (rows) => {
    const spread = tf.rsqrt(tf.add(tf.mean(tf.square(rows), 1, true), eps));
    return tf.mul(tf.mul(rows, spread), scale);
  };
}

/** ½x (1 + erf(x ÷ √2)). */
export const gelu = (tf: typeof Tf, x: Tf.Tensor2D): Tf.Tensor2D =>
  tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));

export const silu = (tf: typeof Tf, x: Tf.Tensor2D): Tf.Tensor2D => tf.mul(x, tf.sigmoid(x));

export interface Heads {
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  /** Heads of keys and values; each serves heads ÷ kvHeads of the queries. */
  readonly kvHeads: number;
  readonly headWidth: number;
}

/**
 * softmax(q kᵀ ÷ √d + mask) v, head by head: the engine's product of batches is a tenth as fast as that of matrices.
 *
 * @param q rows [batch · length, heads · headWidth]; k and v with kvHeads
 * @param mask [length, length], added to the scores; null where every place sees every other
 */
export function attention(
  tf: typeof Tf,
  [q, k, v]: readonly [Tf.Tensor, Tf.Tensor, Tf.Tensor],
  { batch, length, heads, kvHeads, headWidth }: Heads,
  mask: Tf.Tensor2D | null,
): Tf.Tensor2D {
  const apart = (x: Tf.Tensor, count: number, perm: number[]): Tf.Tensor2D[] => {
    const turned = tf.transpose(tf.reshape(x, [batch, length, count, headWidth]), perm);
    const [rows, columns] = turned.shape.slice(2) as [number, number];
    return tf.unstack(tf.reshape(turned, [batch * count, rows, columns])) as Tf.Tensor2D[];
  };
  const queries = apart(tf.mul(q, 1 / Math.sqrt(headWidth)), heads, [0, 2, 1, 3]);
  const keys = apart(k, kvHeads, [0, 2, 3, 1]);
  const values = apart(v, kvHeads, [0, 2, 1, 3]);
  const mixed = queries.map((query, i) => {
    const shared = Math.floor((i % heads) / (heads / kvHeads)) + Math.floor(i / heads) * kvHeads;
    const scores = product(tf, query, keys[shared]!);
    return product(tf, tf.softmax(mask ? tf.add(scores, mask) : scores), values[shared]!);
  });
  const together = tf.reshape(tf.stack(mixed), [batch, heads, length, headWidth]);
  return tf.reshape(tf.transpose(together, [0, 2, 1, 3]), [batch * length, heads * headWidth]);
}

/** Rows of a table by number, [count, width]. The engine has no UnsortedSegmentSum, which tfjs's own gradient is made of. */
export function lookUp(tf: typeof Tf, table: Tf.Variable, rows: readonly number[]): Tf.Tensor2D {
  // What the forward pass makes is gone by then, unless it is among what is saved.
  const at = (): Tf.Tensor1D => tf.tensor1d([...rows], 'int32');
  const pick = tf.customGrad((x) => ({
    value: tf.gather(x as Tf.Tensor, at()),
    gradFunc: (dy: Tf.Tensor) => tf.scatterND(tf.reshape(at(), [rows.length, 1]), dy, table.shape),
  }));
  return pick(table as Tf.Tensor) as Tf.Tensor2D;
}

/** Mean of −log softmax(logits)[label] over the rows whose label is a class; labels that are negative don't count. */
export function crossEntropy(tf: typeof Tf, logits: Tf.Tensor2D, labels: readonly number[]): Tf.Scalar {
  const counted = labels.filter((label) => label >= 0).length;
  // The wasm engine writes whole numbers here, whatever it is asked for.
  const wanted = tf.oneHot(tf.tensor1d([...labels], 'int32'), logits.shape[1]!);
  const picked = tf.sum(tf.mul(tf.logSoftmax(logits), tf.cast(wanted, 'float32')));
  return tf.mul(picked, -1 / counted);
}
