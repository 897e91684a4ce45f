import type { AutogradSession } from '../core/autograd.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { readParam } from '../core/read-param.ts';
import { bytesPerElement, elementCount, float32, type Tensors } from '../core/tensor.ts';
import type { Activity, Job } from '../core/workload.ts';
import type { Batches } from '../training/batches.ts';
import { wholeWeights } from '../training/whole.ts';
import type { Setup, TrainParams } from './train-setup.ts';
import { COMPARED, Held, scalarsAt, timedScalars } from './train-work.ts';

/**
 * A case that the backend's own autograd trains: whole steps over the batches, rates and weights of ours, whose losses are the
 * reference's. It doesn't say what a part of a step takes, and its weights are not judged.
 * @throws VersusError `unsupported` where the backend has no autograd, or as its `openAutograd`
 */
export async function openAutograd(job: Job<TrainParams>, setup: Setup, batches: Batches): Promise<Activity> {
  const training = new Training(job, setup);
  await training.open();
  const learn = async (steps: number): Promise<number[]> => {
    const losses: number[] = [];
    await training.restart();
    for (let i = 0; i < steps; i++) {
      losses.push((await training.run(await batches.at(i), scalarsAt(job.params, i, steps))).loss);
    }
    return losses;
  };
  const held = new Held(batches);
  return {
    async *steps() {
      const batch = await held.at(training.steps);
      const scalars = timedScalars(job.params, training.steps);
      yield { phase: 'step', items: job.batch, run: () => training.run(batch, scalars) };
    },
    async outputs() {
      return { losses: float32([COMPARED], await learn(COMPARED)) };
    },
    async scores() {
      const losses = await learn(job.params.steps);
      return [{ metric: 'loss', value: losses.at(-1)!, n: losses.length, curve: losses }];
    },
    facts: () => factsOf(setup),
    close: () => training.close(),
  };
}

/** One session at a time, opened anew where training begins again. */
class Training {
  readonly #job: Job<TrainParams>;
  readonly #setup: Setup;
  #session: AutogradSession | null = null;
  #steps = 0;

  constructor(job: Job<TrainParams>, setup: Setup) {
    this.#job = job;
    this.#setup = setup;
  }

  /** Steps since it began. */
  get steps(): number {
    return this.#steps;
  }

  async open(): Promise<void> {
    const { openAutograd, model, built } = this.#job;
    if (!openAutograd) {
      throw new VersusError('unsupported', 'the backend has no autograd that could train a model', {
        where: model.name,
        next: 'train it as a graph, or run this arm on a backend of tfjs',
      });
    }
    const weights = await numbersOf(built!, this.#setup);
    this.#session = await openAutograd({ ...this.#setup.autograd, weights });
    this.#steps = 0;
  }

  async restart(): Promise<void> {
    if (this.#steps === 0) return;
    await this.close();
    await this.open();
  }

  run(batch: Tensors, scalars: Readonly<Record<string, number>>): Promise<{ readonly loss: number }> {
    this.#steps++;
    return this.#session!.run(batch, scalars);
  }

  async close(): Promise<void> {
    await this.#session?.close();
  }
}

/** The weights that training begins with, by the checkpoint's names. */
async function numbersOf(built: ModelDef, { forward }: Setup): Promise<Tensors> {
  const params = forward.graph.params.filter((p) => p.role === 'weight');
  const source = await (await wholeWeights(built)).open(params);
  try {
    const numbers: Tensors = {};
    for (const param of params) numbers[param.name] = await readParam(source, param);
    return numbers;
  } finally {
    await source.close();
  }
}

/** What is true of the model and of what is computed, however it is: not what is predicted of our step. */
function factsOf({ facts, forward }: Setup): Record<string, number> {
  const weights = forward.graph.params.filter((p) => p.role === 'weight');
  const told = Object.entries(facts).filter(([name]) => !name.startsWith('predicted_'));
  return {
    ...Object.fromEntries(told),
    nodes: forward.graph.nodes.length,
    weight_bytes: weights.reduce((sum, p) => sum + elementCount(p.shape) * bytesPerElement(p.dtype), 0),
  };
}
