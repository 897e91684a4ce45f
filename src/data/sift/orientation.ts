import type { Extremum } from './extrema.ts';
import type { Plane } from './scale-space.ts';

/* Lowe (2004), section 5: the dominant directions of the gradients about a keypoint. */

const BINS = 36;
/** σ of the weights and radius of the window, in blurs of the keypoint. */
const WEIGHT_SIGMA = 1.5;
const RADIUS = 4.5;
/** Other peaks of the histogram that come so near to the highest make keypoints of their own. */
const PEAK = 0.8;
/** Binomial smoothing of the histogram. */
const SMOOTHING = [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16] as const;

/** Gradient of an inner pixel: its magnitude and its direction in degrees, 0…360 against the clock. */
export function gradientAt({ width, data }: Plane, x: number, y: number): [magnitude: number, angle: number] {
  const at = y * width + x;
  const dx = data[at + 1]! - data[at - 1]!;
  const dy = data[at - width]! - data[at + width]!;
  const angle = (Math.atan2(dy, dx) * 180) / Math.PI;
  return [Math.hypot(dx, dy), angle < 0 ? angle + 360 : angle];
}

/** Directions in degrees, 0…360 against the clock, one or several. `image` is the blurred image of the keypoint's scale. */
export function orientationsOf(image: Plane, keypoint: Extremum): number[] {
  const histogram = smoothed(histogramOf(image, keypoint));
  const least = PEAK * Math.max(...histogram);
  const angles: number[] = [];
  for (let i = 0; i < BINS; i++) {
    const [before, here, after] = [at(histogram, i - 1), at(histogram, i), at(histogram, i + 1)];
    if (!(here > before && here > after && here >= least)) continue;
    // The peak of a parabola through the three.
    const place = i + (0.5 * (before - after)) / (before - 2 * here + after);
    angles.push((((place + BINS) % BINS) * 360) / BINS);
  }
  return angles;
}

const at = (histogram: Float64Array, i: number): number => histogram[(i + BINS) % BINS]!;

function histogramOf(image: Plane, { column, row, sigma }: Extremum): Float64Array {
  const histogram = new Float64Array(BINS);
  const radius = Math.round(RADIUS * sigma);
  const scale = -1 / (2 * (WEIGHT_SIGMA * sigma) ** 2);
  const [top, bottom] = [Math.max(1, row - radius), Math.min(image.height - 2, row + radius)];
  const [left, right] = [Math.max(1, column - radius), Math.min(image.width - 2, column + radius)];
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const [magnitude, angle] = gradientAt(image, x, y);
      const weight = Math.exp(((x - column) ** 2 + (y - row) ** 2) * scale);
      histogram[Math.round((angle * BINS) / 360) % BINS]! += weight * magnitude;
    }
  }
  return histogram;
}

function smoothed(histogram: Float64Array): Float64Array {
  return histogram.map((_, i) => SMOOTHING.reduce((sum, w, k) => sum + w * at(histogram, i + k - 2), 0));
}
