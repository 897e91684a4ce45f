import { VersusError } from '../core/errors.ts';
import type { CropsPreprocess } from '../core/model.ts';
import { float32, type Tensor, type Tensors } from '../core/tensor.ts';
import { normaliseTable } from './preprocess.ts';
import { type Pixels, resample } from './resample.ts';

/*
 * Phi-3-vision's HD transform, as in `image_processing_phi3_v.py` of the published checkpoint: an image is scaled to a whole
 * number of crops across, filled up with white above and below to a whole number of crops down, and cut; portraits lie on
 * their side meanwhile. The whole is seen a second time, shrunk to a single crop.
 */

interface Size {
  readonly width: number;
  readonly height: number;
}
/** Crops down and across. */
export interface CropGrid {
  readonly rows: number;
  readonly columns: number;
}

/**
 * The largest scale whose grid has at most `maxCrops` crops: the longer edge becomes this many crops, the shorter keeps the
 * aspect ratio.
 * @throws VersusError `input` for an image so slim that it would vanish
 */
function scaled(spec: CropsPreprocess, image: Size): Size & { readonly upright: boolean } {
  const upright = image.width < image.height;
  const [long, short] = upright ? [image.height, image.width] : [image.width, image.height];
  const ratio = long / short;
  let across = 1;
  while ((across + 1) * Math.ceil((across + 1) / ratio) <= spec.maxCrops) across++;
  const width = across * spec.side;
  const height = Math.trunc(width / ratio);
  if (!(height >= 1)) {
    throw new VersusError('input', `an image of ${image.width}×${image.height} becomes ${width}×${height}`, {
      next: 'remove the image: at this aspect ratio nothing of it is left',
    });
  }
  return { width, height, upright };
}

/** How many crops an image becomes. @throws VersusError `input` for an image so slim that it would vanish */
export function cropGrid(spec: CropsPreprocess, image: Size): CropGrid {
  const { width, height, upright } = scaled(spec, image);
  const [across, down] = [width / spec.side, Math.ceil(height / spec.side)];
  return upright ? { rows: across, columns: down } : { rows: down, columns: across };
}

/**
 * How many tokens a model makes of an image: n = `tokensPerSide` along a crop, every row of tokens ended by a separator, one
 * more between the grid and the whole.
 */
export function cropTokens(spec: CropsPreprocess, image: Size, tokensPerSide: number): number {
  const n = tokensPerSide;
  const { rows, columns } = cropGrid(spec, image);
  return rows * n * (columns * n + 1) + 1 + n * (n + 1);
}

/**
 * `global_view` [1, 3, side, side] and `crops` [1, rows, columns, 3, side, side] of an image, normalised.
 * @throws VersusError `input` for an image so slim that it would vanish
 */
export function cropFeeds(image: Pixels, spec: CropsPreprocess): Tensors {
  const { width, height, upright } = scaled(spec, image);
  const { side } = spec;
  const lying = resample(upright ? transposed(image) : image, width, height, spec.kernel);
  const filled = padded(lying, Math.ceil(height / side) * side);
  const page = upright ? transposed(filled) : filled;
  const planes = normalised(page, spec);
  return { global_view: shrunk(planes, page, side), crops: cut(planes, page, side) };
}

/** Mirrored at the diagonal, so that rows become columns. */
function transposed({ width, height, data }: Pixels): Pixels {
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * 3;
      out.set(data.subarray(from, from + 3), (x * height + y) * 3);
    }
  }
  return { width: height, height: width, data: out };
}

/** White above and below; of an odd number of rows one more below. */
function padded({ width, height, data }: Pixels, target: number): Pixels {
  const out = new Uint8Array(width * target * 3).fill(255);
  out.set(data, Math.floor((target - height) / 2) * width * 3);
  return { width, height: target, data: out };
}

/** Channels first, [3, height, width]. */
function normalised({ width, height, data }: Pixels, spec: CropsPreprocess): Float32Array {
  const table = normaliseTable(spec);
  const plane = width * height;
  const out = new Float32Array(3 * plane);
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < plane; i++) out[c * plane + i] = table[c * 256 + data[i * 3 + c]!]!;
  }
  return out;
}

function cut(planes: Float32Array, { width, height }: Size, side: number): Tensor {
  const [rows, columns] = [height / side, width / side];
  const out = new Float32Array(planes.length);
  let at = 0;
  for (let crop = 0; crop < rows * columns; crop++) {
    const [top, left] = [Math.floor(crop / columns) * side, (crop % columns) * side];
    for (let c = 0; c < 3; c++) {
      for (let y = top; y < top + side; y++, at += side) {
        const from = (c * height + y) * width + left;
        out.set(planes.subarray(from, from + side), at);
      }
    }
  }
  return float32([1, rows, columns, 3, side, side], out);
}

/** Where each output pixel looks: four neighbours, held inside the image, and their weights. */
interface Taps {
  readonly places: Int32Array;
  readonly weights: Float64Array;
}

/**
 * Keys' cubic convolution with a = −0.75 at pixel centres and without antialiasing: what torch's `interpolate` does in mode
 * `bicubic`, on the normalised values.
 */
function taps(from: number, to: number): Taps {
  const a = -0.75;
  const near = (x: number) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x: number) => ((x - 5) * x + 8) * x * a - 4 * a;
  const places = new Int32Array(4 * to);
  const weights = new Float64Array(4 * to);
  for (let i = 0; i < to; i++) {
    const centre = ((i + 0.5) * from) / to - 0.5;
    const first = Math.floor(centre);
    const t = centre - first;
    weights.set([far(t + 1), near(t), near(1 - t), far(2 - t)], 4 * i);
    for (let k = 0; k < 4; k++) places[4 * i + k] = Math.min(Math.max(first - 1 + k, 0), from - 1);
  }
  return { places, weights };
}

/** The whole page as one view, [1, 3, side, side]. */
function shrunk(planes: Float32Array, { width, height }: Size, side: number): Tensor {
  const [across, down] = [taps(width, side), taps(height, side)];
  const out = new Float32Array(3 * side * side);
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        let sum = 0;
        for (let v = 4 * y; v < 4 * y + 4; v++) {
          const row = (c * height + down.places[v]!) * width;
          let line = 0;
          for (let u = 4 * x; u < 4 * x + 4; u++)
            line += across.weights[u]! * planes[row + across.places[u]!]!;
          sum += down.weights[v]! * line;
        }
        out[(c * side + y) * side + x] = sum;
      }
    }
  }
  return float32([1, 3, side, side], out);
}
