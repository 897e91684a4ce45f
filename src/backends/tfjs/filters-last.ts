/**
 * Filters [filters, channels, taps] in the order in which tfjs takes them, [taps, channels, filters]; with one tap, a matrix
 * transposed. Eight filters at once: a line of the cache that is read serves again, and what is written lies together (about ten
 * times as fast as tfjs's own transposition on wasm).
 *
 * @param into as many numbers as `from`, another memory
 */
export function filtersLast(
  from: Float32Array,
  filters: number,
  channels: number,
  taps: number,
  into: Float32Array,
): void {
  const each = channels * taps;
  const rest = filters % 8;
  for (let f = 0; f < filters - rest; f += 8) {
    const a = f * each;
    const [b, c, d, e, g, h, i] = [1, 2, 3, 4, 5, 6, 7].map((n) => a + n * each) as Seven;
    for (let channel = 0, at = 0; channel < channels; channel++) {
      for (let tap = 0; tap < taps; tap++, at++) {
        const to = (tap * channels + channel) * filters + f;
        into[to] = from[a + at]!;
        into[to + 1] = from[b + at]!;
        into[to + 2] = from[c + at]!;
        into[to + 3] = from[d + at]!;
        into[to + 4] = from[e + at]!;
        into[to + 5] = from[g + at]!;
        into[to + 6] = from[h + at]!;
        into[to + 7] = from[i + at]!;
      }
    }
  }
  for (let f = filters - rest; f < filters; f++) {
    for (let channel = 0, at = f * each; channel < channels; channel++) {
      for (let tap = 0; tap < taps; tap++, at++) into[(tap * channels + channel) * filters + f] = from[at]!;
    }
  }
}

type Seven = [number, number, number, number, number, number, number];
