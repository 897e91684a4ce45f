import type { Backend, OpenOptions } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { Tensors } from '../core/tensor.ts';
import { Batches, type BatchOptions } from './batches.ts';
import { type About, type Row, type Saved, writeCheckpoint } from './checkpoint.ts';
import { dropoutMasks } from './dropout.ts';
import type { Example } from './examples.ts';
import { checkLabels } from './forward/index.ts';
import { type Evaluation, Judge } from './judge.ts';
import { resumed } from './resume.ts';
import { RunLog } from './run-log.ts';
import { adamCorrections, FIRST_LOSS_SCALE, type LossScale, nextLossScale, rateAt } from './schedule.ts';
import type { Setup } from './setup.ts';
import type { Store } from './store.ts';
import { Divergence, Trainer } from './trainer.ts';

/** What a training learns from, and what it is judged by. */
export interface TrainingData {
  readonly about: About['data'];
  readonly training: readonly Example[];
  readonly heldOut: readonly Example[];
  readonly reading: Pick<BatchOptions, 'tokenizer' | 'before'>;
}

export interface RunOptions {
  readonly backend: Backend;
  readonly open?: OpenOptions;
  readonly cacheDir: string;
  readonly maxBytes: number;
  readonly store: Store;
  /** Steps between evaluations; one is made before the first and after the last step in any case. 0: none at all. */
  readonly evalEvery: number;
  /** Held-out samples that an evaluation takes at most. */
  readonly evalSamples: number;
  /** Steps between checkpoints; one is written at the end in any case. */
  readonly saveEvery: number;
  /** Files that are copied beside a model's weights. */
  readonly companions?: readonly string[];
  /** Aborted, the training ends after the step that runs, with a checkpoint. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: TrainingEvent) => void;
}

export type TrainingEvent =
  | { readonly type: 'opened'; readonly trainable: number; readonly step: number; readonly steps: number }
  | {
      readonly type: 'step';
      readonly step: number;
      readonly steps: number;
      readonly loss: number;
      readonly ms: number;
    }
  | ({ readonly type: 'evaluated' } & About['evaluations'][number])
  | { readonly type: 'saved'; readonly step: number; readonly path: string };

export interface TrainingOutcome {
  /** Steps taken in all, those before a resume among them. */
  readonly steps: number;
  readonly losses: readonly number[];
  readonly evaluations: readonly (Evaluation & { readonly step: number })[];
  /** Of this run: samples by the time that their steps took, without reading and decoding them. */
  readonly samplesPerSecond: number;
  /** Seconds of this run in all. */
  readonly seconds: number;
  readonly checkpoint: string;
  /** It was told to end early. */
  readonly stopped: boolean;
  /** Numbers that learn. */
  readonly trainable: number;
}

/**
 * Trains from the beginning or from a checkpoint on, and writes losses, evaluations and checkpoints on its way. The same settings
 * give the same losses and weights; on one machine's cpu to the bit, in one go or resumed.
 *
 * @throws VersusError as `Trainer`; one that fails on its way names the checkpoint that is left. `input` for labels that are none
 */
export async function train(
  setup: Setup,
  data: TrainingData,
  options: RunOptions,
  saved?: Saved,
): Promise<TrainingOutcome> {
  const { model, state } = saved ? await resumed(saved, setup) : { model: setup.model, state: {} };
  const run = new Run({ ...setup, model }, data, options, saved);
  return run.go(state);
}

class Run {
  readonly #setup: Setup;
  readonly #data: TrainingData;
  readonly #options: RunOptions;
  readonly #saved: Saved | undefined;
  readonly #batches: Batches;
  readonly #judge: Judge | null;
  readonly #history: Row[];
  readonly #evaluations: About['evaluations'];
  /** Steps that were not lost to an overflow. */
  #updates: number;
  /** In float16. */
  #scale: LossScale | null;

  constructor(setup: Setup, data: TrainingData, options: RunOptions, saved: Saved | undefined) {
    this.#setup = setup;
    this.#data = data;
    this.#options = options;
    this.#saved = saved;
    const { model, forward, judged, settings } = setup;
    const reading = { ...data.reading, seed: settings.seed };
    this.#batches = new Batches(model, forward, data.training, reading);
    this.#judge =
      judged && options.evalEvery > 0
        ? new Judge(
            model,
            judged.graph,
            new Batches(model, judged.forward, data.heldOut, { ...reading, seed: 0 }),
            options.evalSamples,
            options,
          )
        : null;
    this.#history = [...(saved?.history ?? [])];
    this.#evaluations = [...(saved?.about.evaluations ?? [])];
    this.#updates = saved?.about.updates ?? 0;
    this.#scale = saved?.about.lossScale ?? (settings.precision === 'fp16' ? FIRST_LOSS_SCALE : null);
  }

  async go(state: Tensors): Promise<TrainingOutcome> {
    const { settings, step, model } = this.#setup;
    const { store, signal, onEvent, evalEvery, saveEvery } = this.#options;
    const { steps } = settings.schedule;
    const began = performance.now();
    const trainer = await Trainer.open(model, step, { ...this.#options, taken: this.#history.length }, state);
    try {
      const log = await RunLog.open(store.folder, this.#history);
      this.#requireBase(trainer);
      const trainable = step.params
        .filter((p) => p.role === 'weight')
        .reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0);
      const first = trainer.steps;
      await log.event('start', {
        model: model.name,
        backend: this.#options.backend.name,
        step: first,
        steps,
        trainable,
        settings,
      });
      onEvent?.({ type: 'opened', trainable, step: first, steps });
      if (first === 0) await this.#evaluate(trainer, log);
      let milliseconds = 0;
      let path = this.#saved?.folder ?? '';
      while (trainer.steps < steps && !(signal?.aborted && trainer.steps > first)) {
        milliseconds += await this.#step(trainer, log);
        const done = trainer.steps;
        const last = done === steps || signal?.aborted === true;
        if (this.#judge && (last || done % evalEvery === 0)) await this.#evaluate(trainer, log);
        if (last || done % saveEvery === 0) path = await this.#save(trainer, log);
      }
      const outcome: TrainingOutcome = {
        ...{ steps: trainer.steps, trainable, checkpoint: path, stopped: trainer.steps < steps },
        ...{ losses: this.#history.map(([loss]) => loss), evaluations: this.#evaluations },
        samplesPerSecond: ((trainer.steps - first) * settings.batch) / (milliseconds / 1e3),
        seconds: (performance.now() - began) / 1e3,
      };
      const { losses: _, evaluations: __, ...facts } = outcome;
      await log.event('end', facts);
      return outcome;
    } catch (error) {
      throw await this.#explained(error, trainer.steps);
    } finally {
      await trainer.close();
    }
  }

  /** @returns milliseconds of the step itself */
  async #step(trainer: Trainer, log: RunLog): Promise<number> {
    const { settings, forward } = this.#setup;
    const { schedule, optimiser, microBatches } = settings;
    const index = trainer.steps;
    const parts: Tensors[] = [];
    for (let i = 0; i < microBatches; i++) {
      const at = index * microBatches + i;
      const batch = await this.#batches.at(at);
      if (batch.labels && forward.classes !== null) checkLabels(batch.labels, forward.classes);
      parts.push({ ...batch, ...this.#masks(at) });
    }
    const lr = rateAt(schedule, index);
    const corrections = optimiser.kind === 'adamw' ? adamCorrections(this.#updates + 1, optimiser.betas) : {};
    const began = performance.now();
    const scale = this.#scale && { loss_scale: this.#scale.scale };
    const { loss, taken, norm = Number.NaN } = await trainer.run(parts, { lr, ...corrections, ...scale });
    const ms = performance.now() - began;
    if (taken) this.#updates++;
    this.#scale = this.#scale && nextLossScale(this.#scale, taken);
    const row: Row = [loss, lr, norm];
    this.#history.push(row);
    await log.loss(trainer.steps, row);
    const told = { step: trainer.steps, loss, ms };
    await log.event('step', {
      ...told,
      learning_rate: lr,
      ...(!Number.isNaN(norm) && { gradient_norm: norm }),
      ...(scale && { ...scale, taken }),
    });
    this.#options.onEvent?.({ type: 'step', steps: schedule.steps, ...told });
    return ms;
  }

  #masks(step: number): Tensors {
    const { lora, settings } = this.#setup;
    if (!lora || lora.masks.length === 0) return {};
    return dropoutMasks(lora.masks, { dropout: lora.spec.dropout ?? 0, seed: settings.seed, step });
  }

  async #evaluate(trainer: Trainer, log: RunLog): Promise<void> {
    if (!this.#judge) return;
    const evaluation = { step: trainer.steps, ...(await this.#judge.run(trainer.state)) };
    this.#evaluations.push(evaluation);
    await log.event('evaluation', evaluation);
    this.#options.onEvent?.({ type: 'evaluated', ...evaluation });
  }

  async #save(trainer: Trainer, log: RunLog): Promise<string> {
    const { store, companions, cacheDir } = this.#options;
    const { model, settings, architecture } = this.#setup;
    const step = trainer.steps;
    const about: About = {
      version: 1,
      model: { ...{ name: model.name, architecture }, frozen: trainer.frozen!, weights: this.#weights() },
      ...{ settings, data: this.#data.about, step, evaluations: this.#evaluations },
      ...{ updates: this.#updates, lossScale: this.#scale },
    };
    const content = { about, history: this.#history, ...(companions && { companions }) };
    const path = await store.save(step, (folder) =>
      writeCheckpoint(folder, this.#setup, trainer, content, cacheDir),
    );
    await log.event('checkpoint', { step, path });
    this.#options.onEvent?.({ type: 'saved', step, path });
    return path;
  }

  /** What the training began with, also where it goes on from its own checkpoint. */
  #weights(): string {
    return this.#saved?.about.model.weights ?? this.#setup.model.weights?.label ?? '';
  }

  /** Adapters belong to the weights beside which they were trained. */
  #requireBase({ frozen }: Trainer): void {
    const saved = this.#saved;
    if (!saved || !this.#setup.lora || saved.about.model.frozen === frozen) return;
    throw new VersusError(
      'usage',
      'the checkpoint cannot go on: its adapters were trained beside other weights',
      {
        where: saved.folder,
        next: `give the weights that it began with: ${saved.about.model.weights}`,
      },
    );
  }

  /** The error with the checkpoint that is left. The newest is not, where it gave a loss that is no number. */
  async #explained(error: unknown, steps: number): Promise<unknown> {
    const { store } = this.#options;
    if (!(error instanceof VersusError) || error.kind === 'usage') return error;
    const bound = error instanceof Divergence ? steps - 1 : Number.POSITIVE_INFINITY;
    const left = await store.lastBefore(bound).catch(() => null);
    const { kind, message, where, next } = error;
    const how =
      left === null ? 'there is no good checkpoint' : `the last good checkpoint is ${left}: --resume ${left}`;
    return new VersusError(kind, message, {
      ...(where !== undefined && { where }),
      next: next === undefined ? how : `${next}; ${how}`,
      cause: error,
    });
  }
}
