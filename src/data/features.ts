import { VersusError } from '../core/errors.ts';
import { featureShape, type HostFeatures, SIFT_LENGTH } from '../core/features.ts';
import { float32, type Tensor } from '../core/tensor.ts';
import { hog } from './hog.ts';
import type { Pixels } from './resample.ts';
import { sift } from './sift/index.ts';

/**
 * The features of a batch.
 * @param images float32 [batch, 3, height, width], RGB in whole numbers 0…255 (`bytesPreprocess`)
 * @returns float32 [batch, …featureShape]
 * @throws VersusError `usage` for images of another size than the features are made for
 */
export function extractFeatures(images: Tensor, features: HostFeatures): Tensor {
  const [batch, channels, height, width] = images.shape as [number, number, number, number];
  if (channels !== 3 || height !== features.height || width !== features.width) {
    throw new VersusError(
      'usage',
      `images of [${images.shape.slice(1)}] for features of ${sizeOf(features)}`,
      {
        next: "make the model's `preprocess` yield 3 channels of that height and width",
      },
    );
  }
  const shape = featureShape(features);
  const length = shape.reduce((a, b) => a * b, 1);
  const out = new Float32Array(batch * length);
  for (let i = 0; i < batch; i++) out.set(ofImage(pixelsOf(images, i), features), i * length);
  return float32([batch, ...shape], out);
}

const sizeOf = ({ height, width }: HostFeatures) => `3 × ${height} × ${width}`;

function ofImage(image: Pixels, features: HostFeatures): Float32Array {
  if (features.kind === 'hog') return hog(image, features);
  const row = SIFT_LENGTH + 1;
  const out = new Float32Array(features.keypoints * row);
  const plane = { width: image.width, height: image.height, data: greyOf(image) };
  sift(plane, features.keypoints).forEach(({ descriptor }, i) => {
    out.set(descriptor, i * row);
    out[i * row + SIFT_LENGTH] = 1;
  });
  return out;
}

/** Planes as interleaved bytes. */
function pixelsOf(images: Tensor, i: number): Pixels {
  const [, , height, width] = images.shape as [number, number, number, number];
  const [area, values] = [height * width, images.data as Float32Array];
  const data = new Uint8Array(3 * area);
  for (let c = 0; c < 3; c++) {
    const from = (3 * i + c) * area;
    for (let p = 0; p < area; p++) data[3 * p + c] = values[from + p]!;
  }
  return { height, width, data };
}

/** Luma of ITU-R BT.601 in whole numbers, as OpenCV's cvtColor rounds it. */
export function greyOf({ data, width, height }: Pixels): Float32Array {
  const grey = new Float32Array(width * height);
  for (let p = 0; p < grey.length; p++) {
    const sum = 9798 * data[3 * p]! + 19235 * data[3 * p + 1]! + 3735 * data[3 * p + 2]!;
    grey[p] = (sum + (1 << 14)) >> 15;
  }
  return grey;
}
