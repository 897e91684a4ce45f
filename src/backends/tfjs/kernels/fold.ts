import type * as Tf from '@tensorflow/tfjs-core';
import type { Call } from './kernel.ts';

/** Engines know up to 4, 5 or 6 axes, by kernel; wasm computes nonsense beyond. What has more is folded. */
export const MOST_AXES = 4;

/** A function of single elements, on a tensor of any rank. */
export function flatly(c: Call, x: Tf.Tensor, f: (x: Tf.Tensor) => Tf.Tensor): Tf.Tensor {
  if (x.rank <= MOST_AXES) return f(x);
  return c.tf.reshape(f(c.tf.reshape(x, [-1])), x.shape);
}

/** A tensor as [before a place, the place, behind it] where it has too many axes, and where the place then is. */
export function folded(c: Call, x: Tf.Tensor, place: number): { tensor: Tf.Tensor; at: number } {
  if (x.rank <= MOST_AXES) return { tensor: x, at: place };
  const before = x.shape.slice(0, place).reduce((n, d) => n * d, 1);
  return { tensor: c.tf.reshape(x, [before, x.shape[place]!, -1]), at: 1 };
}

/** A function along one place, which may change the place's size and nothing else, on a tensor of any rank. */
export function around(
  c: Call,
  x: Tf.Tensor,
  place: number,
  f: (x: Tf.Tensor, place: number) => Tf.Tensor,
): Tf.Tensor {
  const { tensor, at } = folded(c, x, place);
  const result = f(tensor, at);
  if (tensor === x) return result;
  return c.tf.reshape(
    result,
    x.shape.map((d, i) => (i === place ? result.shape[1]! : d)),
  );
}

/** Each axis so many times over, one after the other where there are many. */
export function tiled(c: Call, x: Tf.Tensor, times: readonly number[]): Tf.Tensor {
  if (x.rank <= MOST_AXES) return c.tf.tile(x, times as number[]);
  return times.reduce((result, n, place) => {
    if (n === 1) return result;
    return around(c, result, place, (y, at) =>
      c.tf.tile(
        y,
        y.shape.map((_, i) => (i === at ? n : 1)),
      ),
    );
  }, x);
}
