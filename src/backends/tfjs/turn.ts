import type * as Tf from '@tensorflow/tfjs';

/** Engines move tensors of up to this rank. */
const MOST = 6;

/** A transposition of any rank: where there are more axes than the engines move, those that stay together move as one. */
export function turned(tf: typeof Tf, x: Tf.Tensor, perm: readonly number[]): Tf.Tensor {
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
  const moved = tf.transpose(
    packed,
    runs.map((run) => before.indexOf(run)),
  );
  return tf.reshape(
    moved,
    perm.map((axis) => x.shape[axis]!),
  );
}

/** Whether nothing but axes of one element lies between two axes. */
function between(shape: readonly number[], left: number, right: number): boolean {
  return left < right && shape.slice(left + 1, right).every((d) => d === 1);
}
