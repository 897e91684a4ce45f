import type * as Tf from '@tensorflow/tfjs-core';
import { numberAttr } from '../../../graph/kernels/kernel.ts';
import { identity } from '../order.ts';
import type { Value } from '../value.ts';
import {
  type Call,
  cutOut,
  input,
  type KernelTable,
  kernel,
  laid,
  type Made,
  made,
  plain,
} from './kernel.ts';
import { batched, WORTH_A_CALL } from './product.ts';

/** Heads beside each other in every row: where a projection leaves them, and where the next one wants them. */
const ROWS = [0, 2, 1, 3];

/**
 * softmax(scale · Q Kᵀ + mask) V with Q [batch, heads, M, width], K and V [batch, heads, N, …], of which several heads of Q may
 * share one, and a mask that broadcasts to [batch, heads, M, N] (made by transform/fuse-attention.ts; any rank from 3 on). Vaswani
 * et al., "Attention is all you need" (2017).
 */
function attention(c: Call): Made[] {
  const [q, k, v] = [input(c, 0), input(c, 1), input(c, 2)];
  const scale = numberAttr(c, 'scale', 1);
  const [m, width, n] = [q.shape.at(-2)!, q.shape.at(-1)!, k.shape.at(-2)!];
  const isPlain = q.shape.length === 4 && k.shape[0] === q.shape[0] && v.shape[0] === q.shape[0];
  const large = isPlain && m * width * n >= WORTH_A_CALL;
  return c.engine.name === 'wasm' && large ? byHeads(c, q, k, v, scale) : atOnce(c, q, k, v, scale);
}

function atOnce(c: Call, q: Value, k: Value, v: Value, scale: number): Made[] {
  const { tf } = c;
  const rank = q.shape.length;
  const [heads, shared] = [q.shape[rank - 3]!, k.shape[rank - 3]!];
  const group = heads === shared || heads === 1 || shared === 1 ? 0 : heads / shared;
  // Heads that share keys are a batch of their own within those.
  const apart = (x: Tf.Tensor): Tf.Tensor => {
    if (group === 0) return x;
    const own = x.shape[x.rank - 3] ?? 1;
    const split = own === heads ? [shared, group] : [own, 1];
    return tf.reshape(x, [...x.shape.slice(0, -3), ...split, ...x.shape.slice(-2)]);
  };
  const turned = [...identity(rank - 2), rank - 1, rank - 2];
  const query = scale === 1 ? plain(c, q) : tf.mul(plain(c, q), scale);
  let scores = batched(c, apart(query), apart(laid(c, k, turned)));
  const mask = c.inputs[3];
  if (mask) scores = tf.add(scores, mask.shape.length < 3 ? plain(c, mask) : apart(plain(c, mask)));
  const mixed = batched(c, tf.softmax(scores), apart(plain(c, v)));
  const lead = q.shape.slice(0, -2).map((d, i) => (d === 1 ? k.shape[i]! : d));
  return [made(tf.reshape(mixed, [...lead, q.shape.at(-2)!, v.shape.at(-1)!]), q.dtype)];
}

/**
 * Head by head: the wasm engine multiplies fast only matrices without a batch, and a head is a cut of the rows, so that neither
 * the heads nor the result are transposed.
 */
function byHeads(c: Call, q: Value, k: Value, v: Value, scale: number): Made[] {
  const { tf } = c;
  const [batch, own, m] = q.shape as [number, number, number, number];
  const [shared, n] = [k.shape[1]!, k.shape[2]!];
  const heads = Math.max(own, shared);
  const query = rows(c, q, scale);
  const key = rows(c, k, 1);
  const value = rows(c, v, 1);
  const mask = c.inputs[3] && plain(c, c.inputs[3]);
  /** Which of fewer heads a head sees. */
  const of = (h: number, fewer: number): number => Math.floor((h * fewer) / heads);
  const images: Tf.Tensor[] = [];
  for (let b = 0; b < batch; b++) {
    // Turned at once, the keys of a head are rows that lie together.
    const keys = tf.transpose(image(c, key, b, n));
    const mixed: Tf.Tensor[] = [];
    for (let h = 0; h < heads; h++) {
      let scores: Tf.Tensor = tf.matMul(
        cut(c, query, b, m, of(h, own), own),
        headOf(c, keys, of(h, shared), shared),
      );
      if (mask) scores = tf.add(scores, maskOf(c, mask, b, h));
      mixed.push(tf.matMul(tf.softmax(scores), cut(c, value, b, n, of(h, shared), shared)));
    }
    images.push(mixed.length === 1 ? mixed[0]! : tf.concat(mixed, 1));
  }
  const all = images.length === 1 ? images[0]! : tf.concat(images, 0);
  return [made(tf.reshape(all, [batch, m, heads, v.shape[3]!]), q.dtype, ROWS)];
}

/** The rows of one image. */
function image(c: Call, x: Tf.Tensor2D, b: number, length: number): Tf.Tensor2D {
  return x.shape[0] === length ? x : cutOut(c, x, [b * length, 0], [length, x.shape[1]]);
}

/** One head of keys [heads · width, N]. */
function headOf(c: Call, keys: Tf.Tensor2D, h: number, heads: number): Tf.Tensor2D {
  const width = keys.shape[0] / heads;
  return cutOut(c, keys, [h * width, 0], [width, keys.shape[1]]);
}

/** [batch · sequence, heads · width]. */
function rows(c: Call, x: Value, scale: number): Tf.Tensor2D {
  const [batch, heads, length, width] = x.shape as [number, number, number, number];
  const there = c.tf.reshape(laid(c, x, ROWS), [batch * length, heads * width]) as Tf.Tensor2D;
  return scale === 1 ? there : c.tf.mul(there, scale);
}

/** The rows of one image and the columns of one head. */
function cut(c: Call, x: Tf.Tensor2D, b: number, length: number, h: number, heads: number): Tf.Tensor2D {
  const width = x.shape[1] / heads;
  return cutOut(c, x, [b * length, h * width], [length, width]);
}

/** What is added to the scores of one head, of rank 2 or less. */
function maskOf(c: Call, mask: Tf.Tensor, b: number, h: number): Tf.Tensor {
  if (mask.rank <= 2) return mask;
  const [m, n] = mask.shape.slice(-2) as [number, number];
  const outer = [1, 1, ...mask.shape.slice(0, -2)].slice(-2) as [number, number];
  const whole = c.tf.reshape(mask, [...outer, m, n]);
  const place = [outer[0] === 1 ? 0 : b, outer[1] === 1 ? 0 : h, 0, 0];
  return c.tf.reshape(cutOut(c, whole, place, [1, 1, m, n]), [m, n]);
}

export const attentions: KernelTable = { Attention: kernel(attention) };
