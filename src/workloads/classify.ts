import type { Session } from '../core/backend.ts';
import type { Dataset, Sample } from '../core/dataset.ts';
import { VersusError } from '../core/errors.ts';
import type { ValueInfo } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import { random } from '../core/random.ts';
import type { Tensor, Tensors } from '../core/tensor.ts';
import type { Job, Metric, Workload } from '../core/workload.ts';
import { extractFeatures } from '../data/features.ts';
import { holdBatches } from '../data/loader.ts';
import { asUnseen, labelledOf, logitOfClass, scoreAccuracy, UNSEEN } from './accuracy.ts';
import { graphMacs } from './cost.ts';
import { asFloat, concrete, drawBytes, drawImages, imageDims, imageInput } from './inputs.ts';

export interface ClassifyParams {
  /** Images come from here when the model has a `preprocess`; seeded noise otherwise. Speed is the same. */
  readonly dataset?: string;
  /** `test` when left out. */
  readonly split?: string;
  /** Samples that accuracy is scored on, from the start of the split; 1,000 when left out. */
  readonly samples?: number;
  /** A split whose kinds training never showed: its top-1 is reported beside that of `split`. */
  readonly unseen?: string;
  /** Graph of the model; `model` when left out. */
  readonly graph?: string;
}

const metric = (name: string, unit: string, better: Metric['better'], of: Metric['of']): Metric => ({
  name,
  unit,
  better,
  assume: of === 'score' ? 'exact' : 'nothing',
  of,
});

/** Held batches are cycled through while timing; more would only show up in the memory that is measured. */
const HELD = { count: 4, maxBytes: 16 * 2 ** 20 };

async function splitOf(job: Job<ClassifyParams>, dataset: Dataset): Promise<readonly Sample[]> {
  const samples = await dataset.samples(job.params.split ?? 'test');
  return samples.slice(0, job.params.samples ?? 1000);
}

/** What the model's graph takes: its features where it has some, else an image batch. */
function inputOf(model: ModelDef, inputs: readonly ValueInfo[]): ValueInfo {
  if (!model.features) return imageInput(inputs);
  const [input] = inputs;
  if (input && inputs.length === 1) return input;
  throw new VersusError('unsupported', 'a graph of features has exactly one input', {
    where: `${model.name}: ${inputs.map((i) => i.name).join(', ') || 'no inputs'}`,
  });
}

/** Batches of decoded and preprocessed images, what the timed steps start from. */
async function imagesOf(
  job: Job<ClassifyParams>,
  input: ValueInfo,
  samples: readonly Sample[] | null,
): Promise<Tensor[]> {
  const { preprocess, features } = job.model;
  const shape = features
    ? [job.batch, 3, features.height, features.width]
    : concrete(input, imageDims(input, job.model, job.batch));
  if (!samples || !preprocess)
    return [features ? drawBytes(shape, job.seed) : drawImages(input, shape, job.seed)];
  const held = await holdBatches(random(job.seed).shuffle(samples), preprocess, {
    batch: job.batch,
    ...HELD,
  });
  if (held[0]!.images.shape.join() !== shape.join()) {
    throw new VersusError(
      'usage',
      `preprocessing yields [${held[0]!.images.shape}], the ${features ? 'features want' : 'graph takes'} [${shape}]`,
      {
        where: `${job.model.name}: input ${input.name}`,
        next: "make the model's `preprocess` yield that size",
      },
    );
  }
  return held.map((batch) => (features ? batch.images : asFloat(batch.images, input.dtype)));
}

/** The logits among a graph's outputs: the one of that name, else the first. */
function logitsOf(session: Session, outputs: Tensors): Tensor {
  const name = session.outputs.find((o) => o.name === 'logits')?.name ?? session.outputs[0]?.name ?? '';
  const logits = outputs[name];
  if (!logits) throw new VersusError('unsupported', 'the graph has no output to read logits from');
  return logits;
}

/**
 * Image batches through one graph [batch, 3, H, W] → logits: latency of a batch, images per second, achieved GFLOP/s, and
 * top-1/top-5 where the weights are trained and the model knows the dataset's classes by name.
 *
 * A model with `features` has a phase more: `features` on the host, then `infer`. Latency and rate are of both, so that they
 * compare with other models'; MACs are the graph's, and so are the GFLOP/s, over `infer` alone.
 */
export const classify: Workload<ClassifyParams> = {
  name: 'classify',
  metrics: [
    metric('latency', 'ms', 'lower', 'duration'),
    metric('throughput', 'images/s', 'higher', 'rate'),
    { ...metric('gflops', 'GFLOP/s', 'higher', 'flops'), phases: ['infer'] },
    metric('top1', 'share', 'higher', 'score'),
    metric('top5', 'share', 'higher', 'score'),
    metric(UNSEEN, 'share', 'higher', 'score'),
  ],

  macs: (params: ClassifyParams, batch: number, model: ModelDef) =>
    graphMacs(model, params.graph ?? 'model', (graph) =>
      imageDims(inputOf(model, graph.inputs), model, batch),
    ),

  async open(job) {
    const session = await job.open(job.params.graph ?? 'model');
    const { preprocess, features } = job.model;
    const input = inputOf(job.model, session.inputs);
    const dataset = job.params.dataset ? await job.dataset(job.params.dataset) : null;
    const samples = dataset ? await splitOf(job, dataset) : null;
    const held = await imagesOf(job, input, samples);
    const targets = dataset && job.trained ? logitOfClass(job.model, dataset) : null;
    const scored = samples?.filter((s) => s.label !== undefined) ?? [];
    const unseen =
      dataset && job.params.unseen ? await labelledOf(dataset, job.params.unseen, job.params.samples) : [];
    const feedOf = (images: Tensor): Tensors => ({
      [input.name]: asFloat(features ? extractFeatures(images, features) : images, input.dtype),
    });

    return {
      async *steps(repetition) {
        const images = held[repetition % held.length]!;
        let feed: Tensors = features ? {} : feedOf(images);
        if (features) {
          const run = async () => {
            feed = feedOf(images);
          };
          // The images count once, where they are done.
          yield { phase: 'features', items: 0, run };
        }
        yield { phase: 'infer', items: job.batch, run: () => session.run(feed) };
      },
      outputs: () => session.run(feedOf(held[0]!)),
      ...(targets && preprocess && scored.length > 0
        ? {
            async scores() {
              const score = (of: readonly Sample[]) =>
                scoreAccuracy(
                  of,
                  preprocess,
                  job.batch,
                  async (images) => logitsOf(session, await session.run(feedOf(images))),
                  (sample) => targets[sample.label!]!,
                );
              return [...(await score(scored)), ...(unseen.length > 0 ? asUnseen(await score(unseen)) : [])];
            },
          }
        : {}),
      close: () => session.close(),
    };
  },
};
