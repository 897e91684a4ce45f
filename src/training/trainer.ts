import type { Backend, OpenOptions, Resident, ResidentSession } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { Artifact, ModelDef, WeightSource, WeightSpec } from '../core/model.ts';
import { readParam } from '../core/read-param.ts';
import { allocate, elementCount, float32, type Tensor, type Tensors, toNumbers } from '../core/tensor.ts';
import { openArtifactResident, prepareArtifacts } from '../weights/index.ts';
import { asParameter, parameterShape, stored } from './layout.ts';
import { openingOf } from './opening.ts';
import type { TrainingStep } from './step.ts';
import { wholeWeights } from './whole.ts';

export interface TrainerOptions {
  readonly backend: Backend;
  readonly open?: OpenOptions;
  readonly cacheDir: string;
  readonly maxBytes: number;
  /** Steps that were taken before, by a training that goes on; 0 when left out. */
  readonly taken?: number;
}

export interface StepResult {
  /** Of the batch, with the weights before the step; of several micro-batches their mean. */
  readonly loss: number;
  /** Norm of the gradients ahead of clipping, where the step computes it. */
  readonly norm?: number;
  /** False where a gradient of a scaled loss overflowed, and the state stayed as it was. */
  readonly taken: boolean;
}

/** The loss is no finite number: the weights that gave it are of no use. */
export class Divergence extends VersusError {}

/** A training step on a backend, with its state on the device between steps. */
export class Trainer {
  readonly step: TrainingStep;
  /** Identity of the frozen weights by their content: the same on every machine. Null over a session of somebody else's. */
  readonly frozen: string | null;
  readonly #session: ResidentSession;
  /** Of micro-batches that update nothing. */
  readonly #adding: ResidentSession | undefined;
  readonly #where: string;
  #state: Record<string, Resident>;
  #steps: number;

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
    const { backend, cacheDir, maxBytes, taken = 0 } = options;
    const open: OpenOptions = { precision: 'fp32', ...openingOf(step, backend.training, options.open) };
    const weights = await wholeWeights(model);
    const adding = step.accumulation;
    const build = () => ({ step: step.graph, ...(adding && { accumulation: adding.graph }) });
    const { files: _, ...rest } = model;
    const own: ModelDef = { ...rest, name: `${model.name}.train`, weights, build };
    const artifacts = await prepareArtifacts(own, { cacheDir, maxBytes, precision: 'fp32' });
    const frozen = await contentOf(artifacts.step!);
    const kept = new Set([...step.state, ...(adding?.state ?? [])].map((s) => s.output));
    const sessions: ResidentSession[] = [];
    try {
      for (const name of ['step', 'accumulation']) {
        const artifact = artifacts[name];
        if (!artifact) continue;
        sessions.push(await openArtifactResident(backend, artifact, open, (output) => kept.has(output)));
      }
      const residents = await put(sessions[0]!, initialState(model.name, weights, step, state, cacheDir));
      const where = `training ${model.name} on ${backend.name}`;
      return new Trainer(step, sessions, residents, { where, frozen, taken });
    } catch (error) {
      for (const session of sessions) await session.close();
      throw error;
    }
  }

  /**
   * Over a session that is open already and keeps all of the step's state; several trainers may take turns on one.
   * @param where what errors name
   */
  static async over(
    session: ResidentSession,
    model: ModelDef,
    step: TrainingStep,
    where: string,
    state: Tensors = {},
  ): Promise<Trainer> {
    const weights = await wholeWeights(model);
    const residents = await put(session, initialState(model.name, weights, step, state));
    return new Trainer(step, [session], residents, { where, frozen: null, taken: 0 });
  }

  private constructor(
    step: TrainingStep,
    [session, adding]: readonly ResidentSession[],
    state: Record<string, Resident>,
    about: { readonly where: string; readonly frozen: string | null; readonly taken: number },
  ) {
    this.step = step;
    this.frozen = about.frozen;
    this.#session = session!;
    this.#adding = adding;
    this.#state = state;
    this.#where = about.where;
    this.#steps = about.taken;
  }

  /** What is open, for placement, options and traffic. */
  get session(): ResidentSession {
    return this.#session;
  }

  /** Steps taken, those before it was opened among them. */
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
   * One step over a batch, or over the micro-batches that it is made of.
   *
   * @param scalars numbers of `step.scalars`
   * @throws Divergence `input` when the loss is no finite number: names the step; the state is then of no use any more
   */
  async run(
    batch: Tensors | readonly Tensors[],
    scalars: Readonly<Record<string, number>>,
  ): Promise<StepResult> {
    const { step } = this;
    const parts = Array.isArray(batch) ? (batch as readonly Tensors[]) : [batch as Tensors];
    const losses: number[] = [];
    for (const part of parts.slice(0, -1)) losses.push(await this.#add(part, scalars));
    const numbers = step.scalars.map((name) => [name, float32([], [scalars[name]!])] as const);
    const donated = step.state.map(({ input, output }) => [output, this.#state[input]!] as const);
    const { host, kept } = await this.#session.run(
      { ...parts.at(-1), ...Object.fromEntries(numbers), ...this.#state },
      undefined,
      Object.fromEntries(donated),
    );
    for (const { input, output } of step.state) this.#state[input] = kept[output]!;
    this.#steps++;
    losses.push(toNumbers(host[step.loss]!)[0]!);
    const loss = losses.reduce((sum, l) => sum + l, 0) / losses.length;
    const taken = !step.finite || toNumbers(host[step.finite]!)[0] === 1;
    // A smaller scale of the loss may yet bring a finite step.
    const hopeless = taken || (scalars.loss_scale ?? 1) <= 1;
    if (hopeless && !(taken && Number.isFinite(loss))) {
      throw new Divergence('input', `the loss of step ${this.#steps} is ${loss}`, {
        where: this.#where,
        next: 'train with a smaller learning rate, a warm-up or clipped gradients, from the last checkpoint',
      });
    }
    return { loss, taken, ...(step.norm && { norm: toNumbers(host[step.norm]!)[0]! }) };
  }

  /** A micro-batch's gradients onto the sums. @returns its loss */
  async #add(part: Tensors, scalars: Readonly<Record<string, number>>): Promise<number> {
    const { accumulation, loss } = this.step;
    if (!accumulation || !this.#adding) throw new TypeError('the step was not made for micro-batches');
    const { state, reads } = accumulation;
    const read = [...reads, ...state.map((s) => s.input)].map((name) => [name, this.#state[name]!] as const);
    const donated = state.map(({ input, output }) => [output, this.#state[input]!] as const);
    const numbers = accumulation.scalars.map((name) => [name, float32([], [scalars[name]!])] as const);
    const { host, kept } = await this.#adding.run(
      { ...part, ...Object.fromEntries(numbers), ...Object.fromEntries(read) },
      undefined,
      Object.fromEntries(donated),
    );
    for (const { input, output } of state) this.#state[input] = kept[output]!;
    return toNumbers(host[loss]!)[0]!;
  }

  /** A tensor of the state on the host in the shape of its parameter, as a copy that later steps leave alone. */
  async read(input: string): Promise<Tensor> {
    const tensor = await this.#session.read(this.#state[input]!);
    const state = this.step.state.find((s) => s.input === input)!;
    const made = asParameter(tensor, state, this.step.params);
    return made.data === tensor.data ? { ...made, data: made.data.slice() } : made;
  }

  /** Frees the state and leaves the session open, for another trainer. */
  release(): void {
    for (const resident of Object.values(this.#state)) resident.dispose();
    this.#state = {};
  }

  async close(): Promise<void> {
    await this.#adding?.close();
    await this.#session.close();
  }
}

async function put(
  session: ResidentSession,
  tensors: AsyncIterable<readonly [string, Tensor]>,
): Promise<Record<string, Resident>> {
  const residents: Record<string, Resident> = {};
  for await (const [input, tensor] of tensors) residents[input] = await session.put(tensor);
  return residents;
}

async function contentOf(artifact: Artifact): Promise<string> {
  const weights = await artifact.weights();
  await weights.close();
  return weights.content ?? weights.id;
}

/**
 * What a step starts from, laid out as it is fed: given numbers (in the shapes of the parameters), the model's own for weights
 * and buffers, the optimiser's for the rest.
 * @throws VersusError `input` for given numbers of another type or shape
 */
async function* initialState(
  model: string,
  spec: WeightSpec,
  step: TrainingStep,
  given: Tensors,
  cacheDir?: string,
): AsyncGenerator<readonly [string, Tensor], void> {
  const drawn = step.params.filter((p) => !Object.hasOwn(given, p.name));
  const source: WeightSource | null =
    drawn.length > 0 ? await spec.open(drawn, cacheDir === undefined ? {} : { cacheDir }) : null;
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
            where: `the state of ${model}`,
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
