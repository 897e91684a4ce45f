import { VersusError } from '../core/errors.ts';
import type { ImagePreprocess } from '../core/model.ts';
import type { Tensor } from '../core/tensor.ts';
import { float32 } from '../core/tensor.ts';
import { decodeImage } from './image.ts';
import type { Pixels } from './resample.ts';
import { resample } from './resample.ts';

/** Extreme aspect ratios must not turn a small file into gigabytes. */
const MAX_EDGE = 16384;

/**
 * Size after the resize step. The longer edge is truncated, as transformers' `get_resize_output_image_size` and
 * torchvision's `_compute_resized_output_size` do: `int(shortest · long / short)`.
 */
export function resizedSize(
  spec: ImagePreprocess,
  image: { readonly width: number; readonly height: number },
): { width: number; height: number } {
  if (!('shortest' in spec.resize)) return { width: spec.resize.width, height: spec.resize.height };
  const { shortest } = spec.resize;
  const { width, height } = image;
  const size =
    width <= height
      ? { width: shortest, height: Math.trunc((shortest * height) / width) }
      : { width: Math.trunc((shortest * width) / height), height: shortest };
  if (Math.max(size.width, size.height) > MAX_EDGE) {
    throw new VersusError('input', `an image of ${width}×${height} becomes ${size.width}×${size.height}`, {
      next: `the longest edge after resizing may be ${MAX_EDGE}; remove the image`,
    });
  }
  return size;
}

/** Height and width that every image comes out with; null when they follow the image's own aspect ratio. */
export function fixedSize(spec: ImagePreprocess): { height: number; width: number } | null {
  if (spec.crop) return { height: spec.crop.height, width: spec.crop.width };
  return 'shortest' in spec.resize ? null : { height: spec.resize.height, width: spec.resize.width };
}

/** Where a centred window of `crop` starts in `size` pixels; negative when zeros are padded before the image. */
function cropStart(size: number, crop: number, rounding: 'floor' | 'even'): number {
  const half = (size - crop) / 2;
  if (half < 0) return -(rounding === 'even' ? Math.floor(-half) : Math.ceil(-half));
  const floor = Math.floor(half);
  return rounding === 'even' && half - floor === 0.5 && floor % 2 === 1 ? floor + 1 : floor;
}

/** Per channel, what each 8-bit value becomes, [3 · 256]: (value · rescale − mean) / std. */
export function normaliseTable(spec: Pick<ImagePreprocess, 'mean' | 'std' | 'rescale'>): Float32Array {
  const rescale = spec.rescale ?? 1 / 255;
  const table = new Float32Array(3 * 256);
  for (let c = 0; c < 3; c++) {
    for (let v = 0; v < 256; v++) table[c * 256 + v] = (v * rescale - spec.mean[c]!) / spec.std[c]!;
  }
  return table;
}

/**
 * Resize, centre crop, rescale and normalise decoded pixels to float32 [3, H, W].
 * A crop that is larger than the image is padded with black, as the processors do.
 */
export function preprocessPixels(image: Pixels, spec: ImagePreprocess): Tensor {
  const size = resizedSize(spec, image);
  const resized = resample(image, size.width, size.height, spec.kernel);
  const height = spec.crop?.height ?? resized.height;
  const width = spec.crop?.width ?? resized.width;
  const rounding = spec.crop?.rounding ?? 'floor';
  const top = cropStart(resized.height, height, rounding);
  const left = cropStart(resized.width, width, rounding);
  const table = normaliseTable(spec);
  const out = new Float32Array(3 * height * width);
  for (let c = 0; c < 3; c++) {
    const black = table[c * 256]!;
    for (let y = 0; y < height; y++) {
      const sy = y + top;
      const row = (c * height + y) * width;
      const inside = sy >= 0 && sy < resized.height;
      for (let x = 0; x < width; x++) {
        const sx = x + left;
        out[row + x] =
          inside && sx >= 0 && sx < resized.width
            ? table[c * 256 + resized.data[(sy * resized.width + sx) * 3 + c]!]!
            : black;
      }
    }
  }
  return float32([3, height, width], out);
}

/**
 * An image file, decoded and preprocessed to float32 [3, H, W].
 * @throws VersusError `input` when the file cannot be decoded.
 */
export async function preprocessImage(source: string | Uint8Array, spec: ImagePreprocess): Promise<Tensor> {
  return preprocessPixels(await decodeImage(source), spec);
}

/**
 * Stacks [3, H, W] tensors to one [N, 3, H, W].
 * @throws VersusError `input` when sizes differ (a preprocessing without fixed size).
 */
export function stackImages(images: readonly Tensor[]): Tensor {
  const first = images[0];
  if (!first) throw new VersusError('input', 'a batch without images');
  const out = new Float32Array(images.length * first.data.length);
  images.forEach((image, i) => {
    if (image.shape.join() !== first.shape.join()) {
      throw new VersusError('input', `images of [${first.shape}] and [${image.shape}] in one batch`, {
        next: 'use a preprocessing with a crop or a fixed size, or batch 1',
      });
    }
    out.set(image.data as Float32Array, i * first.data.length);
  });
  return float32([images.length, ...first.shape], out);
}
