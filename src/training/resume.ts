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
 * That a training may go on from a checkpoint: the model, what of it trains, how, and on what are the same. Learning rate,
 * schedule, decay, the norm to clip at and the number of steps may be new ones.
 * @throws VersusError `usage` that names what differs
 */
export function requireSame(
  { folder, about }: Saved,
  { model, settings, architecture }: Pick<Setup, 'model' | 'settings' | 'architecture'>,
  data: About['data'],
): void {
  const refuse = (what: string, next: string): never => {
    throw new VersusError('usage', oneLine(`the checkpoint cannot go on: ${what}`), { where: folder, next });
  };
  if (about.model.architecture !== architecture) {
    refuse(
      `it is of model ${about.model.name}, whose parameters are not those of ${model.name}`,
      `resume with ${about.model.name}, or begin a training of ${model.name} without --resume`,
    );
  }
  const [other] = changed(about.settings, settings);
  if (other) {
    refuse(
      `${other.what} was ${other.before}, and is ${other.now}`,
      'leave that option out, or begin anew without --resume',
    );
  }
  if (
    about.data.name !== data.name ||
    about.data.sha256 !== data.sha256 ||
    about.data.examples !== data.examples
  ) {
    refuse(
      `it learnt from ${about.data.examples} examples of dataset ${about.data.name}, and these are ${data.examples} of ${data.name}${about.data.name === data.name ? ', which has changed' : ''}`,
      'resume with the dataset as it was',
    );
  }
  if (about.step >= settings.schedule.steps) {
    refuse(`it has taken ${about.step} of ${settings.schedule.steps} steps`, 'ask for more with --steps');
  }
}

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
