/** How one axis is resampled (ONNX, Resize). */
export interface Axis {
  readonly from: number;
  readonly to: number;
  /** As given; `from · scale` may lie above `to`, which is whole. */
  readonly scale: number;
  readonly mode: string;
  readonly where: string;
  readonly nearest: string;
  /** The coefficient a of cubic interpolation (Keys 1981). */
  readonly cubic: number;
  readonly antialias: boolean;
  readonly excludeOutside: boolean;
  /** Start and end of the part that is looked at, in [0, 1] of the axis. */
  readonly roi?: readonly [number, number];
}

/** Which input elements an output element is made of, and with which weight; null lies outside. */
export type Taps = readonly (readonly [index: number, weight: number])[] | null;

type Refuse = (what: string) => never;

/** Where an output coordinate lies in the input (ONNX, Resize, coordinate_transformation_mode). */
const COORDINATE: Readonly<Record<string, (x: number, a: Axis) => number>> = {
  half_pixel: (x, { scale }) => (x + 0.5) / scale - 0.5,
  half_pixel_symmetric: (x, { scale, from, to }) =>
    (from / 2) * (1 - to / (scale * from)) + (x + 0.5) / scale - 0.5,
  pytorch_half_pixel: (x, { scale, to }) => (to > 1 ? (x + 0.5) / scale - 0.5 : 0),
  align_corners: (x, { from, to }) => (to > 1 ? (x * (from - 1)) / (to - 1) : 0),
  asymmetric: (x, { scale }) => x / scale,
  tf_crop_and_resize: (x, { from, to, roi = [0, 1] }) => {
    const [start, end] = roi;
    if (to <= 1) return 0.5 * (start + end) * (from - 1);
    return start * (from - 1) + (x * (end - start) * (from - 1)) / (to - 1);
  },
};

const NEAREST: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** Cubic convolution, with a the derivative at ±1. */
function keys(distance: number, a: number): number {
  const d = Math.abs(distance);
  if (d >= 2) return 0;
  return d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

/**
 * Weights of the elements around `x`: a triangle or a cubic, widened by 1/scale where antialiasing shrinks. Beyond the ends
 * the last element repeats, or with `excludeOutside` counts nothing.
 */
function interpolated(x: number, a: Axis): Taps {
  const kernel =
    a.mode === 'linear' ? (d: number) => Math.max(0, 1 - Math.abs(d)) : (d: number) => keys(d, a.cubic);
  const squeeze = a.antialias ? Math.min(a.scale, 1) : 1;
  const reach = (a.mode === 'linear' ? 1 : 2) / squeeze;
  const base = Math.ceil(x) - 1;
  const first = Math.floor(-reach) + 1;
  const taps: [number, number][] = [];
  for (let k = first; k <= 1 - first; k++) {
    const index = base + k;
    if (a.excludeOutside && (index < 0 || index >= a.from)) continue;
    taps.push([Math.max(0, Math.min(a.from - 1, index)), kernel((index - x) * squeeze)]);
  }
  if (squeeze === 1 && !a.excludeOutside) return taps;
  const total = taps.reduce((sum, [, weight]) => sum + weight, 0);
  return taps.map(([index, weight]) => [index, weight / total]);
}

/** The taps of every output element of an axis. `refuse` is called for modes that are not known. */
export function tapsOf(a: Axis, refuse: Refuse): Taps[] {
  const where = COORDINATE[a.where] ?? refuse(`coordinate transformation ${a.where}`);
  const pick = NEAREST[a.nearest] ?? refuse(`nearest_mode ${a.nearest}`);
  if (!['nearest', 'linear', 'cubic'].includes(a.mode)) refuse(`mode ${a.mode}`);
  return Array.from({ length: a.to }, (_, i): Taps => {
    const x = where(i, a);
    if (a.roi && (x < 0 || x > a.from - 1)) return null;
    if (a.mode === 'nearest') return [[Math.max(0, Math.min(a.from - 1, pick(x))), 1]];
    return interpolated(x, a);
  });
}
