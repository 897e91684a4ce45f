import type { Sample } from '../core/dataset.ts';
import { VersusError } from '../core/errors.ts';
import type { CropsPreprocess, PatchesPreprocess } from '../core/model.ts';
import { allocate, type Tensor, type Tensors, tensor } from '../core/tensor.ts';
import { cropFeeds, cropGrid } from './crops.ts';
import { decodeImage, imageSize } from './image.ts';
import { eachSample } from './loader.ts';
import { patchFeeds, smartResize } from './patches.ts';
import type { Pixels } from './resample.ts';
import { imageOf } from './samples.ts';

/** How an image of any size becomes what a `vision` graph takes. */
export type Tiling = CropsPreprocess | PatchesPreprocess;

/** Inputs that a whole batch has in common: they have no batch axis. */
const SHARED: ReadonlySet<string> = new Set(['patch_positions']);

/**
 * A batch of images as feeds of a `vision` graph, stacked along their first axis.
 * @throws VersusError `input` when the images come out with different sizes
 */
export function tiledFeeds(images: readonly Pixels[], spec: Tiling): Tensors {
  const parts = images.map((image) => tiles(image, spec));
  if (parts.length === 0) throw new VersusError('input', 'a batch without images');
  const names = Object.keys(parts[0]!);
  return Object.fromEntries(
    names.map((name) => {
      const all = parts.map((part) => part[name]!);
      const other = all.find((t) => String(t.shape) !== String(all[0]!.shape));
      if (other) {
        throw new VersusError(
          'input',
          `images of different sizes in one batch: ${name} is [${all[0]!.shape}] and [${other.shape}]`,
          { next: 'use batch 1, or images of one size' },
        );
      }
      return [name, SHARED.has(name) ? all[0]! : stacked(all)];
    }),
  );
}

function tiles(image: Pixels, spec: Tiling): Tensors {
  return spec.kind === 'patches' ? patchFeeds(image, spec) : cropFeeds(image, spec);
}

/** [1, …] tensors of one shape as [batch, …]. */
function stacked(parts: readonly Tensor[]): Tensor {
  const { dtype, shape, data } = parts[0]!;
  if (parts.length === 1) return parts[0]!;
  const all = allocate(dtype, parts.length * data.length);
  // All are of the first's type, which the union type cannot say.
  parts.forEach((part, i) => {
    all.set(part.data as never, i * data.length);
  });
  return tensor(dtype, [parts.length * shape[0]!, ...shape.slice(1)], all);
}

/**
 * Decodes samples, at most four at a time, and makes the feeds of one batch.
 * @throws VersusError `input` naming the file that cannot be decoded, or as `tiledFeeds`
 */
export async function loadTiled(samples: readonly Sample[], spec: Tiling): Promise<Tensors> {
  return tiledFeeds(await eachSample(samples, (sample) => decodeImage(imageOf(sample))), spec);
}

/** Headers that are read to find the commonest size. */
const PROBED = 128;

/**
 * Of the first 128 samples those with the commonest width and height, the earlier of equals: what is cut into tiles costs
 * as much as the image is large, and only images of one size make equal repetitions, or a batch.
 * @throws VersusError `input` naming the file that is no image
 */
export async function ofOneSize(samples: readonly Sample[]): Promise<readonly Sample[]> {
  const probed = samples.slice(0, PROBED);
  const sizes = await eachSample(probed, async (sample) => {
    const { width, height } = await imageSize(imageOf(sample));
    return `${width}×${height}`;
  });
  const groups = new Map<string, Sample[]>();
  probed.forEach((sample, i) => {
    const group = groups.get(sizes[i]!);
    if (group) group.push(sample);
    else groups.set(sizes[i]!, [sample]);
  });
  return [...groups.values()].reduce<readonly Sample[]>((best, g) => (g.length > best.length ? g : best), []);
}

/** Rows and columns that an image of a size is cut into: crops, or tokens. @throws VersusError `input` for an image too slim */
export function gridOf(
  spec: Tiling,
  image: { readonly height: number; readonly width: number },
): readonly [rows: number, columns: number] {
  if (spec.kind === 'crops') {
    const { rows, columns } = cropGrid(spec, image);
    return [rows, columns];
  }
  const { height, width } = smartResize(image, spec);
  return [height / (spec.patch * spec.merge), width / (spec.patch * spec.merge)];
}
