import { random, seedOf } from '../../src/core/random.ts';
import { float32, type Tensors, toNumbers } from '../../src/core/tensor.ts';

/** The orders of three channels. */
const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const;

/**
 * Images in other colours, mirrored and turned: each of a batch with its channels in one of six orders, as its own negative or not,
 * and in one of a square's eight symmetries, drawn anew for every step. Whoever learns from these cannot take a colour for
 * evidence of a shape, as the pairs that training shows invite to.
 *
 * @param feeds with `pixel_values` [batch, 3, edge, edge], normalised to −1 … 1, so that a negative is the number's own
 * @param step with `seed` all that it depends on
 */
export function recoloured(feeds: Tensors, step: number, seed: number): Tensors {
  const images = feeds.pixel_values!;
  const [batch, channels, edge, width] = images.shape as [number, number, number, number];
  if (channels !== 3 || edge !== width)
    throw new RangeError(`no square images of three channels: ${images.shape}`);
  const from = toNumbers(images);
  const to = new Float32Array(from.length);
  const draw = random(seedOf(`augment ${step}`, seed));
  const plane = edge * edge;
  for (let b = 0; b < batch; b++) {
    const order = ORDERS[draw.below(ORDERS.length)]!;
    const sign = draw.below(2) === 0 ? 1 : -1;
    const [turned, down, across] = [draw.below(2), draw.below(2), draw.below(2)];
    order.forEach((channel, c) => {
      const source = (3 * b + channel) * plane;
      const target = (3 * b + c) * plane;
      for (let y = 0; y < edge; y++) {
        for (let x = 0; x < edge; x++) {
          const [row, column] = turned ? [x, y] : [y, x];
          const at = (down ? edge - 1 - row : row) * edge + (across ? edge - 1 - column : column);
          to[target + y * edge + x] = sign * from[source + at]!;
        }
      }
    });
  }
  return { ...feeds, pixel_values: float32(images.shape, to) };
}
