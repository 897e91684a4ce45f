import type { Sample } from '../core/dataset.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { random } from '../core/random.ts';
import type { Tensors } from '../core/tensor.ts';
import type { Workload } from '../core/workload.ts';
import { loadBatch } from '../data/loader.ts';
import { loadTiled, ofOneSize } from '../data/tiling.ts';

export interface DecodeParams {
  readonly dataset: string;
  /** `test` when left out. */
  readonly split?: string;
}

interface Loader {
  /** What is timed. */
  load(files: readonly Sample[]): Promise<unknown>;
  outputs(files: readonly Sample[]): Promise<Tensors>;
}

function loaderOf({ name, preprocess, tiling }: ModelDef): Loader {
  if (tiling) {
    const load = (files: readonly Sample[]) => loadTiled(files, tiling);
    return { load, outputs: load };
  }
  if (preprocess) {
    const load = (files: readonly Sample[]) => loadBatch(files, preprocess);
    return { load, outputs: async (files) => ({ images: (await load(files)).images }) };
  }
  throw new VersusError('usage', `${name} has no preprocess and no tiling`, {
    next: 'give the model one, e.g. vitPreprocess()',
  });
}

/**
 * What images cost before a model sees them: reading, decoding, resizing, cropping and normalising files with the model's
 * own preprocessing. No session is opened; the backend plays no part.
 */
export const decode: Workload<DecodeParams> = {
  name: 'decode',
  metrics: [
    { name: 'preprocess_rate', unit: 'images/s', better: 'higher', assume: 'nothing', of: 'rate' },
    { name: 'preprocess', unit: 'ms', better: 'lower', assume: 'nothing', of: 'duration' },
  ],

  async open(job) {
    const { load, outputs } = loaderOf(job.model);
    const split = job.params.split ?? 'test';
    const all = random(job.seed).shuffle(await (await job.dataset(job.params.dataset)).samples(split));
    if (all.length === 0) {
      throw new VersusError('input', `split ${split} of ${job.params.dataset} has no samples`);
    }
    const samples = job.model.tiling ? await ofOneSize(all) : all;
    const filesOf = (repetition: number) =>
      Array.from({ length: job.batch }, (_, i) => samples[(repetition * job.batch + i) % samples.length]!);
    return {
      async *steps(repetition) {
        const files = filesOf(repetition);
        yield { phase: 'preprocess', items: job.batch, run: () => load(files) };
      },
      outputs: () => outputs(filesOf(0)),
      close: async () => undefined,
    };
  },
};
