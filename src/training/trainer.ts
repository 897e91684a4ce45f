import type { Backend, OpenOptions, Resident, ResidentSession } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef, WeightSource } from '../core/model.ts';
import { readParam } from '../core/read-param.ts';
import { allocate, elementCount, float32, type Tensor, type Tensors, toNumbers } from '../core/tensor.ts';
import { openArtifactResident, prepareArtifacts, seeded } from '../weights/index.ts';
import { asParameter, parameterShape, stored } from './layout.ts';
import type { TrainingStep } from './step.ts';

export interface TrainerOptions {
  readonly backend: Backend;
  readonly open?: OpenOptions;
  readonly cacheDir: string;
  readonly maxBytes: number;
}

export interface StepResult {
  /** Of the batch, with the weights before the step. */
  readonly loss: number;
  /** Norm of the gradients ahead of clipping, where the step computes it. */
  readonly norm?: number;
  /** False where a gradient of a scaled loss overflowed, and the state stayed as it was. */
  readonly taken: boolean;
}

/** A training step on a backend, with its state on the device between steps. */
export class Trainer {
  readonly step: TrainingStep;
  readonly #session: ResidentSession;
  readonly #where: string;
  #state: Record<string, Resident>;
  #steps = 0;

  /**
   * Opens the step and puts its state on the device. The frozen weights lie in the artifact, as for inference.
   *
   * @param state numbers by input of the state, of a checkpoint; those that are missing start as `initialState` has them. The
   *   trainer owns the arrays from then on and may write into them
   * @throws VersusError as `prepareArtifacts` and the backend's `openResident`
   */
  static async open(
    model: ModelDef,
    step: TrainingStep,
    options: TrainerOptions,
    state: Tensors = {},
  ): Promise<Trainer> {
    const { backend, cacheDir, maxBytes } = options;
    const open: OpenOptions = { precision: 'fp32', ...backend.training?.open, ...options.open };
    const own: ModelDef = { ...model, name: `${model.name}.train`, build: () => ({ step: step.graph }) };
    const artifacts = await prepareArtifacts(own, { cacheDir, maxBytes, precision: 'fp32' });
    const kept = new Set(step.state.map((s) => s.output));
    const session = await openArtifactResident(backend, artifacts.step!, open, (output) => kept.has(output));
    try {
      const residents: Record<string, Resident> = {};
      for await (const [input, tensor] of initialState(model, step, state)) {
        residents[input] = await session.put(tensor);
      }
      return new Trainer(step, session, residents, `training ${model.name} on ${backend.name}`);
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  private constructor(
    step: TrainingStep,
    session: ResidentSession,
    state: Record<string, Resident>,
    where: string,
  ) {
    this.step = step;
    this.#session = session;
    this.#state = state;
    this.#where = where;
  }

  /** What is open, for placement, options and traffic. */
  get session(): ResidentSession {
    return this.#session;
  }

  /** Steps taken since it was opened. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * The present state by input, laid out as `step.state` says, for sessions of the same backend that read it; this trainer goes
   * on owning it.
   */
  get state(): Readonly<Record<string, Resident>> {
    return this.#state;
  }

  /**
   * One step over a batch.
   *
   * @param scalars numbers of `step.scalars`
   * @throws VersusError `input` when the loss is no finite number: names the step; the state is then of no use any more
   */
  async run(batch: Tensors, scalars: Readonly<Record<string, number>>): Promise<StepResult> {
    const { step } = this;
    const numbers = step.scalars.map((name) => [name, float32([], [scalars[name]!])] as const);
    const donated = step.state.map(({ input, output }) => [output, this.#state[input]!] as const);
    const { host, kept } = await this.#session.run(
      { ...batch, ...Object.fromEntries(numbers), ...this.#state },
      undefined,
      Object.fromEntries(donated),
    );
    for (const { input, output } of step.state) this.#state[input] = kept[output]!;
    this.#steps++;
    const loss = toNumbers(host[step.loss]!)[0]!;
    const taken = !step.finite || toNumbers(host[step.finite]!)[0] === 1;
    // A smaller scale of the loss may yet bring a finite step.
    const hopeless = taken || (scalars.loss_scale ?? 1) <= 1;
    if (hopeless && !(taken && Number.isFinite(loss))) {
      throw new VersusError('input', `the loss of step ${this.#steps} is ${loss}`, {
        where: this.#where,
        next: 'train with a smaller learning rate, a warm-up or clipped gradients, from the last checkpoint',
      });
    }
    return { loss, taken, ...(step.norm && { norm: toNumbers(host[step.norm]!)[0]! }) };
  }

  /** A tensor of the state on the host in the shape of its parameter, as a copy that later steps leave alone. */
  async read(input: string): Promise<Tensor> {
    const tensor = await this.#session.read(this.#state[input]!);
    const state = this.step.state.find((s) => s.input === input)!;
    const made = asParameter(tensor, state, this.step.params);
    return made.data === tensor.data ? { ...made, data: made.data.slice() } : made;
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}

/**
 * What a step starts from, laid out as it is fed: given numbers (in the shapes of the parameters), the model's own for weights and buffers, the optimiser's for the rest.
 * @throws VersusError `input` for given numbers of another type or shape
 */
export async function* initialState(
  model: ModelDef,
  step: TrainingStep,
  given: Tensors = {},
): AsyncGenerator<readonly [string, Tensor], void> {
  const drawn = step.params.filter((p) => !Object.hasOwn(given, p.name));
  const spec = model.weights ?? seeded();
  const source: WeightSource | null = drawn.length > 0 ? await spec.open(drawn) : null;
  try {
    for (const tensor of step.state) {
      const { input, dtype, initial, of } = tensor;
      const shape = parameterShape(tensor, step.params);
      const known = Object.hasOwn(given, input) ? given[input] : undefined;
      if (known && (known.dtype !== dtype || known.shape.join() !== shape.join())) {
        throw new VersusError(
          'input',
          `${input} is ${known.dtype} [${known.shape}], not ${dtype} [${shape}]`,
          {
            where: `the state of ${model.name}`,
            next: 'resume from a checkpoint of the same model, scope and optimiser',
          },
        );
      }
      const param = step.params.find((p) => p.name === of);
      if (known) yield [input, stored(known, tensor)];
      else if (initial === undefined) yield [input, stored(await readParam(source!, param!), tensor)];
      else {
        const data = allocate(dtype, elementCount(shape));
        if (initial !== 0) (data as Float32Array).fill(initial);
        yield [input, { dtype, shape: tensor.shape, data }];
      }
    }
  } finally {
    await source?.close();
  }
}
