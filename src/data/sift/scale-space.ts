/*
 * Lowe, "Distinctive image features from scale-invariant keypoints" (2004), section 3: an image at all scales, and the
 * differences of neighbouring scales. Parameters are OpenCV's (modules/features2d/src/sift.simd.hpp).
 */

/** A grey image, row by row. */
export interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** One octave: `SCALES + 3` blurred images of one size, and the differences between them. */
export interface Octave {
  readonly blurred: readonly Plane[];
  readonly differences: readonly Plane[];
}

/** Scales per octave. */
export const SCALES = 3;
/** Blur of the first image of an octave, in its own pixels. */
export const SIGMA = 1.6;
/** Blur that a camera's image is taken to have. */
const CAMERA_SIGMA = 0.5;

/** Octaves of an image that is doubled first, so that its finest structures are found too. */
export function scaleSpace(image: Plane): Octave[] {
  const doubled = double(image);
  let base = blur(doubled, Math.sqrt(SIGMA ** 2 - (2 * CAMERA_SIGMA) ** 2));
  const count = Math.round(Math.log2(Math.min(doubled.width, doubled.height)) - 2) + 1;
  const octaves: Octave[] = [];
  for (let o = 0; o < count && Math.min(base.width, base.height) > 0; o++) {
    const blurred = [base];
    for (let i = 1; i < SCALES + 3; i++) {
      const before = SIGMA * 2 ** ((i - 1) / SCALES);
      const after = SIGMA * 2 ** (i / SCALES);
      blurred.push(blur(blurred[i - 1]!, Math.sqrt(after ** 2 - before ** 2)));
    }
    octaves.push({ blurred, differences: blurred.slice(1).map((plane, i) => minus(plane, blurred[i]!)) });
    // The image of twice the first blur is the next octave's first.
    base = halve(blurred[SCALES]!);
  }
  return octaves;
}

/** Twice as wide and high, linear between pixel centres. */
function double({ width, height, data }: Plane): Plane {
  const out = new Float32Array(4 * width * height);
  for (let y = 0; y < 2 * height; y++) {
    const [top, bottom, down] = between(y, height);
    for (let x = 0; x < 2 * width; x++) {
      const [left, right, across] = between(x, width);
      const upper = data[top * width + left]! * (1 - across) + data[top * width + right]! * across;
      const lower = data[bottom * width + left]! * (1 - across) + data[bottom * width + right]! * across;
      out[y * 2 * width + x] = upper * (1 - down) + lower * down;
    }
  }
  return { width: 2 * width, height: 2 * height, data: out };
}

/** The two pixels about place i of a doubled edge, and the share of the second. */
function between(i: number, edge: number): [number, number, number] {
  const place = (i + 0.5) / 2 - 0.5;
  const first = Math.floor(place);
  return [Math.max(0, first), Math.min(edge - 1, first + 1), place - first];
}

/** Every second pixel of every second row. */
function halve({ width, height, data }: Plane): Plane {
  const [w, h] = [width >> 1, height >> 1];
  const out = new Float32Array(w * h);
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) out[y * w + x] = data[2 * y * width + 2 * x]!;
  return { width: w, height: h, data: out };
}

function minus(a: Plane, b: Plane): Plane {
  return { ...a, data: a.data.map((v, i) => v - b.data[i]!) };
}

/** Convolution with a Gaussian out to four σ, borders mirrored without repeating them. */
function blur(plane: Plane, sigma: number): Plane {
  const radius = Math.round(8 * sigma + 1) >> 1;
  const kernel = Float64Array.from({ length: radius + 1 }, (_, i) =>
    Math.exp(-(i * i) / (2 * sigma * sigma)),
  );
  const total = kernel.reduce((sum, v) => sum + 2 * v, -kernel[0]!);
  const weights = kernel.map((v) => v / total);
  return transposedBlur(transposedBlur(plane, weights), weights);
}

/** Every row convolved by a symmetric kernel (its middle first), and written as a column. */
function transposedBlur({ width, height, data }: Plane, weights: Float64Array): Plane {
  const radius = weights.length - 1;
  const out = new Float32Array(width * height);
  const row = new Float64Array(width + 2 * radius);
  for (let y = 0; y < height; y++) {
    for (let i = 0; i < row.length; i++) row[i] = data[y * width + mirrored(i - radius, width)]!;
    for (let x = 0; x < width; x++) {
      const at = x + radius;
      let sum = weights[0]! * row[at]!;
      for (let k = 1; k <= radius; k++) sum += weights[k]! * (row[at - k]! + row[at + k]!);
      out[x * height + y] = sum;
    }
  }
  return { width: height, height: width, data: out };
}

/** … 2 1 | 0 1 2 … */
function mirrored(i: number, edge: number): number {
  if (edge === 1) return 0;
  const period = 2 * (edge - 1);
  const inside = ((i % period) + period) % period;
  return inside < edge ? inside : period - inside;
}
