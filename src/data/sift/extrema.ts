import { type Octave, type Plane, SCALES, SIGMA } from './scale-space.ts';

/*
 * Lowe (2004), section 4: extrema over place and scale, moved to where a parabola through their neighbours has its peak; those
 * of low contrast and those on edges are dropped.
 */

/** An extremum in pixels of its octave. */
export interface Extremum {
  /** Whole pixel and scale, whose image the orientation is taken from. */
  readonly column: number;
  readonly row: number;
  readonly scale: number;
  /** Refined place. */
  readonly x: number;
  readonly y: number;
  /** Blur at the refined scale. */
  readonly sigma: number;
  /** |difference of Gaussians| at the peak, for images of 0…1. */
  readonly contrast: number;
}

/** Of 0…1; Lowe's 0.03 is per scale, this is over all scales of an octave (OpenCV's contrastThreshold). */
const CONTRAST = 0.04;
/** Largest ratio of principal curvatures (section 4.1). */
const EDGE = 10;
/** Nothing is looked for so near to the border. */
const BORDER = 5;
const MAX_STEPS = 5;

/** The extrema of an octave, scale by scale, row by row. */
export function extremaOf({ differences }: Octave): Extremum[] {
  const found: Extremum[] = [];
  const least = Math.floor(((0.5 * CONTRAST) / SCALES) * 255);
  for (let scale = 1; scale <= SCALES; scale++) {
    const { width, height, data } = differences[scale]!;
    for (let y = BORDER; y < height - BORDER; y++) {
      for (let x = BORDER; x < width - BORDER; x++) {
        if (Math.abs(data[y * width + x]!) <= least || !isExtremum(differences, scale, y * width + x))
          continue;
        const refined = refine(differences, x, y, scale);
        if (refined) found.push(refined);
      }
    }
  }
  return found;
}

/** No neighbour of the 26 lies beyond the value. */
function isExtremum(differences: readonly Plane[], scale: number, at: number): boolean {
  const { width, data } = differences[scale]!;
  const value = data[at]!;
  const sign = Math.sign(value);
  for (let s = scale - 1; s <= scale + 1; s++) {
    const plane = differences[s]!.data;
    for (let row = at - width; row <= at + width; row += width) {
      for (let i = row - 1; i <= row + 1; i++) if (sign * plane[i]! > sign * value) return false;
    }
  }
  return true;
}

/** First and second derivatives about a pixel, for images of 0…1. */
function derivatives(differences: readonly Plane[], x: number, y: number, scale: number) {
  const { width } = differences[scale]!;
  const at = y * width + x;
  const value = (dx: number, dy: number, ds: number) =>
    differences[scale + ds]!.data[at + dy * width + dx]! / 255;
  const here = value(0, 0, 0);
  const cross = (a: readonly [number, number, number], b: readonly [number, number, number]) => {
    const at2 = (i: number, j: number) =>
      value(i * a[0] + j * b[0], i * a[1] + j * b[1], i * a[2] + j * b[2]);
    return (at2(1, 1) - at2(-1, 1) - at2(1, -1) + at2(-1, -1)) / 4;
  };
  return {
    here,
    gradient: [
      (value(1, 0, 0) - value(-1, 0, 0)) / 2,
      (value(0, 1, 0) - value(0, -1, 0)) / 2,
      (value(0, 0, 1) - value(0, 0, -1)) / 2,
    ] as const,
    xx: value(1, 0, 0) + value(-1, 0, 0) - 2 * here,
    yy: value(0, 1, 0) + value(0, -1, 0) - 2 * here,
    ss: value(0, 0, 1) + value(0, 0, -1) - 2 * here,
    xy: cross([1, 0, 0], [0, 1, 0]),
    xs: cross([1, 0, 0], [0, 0, 1]),
    ys: cross([0, 1, 0], [0, 0, 1]),
  };
}

type Derivatives = ReturnType<typeof derivatives>;

/** −H⁻¹ ∇ by Cramer's rule: where the parabola peaks; NaN or infinite where it has no peak. */
function peakOf({ gradient, xx, yy, ss, xy, xs, ys }: Derivatives): [number, number, number] {
  const [a, b, c] = gradient;
  const determinant = xx * (yy * ss - ys * ys) - xy * (xy * ss - ys * xs) + xs * (xy * ys - yy * xs);
  const dx = a * (yy * ss - ys * ys) - xy * (b * ss - ys * c) + xs * (b * ys - yy * c);
  const dy = xx * (b * ss - ys * c) - a * (xy * ss - ys * xs) + xs * (xy * c - b * xs);
  const ds = xx * (yy * c - b * ys) - xy * (xy * c - b * xs) + a * (xy * ys - yy * xs);
  return [-dx / determinant, -dy / determinant, -ds / determinant];
}

function refine(differences: readonly Plane[], x: number, y: number, scale: number): Extremum | null {
  const { width, height } = differences[scale]!;
  let [column, row, level] = [x, y, scale];
  for (let step = 0; step < MAX_STEPS; step++) {
    const slopes = derivatives(differences, column, row, level);
    const [dx, dy, ds] = peakOf(slopes);
    if (Math.abs(dx) < 0.5 && Math.abs(dy) < 0.5 && Math.abs(ds) < 0.5) {
      const { here, gradient } = slopes;
      const peak = here + (gradient[0] * dx + gradient[1] * dy + gradient[2] * ds) / 2;
      if (Math.abs(peak) * SCALES < CONTRAST || onEdge(slopes)) return null;
      return {
        ...{ column, row, scale: level, x: column + dx, y: row + dy },
        ...{ sigma: SIGMA * 2 ** ((level + ds) / SCALES), contrast: Math.abs(peak) },
      };
    }
    column += Math.round(dx);
    row += Math.round(dy);
    level += Math.round(ds);
    // Written so that NaN leaves too.
    const within = (i: number, edge: number) => i >= BORDER && i < edge - BORDER;
    if (!(level >= 1 && level <= SCALES && within(column, width) && within(row, height))) return null;
  }
  return null;
}

/** Whether one principal curvature is more than EDGE times the other. */
function onEdge({ xx, yy, xy }: Derivatives): boolean {
  const [trace, determinant] = [xx + yy, xx * yy - xy * xy];
  return determinant <= 0 || trace ** 2 * EDGE >= (EDGE + 1) ** 2 * determinant;
}
