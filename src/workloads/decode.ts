import { VersusError } from '../core/errors.ts';
import { random } from '../core/random.ts';
import type { Workload } from '../core/workload.ts';
import { loadBatch } from '../data/loader.ts';

export interface DecodeParams {
  readonly dataset: string;
  /** `test` when left out. */
  readonly split?: string;
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
    const { preprocess } = job.model;
    if (!preprocess) {
      throw new VersusError('usage', `${job.model.name} has no preprocess`, {
        next: 'give the model one, e.g. vitPreprocess()',
      });
    }
    const split = job.params.split ?? 'test';
    const samples = random(job.seed).shuffle(await (await job.dataset(job.params.dataset)).samples(split));
    if (samples.length === 0) {
      throw new VersusError('input', `split ${split} of ${job.params.dataset} has no samples`);
    }
    const filesOf = (repetition: number) =>
      Array.from({ length: job.batch }, (_, i) => samples[(repetition * job.batch + i) % samples.length]!);
    return {
      async *steps(repetition) {
        const files = filesOf(repetition);
        yield { phase: 'preprocess', items: job.batch, run: () => loadBatch(files, preprocess) };
      },
      outputs: async () => ({ images: (await loadBatch(filesOf(0), preprocess)).images }),
      close: async () => undefined,
    };
  },
};
