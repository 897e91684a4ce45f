import { SIFT_LENGTH } from '../../core/features.ts';
import { gradientAt } from './orientation.ts';
import type { Plane } from './scale-space.ts';

/* Lowe (2004), section 6: 4 × 4 histograms of 8 orientations about a keypoint, turned and scaled with it. */

const GRID = 4;
const BINS = 8;
/** Edge of a histogram's square, in blurs of the keypoint. */
const SQUARE = 3;
const CLIP = 0.2;
/** Descriptors of length 1 in steps of 1/512, as OpenCV rounds them; the largest step is a byte's. */
const STEPS = 512;

interface Place {
  /** Pixels of the image that is read. */
  readonly x: number;
  readonly y: number;
  readonly sigma: number;
  /** Degrees against the clock. */
  readonly angle: number;
}

/** Writes the 128 numbers of a keypoint; `image` is the blurred image of its scale. */
export function describe(image: Plane, { x, y, sigma, angle }: Place, out: Float32Array): void {
  const square = SQUARE * sigma;
  const [cos, sin] = [Math.cos((angle * Math.PI) / 180) / square, Math.sin((angle * Math.PI) / 180) / square];
  const diagonal = Math.floor(Math.hypot(image.width, image.height));
  const radius = Math.min(diagonal, Math.round((square * Math.SQRT2 * (GRID + 1)) / 2));
  const [column, row] = [Math.round(x), Math.round(y)];
  const [top, bottom] = [Math.max(1, row - radius), Math.min(image.height - 2, row + radius)];
  const [left, right] = [Math.max(1, column - radius), Math.min(image.width - 2, column + radius)];
  const histogram = new Float64Array(SIFT_LENGTH);
  for (let py = top; py <= bottom; py++) {
    for (let px = left; px <= right; px++) {
      const [i, j] = [py - row, px - column];
      // The keypoint's own axes, in squares; directions count against the clock while rows count downwards.
      const across = j * cos - i * sin;
      const down = j * sin + i * cos;
      const [r, c] = [down + GRID / 2 - 0.5, across + GRID / 2 - 0.5];
      if (r <= -1 || r >= GRID || c <= -1 || c >= GRID) continue;
      const [magnitude, direction] = gradientAt(image, px, py);
      const weight = Math.exp((across * across + down * down) / -(GRID * GRID * 0.5));
      share(histogram, r, c, ((direction - angle) * BINS) / 360, weight * magnitude);
    }
  }
  finish(histogram, out);
}

/** Adds a gradient to the two squares along each axis and the two orientations that it lies between. */
function share(histogram: Float64Array, r: number, c: number, o: number, amount: number): void {
  const [r0, c0, o0] = [Math.floor(r), Math.floor(c), Math.floor(o)];
  const [fr, fc, fo] = [r - r0, c - c0, o - o0];
  for (let a = 0; a < 2; a++) {
    const row = r0 + a;
    if (row < 0 || row >= GRID) continue;
    const ofRow = amount * (a === 0 ? 1 - fr : fr);
    for (let b = 0; b < 2; b++) {
      const column = c0 + b;
      if (column < 0 || column >= GRID) continue;
      const ofSquare = ofRow * (b === 0 ? 1 - fc : fc);
      const from = (row * GRID + column) * BINS;
      const bin = ((o0 % BINS) + BINS) % BINS;
      histogram[from + bin]! += ofSquare * (1 - fo);
      histogram[from + ((bin + 1) % BINS)]! += ofSquare * fo;
    }
  }
}

/** Length 1, clipped at 0.2 so that no single gradient rules, length 1 again, in steps. */
function finish(histogram: Float64Array, out: Float32Array): void {
  const lengthOf = () => Math.sqrt(histogram.reduce((sum, v) => sum + v * v, 0));
  const most = CLIP * lengthOf();
  for (let i = 0; i < SIFT_LENGTH; i++) histogram[i] = Math.min(histogram[i]!, most);
  const scale = STEPS / Math.max(lengthOf(), 1e-7);
  for (let i = 0; i < SIFT_LENGTH; i++) out[i] = Math.min(255, Math.round(histogram[i]! * scale)) / STEPS;
}
