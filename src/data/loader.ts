import type { Sample } from '../core/dataset.ts';
import { VersusError } from '../core/errors.ts';
import type { ImagePreprocess } from '../core/model.ts';
import type { Tensor } from '../core/tensor.ts';
import { preprocessImage, stackImages } from './preprocess.ts';
import { imageOf } from './samples.ts';

export interface Batch {
  /** float32 [N, 3, H, W]. */
  readonly images: Tensor;
  readonly samples: readonly Sample[];
}

export interface LoadOptions {
  readonly batch: number;
  /** Batches that are decoded ahead of the consumer; memory is bounded to this many and the one in use. */
  readonly prefetch?: number;
}

/** libuv's thread pool has four threads: more decodes in flight only hold more pixels. */
const DECODERS = 4;

/**
 * Decodes and preprocesses samples to one batch, at most four images at a time. This is the unit that is timed when
 * decoding itself is the question.
 *
 * @throws VersusError `input` naming the file that cannot be decoded.
 */
export async function loadBatch(samples: readonly Sample[], spec: ImagePreprocess): Promise<Batch> {
  const images = await eachSample(samples, (sample) => preprocessImage(imageOf(sample), spec));
  return { images: stackImages(images), samples };
}

/** `work` of every sample in their order, at most four at a time. */
export async function eachSample<T>(
  samples: readonly Sample[],
  work: (sample: Sample) => Promise<T>,
): Promise<T[]> {
  const results = new Array<T>(samples.length);
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < samples.length; i = next++) results[i] = await work(samples[i]!);
  };
  await Promise.all(Array.from({ length: Math.min(DECODERS, samples.length) }, worker));
  return results;
}

/**
 * Batches in sample order, decoded ahead of the consumer. The last batch may be smaller.
 *
 * Decoding goes on in the background while the consumer works, which is right for scoring and wrong beside a timed
 * step: there, hold the batches first (`holdBatches`).
 */
export async function* loadBatches(
  samples: readonly Sample[],
  spec: ImagePreprocess,
  options: LoadOptions,
): AsyncGenerator<Batch, void> {
  const { batch, prefetch = 2 } = options;
  const pending: Promise<Batch>[] = [];
  let from = 0;
  const fill = () => {
    while (pending.length <= prefetch && from < samples.length) {
      const load = loadBatch(samples.slice(from, from + batch), spec);
      // A failure is thrown when its turn comes; until then it must not count as unhandled.
      load.catch(() => undefined);
      pending.push(load);
      from += batch;
    }
  };
  try {
    for (fill(); pending.length > 0; fill()) yield await pending.shift()!;
  } finally {
    await Promise.allSettled(pending);
  }
}

/**
 * Decodes batches into memory until `maxBytes` or `count` is reached (at least one), so that nothing decodes while steps
 * are timed. Samples repeat where there are fewer than one batch.
 */
export async function holdBatches(
  samples: readonly Sample[],
  spec: ImagePreprocess,
  options: { readonly batch: number; readonly count: number; readonly maxBytes: number },
): Promise<Batch[]> {
  if (samples.length === 0) {
    throw new VersusError('input', 'the split has no samples', { next: 'name another split' });
  }
  const held: Batch[] = [];
  let bytes = 0;
  const wanted = Math.min(options.count, Math.max(1, Math.floor(samples.length / options.batch)));
  for (let b = 0; b < wanted; b++) {
    const chosen = Array.from(
      { length: options.batch },
      (_, i) => samples[(b * options.batch + i) % samples.length]!,
    );
    const batch = await loadBatch(chosen, spec);
    bytes += batch.images.data.byteLength;
    if (held.length > 0 && bytes > options.maxBytes) break;
    held.push(batch);
  }
  return held;
}
