import type * as Tf from '@tensorflow/tfjs-core';
import { numberAttr, textAttr } from '../../../graph/kernels/kernel.ts';
import { type Call, fail, input, type KernelTable, kernel, type Made, plain, refuse } from './kernel.ts';
import { fromSpatial, spatial } from './spatial.ts';

/** One axis of the image: how many elements it has, and the ends over which places are reflected. */
interface Axis {
  readonly size: number;
  readonly ends: readonly [number, number];
}

/** An element that a place is made of: its index along an axis, its weight, and whether it lies inside. */
interface Tap {
  readonly index: Tf.Tensor;
  readonly weight: Tf.Tensor | null;
  readonly inside: Tf.Tensor | null;
}

/** Folds places back between the ends, as often as it takes. */
function reflected({ tf }: Call, at: Tf.Tensor, [low, high]: readonly [number, number]): Tf.Tensor {
  const span = high - low;
  if (span === 0) return tf.fill(at.shape, low);
  const along = tf.mod(tf.abs(tf.sub(at, low)), 2 * span);
  return tf.add(tf.minimum(along, tf.sub(2 * span, along)), low);
}

/** A place in [-1, 1] as one in elements, moved inside where the padding says so. */
function placeOf(c: Call, at: Tf.Tensor, { size, ends }: Axis, padding: string): Tf.Tensor {
  const { tf } = c;
  const [low, high] = ends;
  const place = tf.add(tf.mul(tf.add(at, 1), (high - low) / 2), low);
  if (padding === 'border') return tf.clipByValue(place, 0, size - 1);
  return padding === 'reflection' ? reflected(c, place, ends) : place;
}

function tapAt(c: Call, at: Tf.Tensor, weight: Tf.Tensor | null, { size, ends }: Axis, padding: string): Tap {
  const { tf } = c;
  const folded = padding === 'reflection' ? reflected(c, at, ends) : at;
  const clipped = tf.clipByValue(folded, 0, size - 1);
  const inside = padding === 'zeros' ? tf.cast(tf.equal(at, clipped), 'float32') : null;
  return { index: tf.cast(clipped, 'int32'), weight, inside };
}

/** Cubic convolution (Keys 1981) with a = −0.75, at a distance from 0 to 2. */
function keys({ tf }: Call, distance: Tf.Tensor, isNear: boolean): Tf.Tensor {
  const a = -0.75;
  const factors = isNear ? [a + 2, -(a + 3), 0, 1] : [a, -5 * a, 8 * a, -4 * a];
  return factors
    .slice(1)
    .reduce<Tf.Tensor>((sum, f) => tf.add(tf.mul(sum, distance), f), tf.fill(distance.shape, factors[0]!));
}

/** The elements along one axis that each place is made of. */
function tapsOf(c: Call, place: Tf.Tensor, axis: Axis, mode: string, padding: string): Tap[] {
  const { tf } = c;
  if (mode === 'nearest') return [tapAt(c, tf.round(place), null, axis, padding)];
  const low = tf.floor(place);
  const rest = tf.sub(place, low);
  if (mode === 'linear') {
    return [tapAt(c, low, tf.sub(1, rest), axis, padding), tapAt(c, tf.add(low, 1), rest, axis, padding)];
  }
  return [-1, 0, 1, 2].map((k) => {
    const distance = k <= 0 ? tf.sub(rest, k) : tf.sub(k, rest);
    return tapAt(c, tf.add(low, k), keys(c, distance, k === 0 || k === 1), axis, padding);
  });
}

const MODES: Readonly<Record<string, string>> = {
  bilinear: 'linear',
  linear: 'linear',
  bicubic: 'cubic',
  cubic: 'cubic',
  nearest: 'nearest',
};

/** An image's pixels at places that another input gives, [batch, height, width, (x, y)] in [-1, 1]. */
function gridSample(c: Call): readonly Made[] {
  const { tf } = c;
  const [x, grid] = [input(c, 0), input(c, 1)];
  if (x.shape.length !== 4 || grid.shape.length !== 4) refuse(c, 'sampling of other than images');
  const name = textAttr(c, 'mode', c.opset < 20 ? 'bilinear' : 'linear');
  const mode = (Object.hasOwn(MODES, name) && MODES[name]) || fail(c, `there is no mode ${name}`);
  const padding = textAttr(c, 'padding_mode', 'zeros');
  const isAligned = numberAttr(c, 'align_corners', 0) !== 0;
  const [n, channels, height, width] = x.shape as [number, number, number, number];
  const [, rows, columns] = grid.shape as [number, number, number];
  const axisOf = (size: number): Axis => ({ size, ends: isAligned ? [0, size - 1] : [-0.5, size - 0.5] });
  const [across, down] = tf.unstack(plain(c, grid), 3) as [Tf.Tensor, Tf.Tensor];
  const along = (at: Tf.Tensor, axis: Axis): Tap[] =>
    // A cubic's place stays outside: its elements are moved inside one by one.
    tapsOf(c, placeOf(c, at, axis, mode === 'cubic' ? 'zeros' : padding), axis, mode, padding);
  const [xs, ys] = [along(across, axisOf(width)), along(down, axisOf(height))];
  const pixels = tf.reshape(spatial(c, x), [n * height * width, channels]);
  // Beside a plain number whole numbers would become floats.
  const whole = (v: number): Tf.Tensor => tf.scalar(v, 'int32');
  const images = tf.reshape(tf.range(0, n, 1, 'int32'), [n, 1, 1]);
  const terms = ys.flatMap((v) =>
    xs.map((u) => {
      const row = tf.add(tf.mul(images, whole(height)), v.index);
      const index = tf.reshape(tf.add(tf.mul(row, whole(width)), u.index), [-1]);
      const factors = [v.weight, u.weight, v.inside, u.inside].filter((t) => t !== null);
      const found = tf.gather(pixels, index);
      if (factors.length === 0) return found;
      const weight = factors.reduce((a, b) => tf.mul(a, b));
      return tf.mul(found, tf.reshape(weight, [-1, 1]));
    }),
  );
  const sum = terms.reduce((a, b) => tf.add(a, b));
  return [fromSpatial(c, tf.reshape(sum, [n, rows, columns, channels]), x)];
}

export const samplings: KernelTable = { GridSample: kernel(gridSample) };
