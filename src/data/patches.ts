import { VersusError } from '../core/errors.ts';
import type { PatchesPreprocess } from '../core/model.ts';
import { type Grid, patchPositions } from '../core/positions.ts';
import { float32, type Tensors } from '../core/tensor.ts';
import { normaliseTable } from './preprocess.ts';
import { type Pixels, resample } from './resample.ts';

/* Qwen2-VL's processor: `image_processing_qwen2_vl.py` of transformers 4.45.2. */

/** The largest ratio of the edges that `smart_resize` takes. */
const MAX_RATIO = 200;

interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * The size that an image is resized to: edges that are multiples of a merged square of patches, nearest to its own, and
 * shrunk or grown, its ratio kept, until their product lies within the limits (`smart_resize`). Images smaller than one
 * square grow, as in later versions of transformers; 4.45.2 refuses them.
 * @throws VersusError `input` when one edge is more than 200 times the other
 */
export function smartResize({ width, height }: Size, spec: PatchesPreprocess): Size {
  if (Math.max(width, height) / Math.min(width, height) > MAX_RATIO) {
    throw new VersusError('input', `an image of ${width}×${height} is too narrow to be cut into patches`, {
      next: `one edge may be ${MAX_RATIO} times the other; remove the image`,
    });
  }
  const factor = spec.patch * spec.merge;
  const area = width * height;
  const rounded = {
    width: halfToEven(width / factor) * factor,
    height: halfToEven(height / factor) * factor,
  };
  if (rounded.width * rounded.height > spec.maxPixels) {
    const beta = Math.sqrt(area / spec.maxPixels);
    const shrunk = (edge: number) => Math.max(1, Math.floor(edge / beta / factor)) * factor;
    return { width: shrunk(width), height: shrunk(height) };
  }
  if (rounded.width * rounded.height < spec.minPixels) {
    const beta = Math.sqrt(spec.minPixels / area);
    const grown = (edge: number) => Math.ceil((edge * beta) / factor) * factor;
    return { width: grown(width), height: grown(height) };
  }
  return { width: Math.max(factor, rounded.width), height: Math.max(factor, rounded.height) };
}

/** Python's `round`. */
function halfToEven(x: number): number {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor % 2) : Math.round(x);
}

/**
 * An image as what a `vision` graph of Qwen2-VL takes: `pixel_values` float32 [1, patches, 3 · temporal · patch²] in merge
 * order, each patch by channel, frame, row and column, and `patch_positions` int64 [patches, 2].
 * @throws VersusError `input` as `smartResize`
 */
export function patchFeeds(image: Pixels, spec: PatchesPreprocess): Tensors {
  const { patch, merge, temporal } = spec;
  const size = smartResize(image, spec);
  const { data, width } = resample(image, size.width, size.height, spec.kernel);
  const table = normaliseTable(spec);
  const cells = patchPositions(size.height / patch, size.width / patch, merge);
  const patches = cells.shape[0]!;
  const area = patch * patch;
  const out = new Float32Array(patches * 3 * temporal * area);
  for (let p = 0; p < patches; p++) {
    const top = Number(cells.data[2 * p]) * patch;
    const left = Number(cells.data[2 * p + 1]) * patch;
    for (let c = 0; c < 3; c++) {
      const first = (p * 3 + c) * temporal * area;
      for (let y = 0; y < patch; y++) {
        const row = ((top + y) * width + left) * 3 + c;
        for (let x = 0; x < patch; x++) out[first + y * patch + x] = table[c * 256 + data[row + 3 * x]!]!;
      }
      for (let t = 1; t < temporal; t++) out.copyWithin(first + t * area, first, first + area);
    }
  }
  return { pixel_values: float32([1, patches, 3 * temporal * area], out), patch_positions: cells };
}

/** Frames, rows and columns in tokens of the images that such feeds hold. */
export function tokenGrid(feeds: Tensors, spec: PatchesPreprocess): Grid {
  const { data } = feeds.patch_positions!;
  // The last patch in merge order is the last of the grid.
  const [row, column] = [data.at(-2), data.at(-1)].map((v) => (Number(v) + 1) / spec.merge);
  return [1, row!, column!];
}
