import type { ResidentSession, Residents } from '../core/backend.ts';
import { float32 } from '../core/tensor.ts';
import type { Activity, Job, Step } from '../core/workload.ts';
import { Batches } from '../training/batches.ts';
import type { Example } from '../training/examples.ts';
import { Trainer } from '../training/trainer.ts';
import { transferOf } from '../training/transfer.ts';
import { openAutograd } from './train-autograd.ts';
import { scoresOf } from './train-scores.ts';
import { fedTo, opening, setupOf } from './train-sessions.ts';
import type { Setup, TrainParams } from './train-setup.ts';
import { COMPARED, Held, scalarsAt, timedScalars } from './train-work.ts';

/** A case of `train` in its worker. */
export async function openTraining(job: Job<TrainParams>): Promise<Activity> {
  const setup = setupOf(job);
  const examples = await transferOf(
    job.model,
    setup.graphs,
    await job.dataset(job.params.dataset),
    job.params,
    job.model.task === 'classify' ? setup.forward.classes : null,
  );
  const batchesOf = (of: readonly Example[]): Batches =>
    new Batches(job.model, setup.forward, of, {
      seed: job.seed,
      ...(setup.tokenizer && { tokenizer: setup.tokenizer }),
      ...(setup.before && { before: setup.before.text }),
    });
  const batches = batchesOf(examples.train);
  // What its losses are compared with are those of our step.
  if (job.params.by === 'autograd' && job.pass !== 'reference') return openAutograd(job, setup, batches);
  const kept = new Set(setup.step.state.map((s) => s.output));
  const session = await opening(job, 'step', (output) => kept.has(output));
  const start = (): Promise<Trainer> =>
    Trainer.over(session, job.built!, setup.step, `training ${job.model.name}`);
  /** Some steps from the start; the caller releases the trainer. */
  const learn = async (steps: number, of: number): Promise<{ trainer: Trainer; losses: number[] }> => {
    const trainer = await start();
    const losses: number[] = [];
    for (let i = 0; i < steps; i++) {
      losses.push((await trainer.run(await batches.at(i), scalarsAt(job.params, i, of))).loss);
    }
    return { trainer, losses };
  };
  const timing = new Timing(job, setup, batches, start);
  return {
    steps: () => timing.steps(),
    async outputs() {
      const { trainer, losses } = await learn(COMPARED, COMPARED);
      trainer.release();
      return { losses: float32([losses.length], losses) };
    },
    scores: () => scoresOf(job, setup, examples, batchesOf, start, learn),
    facts: () => setup.facts,
    async close() {
      await timing.close();
      await session.close();
    },
  } satisfies Activity;
}

/** The timed work: one trainer that goes on and on, and the parts of its step beside it. */
class Timing {
  readonly #job: Job<TrainParams>;
  readonly #setup: Setup;
  readonly #start: () => Promise<Trainer>;
  readonly #held: Held;
  #trainer: Trainer | null = null;
  #parts: { forward: ResidentSession; backward: ResidentSession } | null = null;
  #gradients: Residents = {};

  constructor(job: Job<TrainParams>, setup: Setup, batches: Batches, start: () => Promise<Trainer>) {
    this.#job = job;
    this.#setup = setup;
    this.#held = new Held(batches);
    this.#start = start;
  }

  async *steps(): AsyncGenerator<Step, void> {
    this.#trainer ??= await this.#start();
    const trainer = this.#trainer;
    const batch = await this.#held.at(trainer.steps);
    const items = this.#job.batch;
    if (this.#job.pass === 'speed') {
      const { forward, backward } = await this.#open();
      const feeds = { ...batch, ...trainer.state };
      yield { phase: 'forward', items, run: () => forward.run(fedTo(forward, feeds)) };
      yield {
        phase: 'backward',
        items,
        run: async () => {
          const { kept } = await backward.run(fedTo(backward, feeds), undefined, this.#gradients);
          this.#gradients = kept;
        },
      };
    }
    const scalars = timedScalars(this.#job.params, trainer.steps);
    yield { phase: 'step', items, run: () => trainer.run(batch, scalars) };
  }

  async #open(): Promise<{ forward: ResidentSession; backward: ResidentSession }> {
    if (this.#parts) return this.#parts;
    const stays = new Set(this.#setup.parts.gradients);
    const forward = await opening(this.#job, 'forward', (output) => this.#isBuffer(output));
    const backward = await opening(this.#job, 'backward', (o) => stays.has(o) || this.#isBuffer(o));
    this.#parts = { forward, backward };
    return this.#parts;
  }

  #isBuffer(output: string): boolean {
    return this.#setup.step.state.some((s) => s.holds === 'buffer' && s.output === output);
  }

  async close(): Promise<void> {
    await this.#parts?.forward.close();
    await this.#parts?.backward.close();
  }
}
