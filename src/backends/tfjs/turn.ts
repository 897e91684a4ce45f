import type * as Tf from '@tensorflow/tfjs-core';

/** Engines move tensors of up to this rank. */
const MOST = 6;

/** A transposition of any type and rank. On webgpu tfjs's own, of whole numbers and bools, is a shader that doesn't compile. */
export function turned(tf: typeof Tf, x: Tf.Tensor, perm: readonly number[]): Tf.Tensor {
  if (x.dtype === 'float32' || tf.getBackend() !== 'webgpu') return moved(tf, x, perm);
  const flat = tf.mul(tf.reshape(tf.cast(x, 'float32'), [-1]), 1);
  const turned = moved(tf, tf.reshape(flat, x.shape), perm);
  const back = tf.reshape(turned, [-1]);
  return tf.reshape(x.dtype === 'bool' ? tf.notEqual(back, 0) : tf.cast(back, 'int32'), turned.shape);
}

/** A transposition of any rank: where there are more axes than the engines move, those that stay together move as one. */
function moved(tf: typeof Tf, x: Tf.Tensor, perm: readonly number[]): Tf.Tensor {
  if (perm.length <= MOST) return tf.transpose(x, perm as number[]);
  // Axes of one element lie anywhere, so they are left out.
  const real = perm.filter((axis) => x.shape[axis] !== 1);
  const runs: number[][] = [];
  for (const axis of real) {
    const run = runs.at(-1);
    if (run && between(x.shape, run.at(-1)!, axis)) run.push(axis);
    else runs.push([axis]);
  }
  const before = [...runs].sort((a, b) => a[0]! - b[0]!);
  const packed = tf.reshape(
    x,
    before.map((run) => run.reduce((n, axis) => n * x.shape[axis]!, 1)),
  );
  const flat = tf.transpose(
    packed,
    runs.map((run) => before.indexOf(run)),
  );
  return tf.reshape(
    flat,
    perm.map((axis) => x.shape[axis]!),
  );
}

/** Whether nothing but axes of one element lies between two axes. */
function between(shape: readonly number[], left: number, right: number): boolean {
  return left < right && shape.slice(left + 1, right).every((d) => d === 1);
}
