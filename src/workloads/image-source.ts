import type { Session } from '../core/backend.ts';
import type { Sample } from '../core/dataset.ts';
import { VersusError } from '../core/errors.ts';
import type { Graph, ValueInfo } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import type { Run } from '../core/positions.ts';
import { random, seedOf } from '../core/random.ts';
import type { Tensors } from '../core/tensor.ts';
import type { Job } from '../core/workload.ts';
import { loadBatch } from '../data/loader.ts';
import { tokenGrid } from '../data/patches.ts';
import type { Pixels } from '../data/resample.ts';
import { loadTiled, ofOneSize, type Tiling, tiledFeeds } from '../data/tiling.ts';
import { asFed, concrete, type Dims, drawImages, fedDims, imageDims, imageInput } from './inputs.ts';

export interface ImageParams {
  /** Image files; without it (or without a `preprocess` or `tiling` of the model) seeded pixels are used and nothing is decoded. */
  readonly dataset?: string;
  /** `test` when left out. */
  readonly split?: string;
  /** Height and width of the seeded pixels for a model that takes images of any size; 448 × 448 when left out. */
  readonly imageSize?: readonly [height: number, width: number];
}

/** Where the images of a repetition come from. All repetitions feed tensors of equal shapes. */
export interface ImageSource {
  /** Feeds of the vision graph, always the same. */
  readonly first: Tensors;
  /** Those of a repetition, from files; null where nothing is loaded. */
  readonly load: ((repetition: number) => Promise<Tensors>) | null;
  /** Those of any samples; null where nothing is loaded. */
  readonly of: Load | null;
}

export type Load = (files: readonly Sample[]) => Promise<Tensors>;

/** Images for the `vision` graph of a job's model, from its dataset or drawn. */
export async function imageSource(job: Job<ImageParams>, vision: Session): Promise<ImageSource> {
  const { model, batch } = job;
  const load = loader(model, vision);
  if (job.params.dataset === undefined || !load) {
    return { first: asFed(vision.inputs, drawnFeeds(job, vision.inputs)), load: null, of: null };
  }
  const samples = await samplesOf(job, job.params.dataset);
  const files = (repetition: number) =>
    Array.from({ length: batch }, (_, i) => samples[(repetition * batch + i) % samples.length]!);
  return { first: await load(files(0)), load: (repetition) => load(files(repetition)), of: load };
}

function loader({ tiling, preprocess }: ModelDef, vision: Session): Load | null {
  const fed = (feeds: Tensors) => asFed(vision.inputs, feeds);
  if (tiling) return async (files) => fed(await loadTiled(files, tiling));
  if (!preprocess) return null;
  const { name } = imageInput(vision.inputs);
  return async (files) => fed({ [name]: (await loadBatch(files, preprocess)).images });
}

async function samplesOf(job: Job<ImageParams>, dataset: string): Promise<readonly Sample[]> {
  const split = job.params.split ?? 'test';
  const samples = await (await job.dataset(dataset)).samples(split);
  if (samples.length === 0) throw new VersusError('input', `split ${split} of ${dataset} has no samples`);
  const shuffled = random(job.seed).shuffle(samples);
  return job.model.tiling ? ofOneSize(shuffled) : shuffled;
}

type Drawing = Pick<Job<ImageParams>, 'model' | 'params' | 'batch' | 'seed'>;

/** Seeded images: through the processor where it cuts them into tiles, else as the graph takes them. */
function drawnFeeds({ model, params, batch, seed }: Drawing, inputs: readonly ValueInfo[]): Tensors {
  if (model.tiling) return tiledFeeds(drawnPixels(params, batch, seed), model.tiling);
  const input = imageInput(inputs);
  return { [input.name]: drawImages(input, concrete(input, imageDims(input, model, batch)), seed) };
}

const TYPICAL = [448, 448] as const;
const LARGEST = 16384;

function drawnPixels({ imageSize = TYPICAL }: ImageParams, batch: number, seed: number): Pixels[] {
  if (
    imageSize.length !== 2 ||
    imageSize.some((edge) => !(Number.isInteger(edge) && edge >= 1 && edge <= LARGEST))
  ) {
    throw new VersusError('usage', `imageSize is [${imageSize}]`, {
      next: `give height and width in whole pixels, up to ${LARGEST}`,
    });
  }
  const [height, width] = imageSize;
  const draw = random(seedOf('pixels', seed));
  return Array.from({ length: batch }, () => ({
    ...{ width, height },
    data: Uint8Array.from({ length: height * width * 3 }, () => draw.below(256)),
  }));
}

/**
 * Sizes of the vision graph's symbolic dimensions in every repetition; null where they depend on the dataset's images.
 * @throws VersusError as `imageDims`
 */
export function visionDims(params: ImageParams, batch: number, model: ModelDef, graph: Graph): Dims | null {
  if (!model.tiling) return imageDims(imageInput(graph.inputs), model, batch);
  if (params.dataset !== undefined) return null;
  const feeds = drawnFeeds({ model, params, batch, seed: 0 }, graph.inputs);
  return { ...model.dims, ...fedDims(graph.inputs, feeds) };
}

/** The image in a prompt: a grid where the model's patches make one, else a row of `tokens`. */
export function imageRun(tiling: Tiling | undefined, feeds: Tensors, tokens: number): Run {
  return tiling?.kind === 'patches' ? { grid: tokenGrid(feeds, tiling) } : { text: tokens };
}
