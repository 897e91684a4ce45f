import type { Feeds, ResidentSession } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { random, seedOf } from '../core/random.ts';
import { float32, type Tensor, type Tensors, toNumbers } from '../core/tensor.ts';
import type { Activity, Job, LearningPoint, Score, Step } from '../core/workload.ts';
import { Batches } from '../training/batches.ts';
import { type Example, examplesOf } from '../training/examples.ts';
import { rightOnes } from '../training/right.ts';
import { Trainer } from '../training/trainer.ts';
import { seeded } from '../weights/index.ts';
import type { LearnParams } from './learn.ts';
import type { Learner, LearnSetup } from './learn-setup.ts';
import { fedTo, opening } from './train-sessions.ts';
import { COMPARED, HELD, scalarsAt, timedScalars } from './train-work.ts';

/** Of the images that all trainings of a case share: 20,000 of 48 × 48 pixels are 0.5 GiB. */
const CACHE_BYTES = 2 ** 30;

/** A case of `learn` in its worker. */
export async function openLearning(job: Job<LearnParams>): Promise<Activity> {
  const { student, teacher, facts } = (job.built as ModelDef<LearnSetup>).config;
  const { threads } = job.params;
  const openGraph = (graph: string, kept: ReadonlySet<string>): Promise<ResidentSession> =>
    opening(job, graph, (output) => kept.has(output), threads === undefined ? {} : { threads });
  const dataset = await job.dataset(job.params.dataset);
  const examples = {
    train: await examplesOf(job.model, ['model'], dataset, 'train'),
    test: await examplesOf(job.model, ['model'], dataset, 'test'),
  };
  const most = job.params.images.at(-1)!;
  if (examples.train.length < most) {
    throw new VersusError('usage', `${dataset.name} has ${examples.train.length} images to learn from`, {
      where: job.model.name,
      next: `take a larger dataset, or fewer than ${most} images`,
    });
  }
  const study = await Study.open(student, job.params, openGraph);
  let mentor: Study | null = null;
  // Ahead of any teacher: the label stands for what it says, which makes the same work and needs no training.
  const first = drawn(examples.train, job.params.images[0]!, 0).map((e) =>
    teacher ? { ...e, taught: e.label! } : e,
  );
  let timed: { trainer: Trainer; batches: Tensors[] } | null = null;
  return {
    async *steps(): AsyncGenerator<Step, void> {
      timed ??= { trainer: await study.start(0), batches: await study.batches(first, 0, HELD) };
      const { trainer, batches } = timed;
      const batch = batches[trainer.steps % batches.length]!;
      const scalars = timedScalars(job.params, trainer.steps);
      yield { phase: 'step', items: job.batch, run: () => trainer.run(batch, scalars) };
    },
    async outputs() {
      const trainer = await study.start(0);
      const losses = await study.train(trainer, first, 0, COMPARED);
      trainer.release();
      return { losses: float32([losses.length], losses) };
    },
    async scores(stage = () => {}) {
      if (teacher) mentor ??= await Study.open(teacher, job.params, openGraph);
      return scoresOf(job.params, examples, study, mentor, stage);
    },
    facts: () => facts,
    async close() {
      await mentor?.close();
      await study.close();
    },
  } satisfies Activity;
}

/** The images of a seed: its fewer ones are among its more. */
const drawn = (of: readonly Example[], count: number, seed: number): Example[] =>
  random(seedOf('images', seed)).shuffle(of).slice(0, count);

async function scoresOf(
  { images, seeds, samples = Number.POSITIVE_INFINITY }: LearnParams,
  { train, test }: { readonly train: readonly Example[]; readonly test: readonly Example[] },
  study: Study,
  mentor: Study | null,
  stage: (name: string) => void,
): Promise<Score[]> {
  const judged = test.slice(0, Math.floor(Math.min(samples, test.length) / study.size) * study.size);
  const accuracy: LearningPoint[] = [];
  const loss: LearningPoint[] = [];
  for (const count of images) {
    const [shares, losses]: [number[], number[]] = [[], []];
    for (let seed = 0; seed < seeds; seed++) {
      stage(`${count} images, seed ${seed}`);
      const own = drawn(train, count, seed);
      const taught = mentor ? await mentor.label(own, seed) : own;
      const { right, nats } = await study.judge(taught, seed, judged);
      shares.push(right);
      losses.push(nats);
    }
    accuracy.push({ images: count, values: shares });
    loss.push({ images: count, values: losses });
  }
  const score = (metric: string, learning: readonly LearningPoint[]): Score => ({
    ...{ metric, value: median(learning.at(-1)!.values), n: judged.length, learning },
  });
  return [score('accuracy', accuracy), score('loss', loss)];
}

/** A learner on its backend: every training begins anew over the same two sessions and the same decoded images. */
class Study {
  readonly #learner: Learner;
  readonly #steps: number;
  readonly #session: ResidentSession;
  readonly #judging: ResidentSession;
  readonly #images = new Map<string, Tensor>();

  static async open(
    learner: Learner,
    { steps }: LearnParams,
    opening: (graph: string, kept: ReadonlySet<string>) => Promise<ResidentSession>,
  ): Promise<Study> {
    const kept = new Set(learner.step.state.map((s) => s.output));
    const session = await opening(learner.graphs.step, kept);
    return new Study(learner, steps, session, await opening(learner.graphs.judging, new Set()));
  }

  private constructor(learner: Learner, steps: number, session: ResidentSession, judging: ResidentSession) {
    this.#learner = learner;
    this.#steps = steps;
    this.#session = session;
    this.#judging = judging;
  }

  /** Images of a batch. */
  get size(): number {
    return Number(this.#learner.forward.inputs[0]!.shape[0]);
  }

  /** Initial weights of a seed; the caller releases the trainer. */
  start(seed: number): Promise<Trainer> {
    const { model, step } = this.#learner;
    const drawnModel = { ...model, weights: seeded(seed) };
    return Trainer.over(this.#session, drawnModel, step, `training ${model.name}, seed ${seed}`);
  }

  async batches(examples: readonly Example[], seed: number, count: number): Promise<Tensors[]> {
    const batches = this.#batchesOf(examples, seed);
    const made: Tensors[] = [];
    for (let i = 0; i < count; i++) made.push(await batches.at(i));
    return made;
  }

  #batchesOf(examples: readonly Example[], seed: number, inputs = this.#learner.forward.inputs): Batches {
    const { model } = this.#learner;
    return new Batches(model, { inputs }, examples, { seed, kept: this.#images, cacheBytes: CACHE_BYTES });
  }

  /** @returns the loss of every step */
  async train(
    trainer: Trainer,
    examples: readonly Example[],
    seed: number,
    steps = this.#steps,
  ): Promise<number[]> {
    const batches = this.#batchesOf(examples, seed);
    const losses: number[] = [];
    for (let i = 0; i < steps; i++) {
      losses.push((await trainer.run(await batches.at(i), scalarsAt(this.#learner, i, steps))).loss);
    }
    return losses;
  }

  /** Trains anew and asks what became of it: the share of `test` that is right, and its mean cross-entropy in nats. */
  async judge(
    examples: readonly Example[],
    seed: number,
    test: readonly Example[],
  ): Promise<{ right: number; nats: number }> {
    const [right, nats]: [boolean[], number[]] = [[], []];
    await this.#learnt(examples, seed, test, (logits, labels) => {
      right.push(...rightOnes(logits, labels, { next: false }));
      nats.push(...crossEntropies(logits, toNumbers(labels)));
    });
    return { right: right.filter(Boolean).length / right.length, nats: mean(nats) };
  }

  /** Trains anew on the examples and says of each of them which class it chose. */
  async label(examples: readonly Example[], seed: number): Promise<Example[]> {
    // Whole batches: the first examples fill the last one.
    const missing = (this.size - (examples.length % this.size)) % this.size;
    const said = new Map<Example, number>();
    await this.#learnt(examples, seed, [...examples, ...examples.slice(0, missing)], (logits, _, batch) => {
      const values = toNumbers(logits);
      const width = logits.shape.at(-1)!;
      batch.forEach((example, row) => {
        const own = values.subarray(row * width, (row + 1) * width);
        said.set(example, own.indexOf(Math.max(...own)));
      });
    });
    return examples.map((example) => ({ ...example, taught: said.get(example)! }));
  }

  async #learnt(
    examples: readonly Example[],
    seed: number,
    asked: readonly Example[],
    answer: (logits: Tensor, labels: Tensor, batch: readonly Example[]) => void,
  ): Promise<void> {
    const trainer = await this.start(seed);
    await this.train(trainer, examples, seed);
    const { forward } = this.#learner;
    const inputs = forward.inputs.filter(({ name }) => name !== 'teacher_labels');
    const batches = this.#batchesOf(asked, 0, inputs);
    for (let i = 0; i < batches.perPass; i++) {
      const batch = await batches.at(i);
      const feeds: Feeds = fedTo<Feeds[string]>(this.#judging, { ...batch, ...trainer.state });
      const { host } = await this.#judging.run(feeds, [forward.logits]);
      answer(host[forward.logits]!, batch.labels!, batches.examplesAt(i));
    }
    trainer.release();
  }

  async close(): Promise<void> {
    await this.#judging.close();
    await this.#session.close();
  }
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1]!, sorted[sorted.length >> 1]!];
  return (low + high) / 2;
}

/** −log softmax of the label, row by row. @param logits [rows, classes] */
function crossEntropies(logits: Tensor, labels: Float64Array): number[] {
  const values = toNumbers(logits);
  const width = logits.shape.at(-1)!;
  return Array.from(labels, (label, row) => {
    const own = values.subarray(row * width, (row + 1) * width);
    const top = Math.max(...own);
    const sum = own.reduce((total, x) => total + Math.exp(x - top), 0);
    return Math.log(sum) + top - own[label]!;
  });
}
