import { join } from 'node:path';
import { oneLine, VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import type { Tensors } from '../core/tensor.ts';
import { contained } from '../weights/contained.ts';
import { safetensors } from '../weights/index.ts';
import { loadAdapter } from './adapter.ts';
import { type About, MODEL_FILE, type Saved } from './checkpoint.ts';
import { changed } from './settings.ts';
import type { Setup } from './setup.ts';

/**
 * That a checkpoint is of a model.
 * @param architecture as `architectureOf` gives it
 * @throws VersusError `usage` that names the checkpoint's own model
 */
export function requireModel({ folder, about }: Saved, model: ModelDef, architecture: string): void {
  const { name } = about.model;
  if (about.model.architecture === architecture) return;
  throw refusal(
    folder,
    `it is of model ${name}, whose parameters are not those of ${model.name}`,
    `resume with ${name}, or begin a training of ${model.name} without --resume`,
  );
}

/**
 * That a training may go on from a checkpoint: the model, what of it trains, how, and on what are the same. Learning rate,
 * schedule, decay, the norm to clip at and the number of steps may be new ones.
 * @throws VersusError `usage` that names what differs
 */
export function requireSame(
  saved: Saved,
  { model, settings, architecture }: Pick<Setup, 'model' | 'settings' | 'architecture'>,
  data: About['data'],
): void {
  requireModel(saved, model, architecture);
  const { folder, about } = saved;
  const [other] = changed(about.settings, settings);
  if (other) {
    const next = 'leave that option out, or begin anew without --resume';
    throw refusal(folder, `${other.what} was ${other.before}, and is ${other.now}`, next);
  }
  const told = ({ name, sha256, examples }: About['data']): string => `${name} ${sha256} ${examples}`;
  if (told(about.data) !== told(data)) {
    const was = `it learnt from ${about.data.examples} examples of dataset ${about.data.name}`;
    const same = about.data.name === data.name ? ', which has changed' : '';
    const what = `${was}, and these are ${data.examples} of ${data.name}${same}`;
    throw refusal(folder, what, 'resume with the dataset as it was');
  }
  if (about.step >= settings.schedule.steps) {
    const what = `it has taken ${about.step} of ${settings.schedule.steps} steps`;
    throw refusal(folder, what, 'ask for more with --steps');
  }
}

const refusal = (where: string, what: string, next: string): VersusError =>
  new VersusError('usage', oneLine(`the checkpoint cannot go on: ${what}`), { where, next });

/**
 * A setup and its state as a checkpoint left them: weights in place of those that the training began with.
 * @throws VersusError `input` for files that don't fit the training
 */
export async function resumed(
  { folder, moments }: Saved,
  setup: Setup,
): Promise<{ readonly model: ModelDef; readonly state: Tensors }> {
  const own = setup.step.state.filter(({ holds }) => ['moment1', 'moment2', 'factor'].includes(holds));
  const missing = own.find(({ input }) => !Object.hasOwn(moments, input));
  const wanted = new Set(own.map((s) => s.input));
  const stray = Object.keys(moments).find((name) => !wanted.has(name));
  if (missing || stray !== undefined) {
    throw new VersusError(
      'input',
      oneLine(
        missing
          ? `the optimiser's ${missing.input} is missing`
          : `${stray} is none of the optimiser's tensors`,
      ),
      { where: folder, next: 'resume from a checkpoint of the same model, scope and optimiser' },
    );
  }
  const { model, lora } = setup;
  if (!lora) {
    await contained(folder, MODEL_FILE);
    return { model: { ...model, weights: safetensors(join(folder, MODEL_FILE)) }, state: moments };
  }
  const graphs = Object.values(await model.build(model.config));
  const { tensors } = await loadAdapter(folder, graphs, { model: model.name });
  const absent = lora.trained.find((name) => !Object.hasOwn(tensors, name));
  if (absent !== undefined) {
    throw new VersusError('input', `the adapter lacks ${absent}`, {
      where: folder,
      next: 'resume from a checkpoint of the same model, scope and targets',
    });
  }
  const trained = lora.trained.map((name) => [name, tensors[name]!] as const);
  return { model, state: { ...moments, ...Object.fromEntries(trained) } };
}
