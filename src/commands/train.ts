import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Backend, OpenOptions, Precision } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { withAllLogits } from '../estimate/resize.ts';
import { readCheckpoint, type Saved } from '../training/checkpoint.ts';
import { sizesOf } from '../training/lengths.ts';
import { requireModel, requireSame } from '../training/resume.ts';
import { type RunOptions, type TrainingData, type TrainingOutcome, train } from '../training/run.ts';
import type { TrainingSettings } from '../training/settings.ts';
import { architectureOf, requireClasses, type Setup, setUp } from '../training/setup.ts';
import { type Found, findCheckpoint, Store } from '../training/store.ts';
import { type CommonOptions, cacheDir, lookingContextOf, print, printJson, say } from './context.ts';
import { wholeNumber } from './numbers.ts';
import { findBackend, findModel, requireAvailable } from './select.ts';
import { trainingData } from './train-data.ts';
import { outcomeLines, trainingPrinter } from './train-lines.ts';
import { explainedShortage, requireLasting, requireMemory } from './train-memory.ts';
import { type SettingsOptions, settingsOf } from './train-settings.ts';
import { weightsOption } from './weights-option.ts';

export interface TrainOptions extends CommonOptions, SettingsOptions {
  readonly dataset?: string;
  readonly sequence?: string;
  readonly evalEvery?: string;
  readonly evalSamples: string;
  readonly saveEvery?: string;
  readonly backend: string;
  readonly threads?: string;
  readonly weights?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly memoryCheck?: boolean;
  readonly quiet?: boolean;
}

/** What lies beside the weights of a published model and says how to use them. */
const COMPANIONS = [
  ...['config.json', 'preprocessor_config.json', 'generation_config.json'],
  ...['tokenizer.json', 'tokenizer_config.json'],
];

/**
 * `versus train MODEL`: exit code 0 when it is trained, or was stopped by Ctrl-C with a checkpoint. `--json`: `{ model, backend,
 * dataset, steps, stopped, loss: { first, last }, held_out: { before, after } or null, samples_per_second, seconds, trainable,
 * checkpoint, settings, losses }`; an evaluation is `{ step, loss, accuracy, n }`.
 */
export async function trainCommand(name: string, options: TrainOptions): Promise<number> {
  const loaded = await lookingContextOf(options);
  const backend = findBackend(loaded.config, options.backend);
  const { device, precisions } = await requireAvailable(backend);
  const model = modelOf(await findModel(loaded.config, name), options);
  const found = options.resume === undefined ? undefined : await findCheckpoint(options.resume);
  const saved = found && (await readCheckpoint(found.checkpoint));
  if (saved) requireModel(saved, model, await architectureOf(model));
  const graphs = await model.build(model.config);
  const tell = options.quiet || options.json ? () => {} : say;
  const data = await trainingData(loaded, model, graphs, options.dataset ?? saved?.about.data.name, tell);
  const sizes = await sizesFor(model, Object.keys(graphs), data, options, saved);
  const settings = settingsOf(options, sizes, saved?.about.settings);
  requireBatch(settings, data);
  requirePrecision(settings, backend.name, precisions);
  const target = backend.training?.microsoft ? { microsoft: true } : {};
  const asked = { model, settings, target };
  // Free memory is known of the host alone.
  const checked = options.memoryCheck !== false && device.kind === 'cpu';
  if (checked) await requireLasting(asked, process.availableMemory());
  const setup = await setUp(model, settings, data.heldOut.length, target);
  if (checked) await requireMemory(asked, setup.step, process.availableMemory());
  requireClasses([...data.training, ...data.heldOut], setup.forward, `dataset ${data.about.name}`);
  if (saved) requireSame(saved, setup, data.about);
  const store = await storeOf(model.name, options, found);
  const stop = stopOnSignal();
  try {
    const outcome = await train(
      setup,
      data,
      runOptions(loaded, backend, options, setup, store, stop.signal, saved),
      saved,
    );
    report(outcome, setup, data, backend, options);
    return 0;
  } catch (error) {
    await store.abandon(saved?.history.length ?? 0);
    throw await explainedShortage(error, asked, setup.step);
  } finally {
    stop.release();
  }
}

/** With the logits of every position, on the weights that are asked for. */
function modelOf(found: ModelDef, { weights }: TrainOptions): ModelDef {
  const model = withAllLogits(found);
  return weights === undefined ? model : { ...model, weights: weightsOption(weights) };
}

async function sizesFor(
  model: ModelDef,
  graphs: readonly string[],
  { training, heldOut, reading }: TrainingData,
  { sequence }: TrainOptions,
  saved: Saved | undefined,
): Promise<TrainingSettings['sizes']> {
  if (saved && sequence === undefined) return saved.about.settings.sizes;
  const { grid, ...sizes } = await sizesOf(model, graphs, [...training, ...heldOut], {
    ...reading,
    ...(sequence !== undefined && { sequence: wholeNumber('--sequence', sequence) }),
  });
  return { ...sizes, ...(grid && { grid: [grid[0], grid[1]] }) };
}

function requireBatch({ batch }: TrainingSettings, { about }: TrainingData): void {
  if (batch <= about.examples) return;
  throw new VersusError(
    'usage',
    `a batch of ${batch}, and there are ${about.examples} examples to learn from`,
    {
      where: `dataset ${about.name}`,
      next: `--batch can be ${about.examples} at most`,
    },
  );
}

function requirePrecision(
  { precision }: TrainingSettings,
  backend: string,
  precisions: readonly Precision[],
): void {
  if (precisions.includes(precision)) return;
  throw new VersusError('usage', `${backend} does not compute in ${precision} here`, {
    next: 'train in fp32, or on another backend: versus doctor says which has it',
  });
}

/** @throws VersusError `usage` where something else lies */
async function storeOf(model: string, { out }: TrainOptions, found: Found | undefined): Promise<Store> {
  const time = new Date()
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replace(/[-:]/g, '')
    .replace('T', '-');
  if (!found) return Store.create(out ?? join('training', `${model.replace(/[^\w.-]/g, '_')}-${time}`));
  const own = out === undefined || resolve(out) === found.training;
  if (!own) return Store.create(out);
  if (found.newest) return Store.reopen(found.training, found.checkpoint);
  throw new VersusError('usage', 'this is not the newest checkpoint of its training', {
    where: found.checkpoint,
    next: `resume from ${found.training}, or name a new folder with --out`,
  });
}

function runOptions(
  loaded: Awaited<ReturnType<typeof lookingContextOf>>,
  backend: Backend,
  options: TrainOptions,
  setup: Setup,
  store: Store,
  signal: AbortSignal,
  saved: Saved | undefined,
): RunOptions {
  const { steps } = setup.settings.schedule;
  const { threads, evalEvery, saveEvery } = options;
  const open: OpenOptions | undefined =
    threads === undefined ? undefined : { precision: 'fp32', threads: wholeNumber('--threads', threads) };
  const quiet = options.quiet || options.json;
  return {
    ...{ backend, store, signal, cacheDir: cacheDir(loaded), maxBytes: loaded.config.cache.maxBytes },
    ...(open && { open }),
    evalEvery: evalEvery === undefined ? steps : wholeNumber('--eval-every', evalEvery, 0),
    evalSamples: wholeNumber('--eval-samples', options.evalSamples),
    saveEvery:
      saveEvery === undefined ? Math.max(1, Math.ceil(steps / 4)) : wholeNumber('--save-every', saveEvery),
    companions: companionsOf(saved?.folder ?? setup.model.weights?.path),
    ...(!quiet && { onEvent: trainingPrinter() }),
  };
}

/** Files beside a checkpoint that a trained one needs, too. */
function companionsOf(path: string | undefined): string[] {
  if (path === undefined) return [];
  const folder = /\.(safetensors|json)$/.test(path) ? dirname(path) : path;
  return COMPANIONS.map((file) => join(folder, file)).filter((file) => existsSync(file));
}

function report(
  outcome: TrainingOutcome,
  { model, settings, lora }: Setup,
  { about }: TrainingData,
  backend: Backend,
  { json }: TrainOptions,
): void {
  if (!json) {
    for (const line of outcomeLines(model.name, outcome, lora !== null)) print(line);
    return;
  }
  const { steps, stopped, losses, evaluations, seconds, trainable, checkpoint } = outcome;
  printJson({
    ...{ model: model.name, backend: backend.name, dataset: about.name, steps, stopped },
    loss: { first: losses[0], last: losses.at(-1) },
    held_out: evaluations.length > 0 ? { before: evaluations[0], after: evaluations.at(-1) } : null,
    ...{ samples_per_second: outcome.samplesPerSecond, seconds, trainable, checkpoint, settings, losses },
  });
}

/** Ctrl-C ends the training after the step that runs; a second one ends the process at once. */
function stopOnSignal(): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const stop = (): void => {
    release();
    say('\nstopping after this step, with a checkpoint; press Ctrl-C again to leave at once');
    controller.abort();
  };
  const release = (): void => {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return { signal: controller.signal, release };
}
