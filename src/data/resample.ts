/** 8-bit RGB, rows top to bottom, three interleaved bytes per pixel. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export type Kernel = 'bilinear' | 'bicubic';

/** Fixed-point fraction bits: 32 bits less 8 for the sample and 2 for the overshoot of the bicubic lobes. */
const PRECISION = 32 - 8 - 2;
const HALF = 1 << (PRECISION - 1);

const KERNELS: Record<Kernel, { support: number; weight: (x: number) => number }> = {
  bilinear: {
    support: 1,
    weight: (x) => Math.max(0, 1 - Math.abs(x)),
  },
  // Keys, "Cubic convolution interpolation for digital image processing" (1981), with a = −0.5.
  bicubic: {
    support: 2,
    weight: (value) => {
      const a = -0.5;
      const x = Math.abs(value);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
      return 0;
    },
  },
};

/** Weights of every output position: `taps[i·size + k]` belongs to input position `first[i] + k`, k < `count[i]`. */
interface Taps {
  readonly size: number;
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly taps: Int32Array;
}

/** The kernel is stretched by the scale when shrinking (antialias), and weights are normalised, then rounded half away from zero. */
function computeTaps(input: number, output: number, kernel: Kernel): Taps {
  const { support, weight } = KERNELS[kernel];
  const scale = input / output;
  const stretch = Math.max(1, scale);
  const reach = support * stretch;
  const size = Math.ceil(reach) * 2 + 1;
  const first = new Int32Array(output);
  const count = new Int32Array(output);
  const taps = new Int32Array(output * size);
  const weights = new Float64Array(size);
  for (let i = 0; i < output; i++) {
    const centre = (i + 0.5) * scale;
    const from = Math.max(0, Math.trunc(centre - reach + 0.5));
    const to = Math.min(input, Math.trunc(centre + reach + 0.5));
    let sum = 0;
    for (let x = from; x < to; x++) {
      const w = weight((x - centre + 0.5) / stretch);
      weights[x - from] = w;
      sum += w;
    }
    first[i] = from;
    count[i] = to - from;
    for (let k = 0; k < to - from; k++) {
      const w = (sum === 0 ? weights[k]! : weights[k]! / sum) * 2 ** PRECISION;
      taps[i * size + k] = Math.trunc(w < 0 ? w - 0.5 : w + 0.5);
    }
  }
  return { size, first, count, taps };
}

const clip8 = (sum: number): number => {
  const value = sum >> PRECISION;
  return value < 0 ? 0 : value > 255 ? 255 : value;
};

function horizontal(image: Pixels, width: number, kernel: Kernel): Pixels {
  const { size, first, count, taps } = computeTaps(image.width, width, kernel);
  const { height, data } = image;
  const out = new Uint8Array(width * height * 3);
  let o = 0;
  for (let y = 0; y < height; y++) {
    const row = y * image.width * 3;
    for (let x = 0; x < width; x++) {
      let r = HALF;
      let g = HALF;
      let b = HALF;
      let at = row + first[x]! * 3;
      const end = x * size + count[x]!;
      for (let k = x * size; k < end; k++) {
        const w = taps[k]!;
        r += data[at]! * w;
        g += data[at + 1]! * w;
        b += data[at + 2]! * w;
        at += 3;
      }
      out[o++] = clip8(r);
      out[o++] = clip8(g);
      out[o++] = clip8(b);
    }
  }
  return { width, height, data: out };
}

function vertical(image: Pixels, height: number, kernel: Kernel): Pixels {
  const { size, first, count, taps } = computeTaps(image.height, height, kernel);
  const stride = image.width * 3;
  const out = new Uint8Array(stride * height);
  const sums = new Int32Array(stride);
  for (let y = 0; y < height; y++) {
    sums.fill(HALF);
    for (let k = 0; k < count[y]!; k++) {
      const w = taps[y * size + k]!;
      const row = (first[y]! + k) * stride;
      for (let x = 0; x < stride; x++) sums[x] = sums[x]! + image.data[row + x]! * w;
    }
    const row = y * stride;
    for (let x = 0; x < stride; x++) out[row + x] = clip8(sums[x]!);
  }
  return { width: image.width, height, data: out };
}

/**
 * Resizes as Pillow's `Image.resize` does, to the bit: separable, horizontal pass first, antialiased, 22-bit fixed point,
 * rounded to 8 bit after each pass (src/libImaging/Resample.c of Pillow 9.4).
 *
 * Not sharp's own resize, because published accuracies come from Pillow: on the reference fixture libvips' `linear` and
 * `cubic` kernels are up to 3 and 5 grey levels away (mean error up to 0.016 after normalising), this is 0 away.
 */
export function resample(image: Pixels, width: number, height: number, kernel: Kernel): Pixels {
  const wide = image.width === width ? image : horizontal(image, width, kernel);
  return wide.height === height ? wide : vertical(wide, height, kernel);
}
