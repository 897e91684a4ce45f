/** Numbers of a filter that are moved before the next filters': their places in the result lie on few enough pages. */
const RUN = 256;

/**
 * Filters [filters, channels, taps] in the order in which tfjs takes them, [taps, channels, filters]; with one tap, a matrix
 * transposed. In tiles of sixteen filters, eight at once: a line of the cache that is read serves again, and lines are written
 * whole (several times as fast as tfjs's own transposition on wasm).
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
  const wide = filters - (filters % 8);
  const run = Math.max(1, Math.floor(RUN / taps));
  for (let tile = 0; tile < wide; tile += 16) {
    const end = Math.min(tile + 16, wide);
    for (let channel = 0; channel < channels; channel += run) {
      const last = Math.min(channel + run, channels);
      for (let f = tile; f < end; f += 8) eight(from, filters, channels, taps, into, f, channel, last);
    }
  }
  for (let f = wide; f < filters; f++) {
    for (let channel = 0, at = f * channels * taps; channel < channels; channel++) {
      for (let tap = 0; tap < taps; tap++, at++) into[(tap * channels + channel) * filters + f] = from[at]!;
    }
  }
}

/** Channels `first` to `last` of the filters from `f` on. */
function eight(
  from: Float32Array,
  filters: number,
  channels: number,
  taps: number,
  into: Float32Array,
  f: number,
  first: number,
  last: number,
): void {
  const each = channels * taps;
  const a = f * each;
  const b = a + each;
  const c = b + each;
  const d = c + each;
  const e = d + each;
  const g = e + each;
  const h = g + each;
  const i = h + each;
  for (let tap = 0; tap < taps; tap++) {
    let at = first * taps + tap;
    let to = (tap * channels + first) * filters + f;
    for (let channel = first; channel < last; channel++, at += taps, to += filters) {
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
