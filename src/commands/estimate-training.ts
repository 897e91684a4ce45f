import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { requireNames } from '../core/names.ts';
import { elementCount } from '../core/tensor.ts';
import type { StoredAs } from '../estimate/precision.ts';
import { withAllLogits } from '../estimate/resize.ts';
import { WAYS, type Way } from '../training/arrange.ts';
import { trainingMemory } from '../training/predict.ts';
import type { TrainingSettings } from '../training/settings.ts';
import { learningForward, stepOf } from '../training/setup.ts';
import { settingsOf } from './train-settings.ts';

/** The options of `versus estimate` that say how a model is to be trained, as they were typed. */
export interface TrainingOptions {
  readonly batch: string;
  readonly train?: string;
  readonly scope?: string;
  readonly lora?: string;
  readonly optimiser: string;
}

/** Tokens of a prompt without its image, and of what is answered. */
export interface Tokens {
  readonly text: number | null;
  readonly answer: number;
}

/** Bytes; all but `trainable`, which counts numbers. Parts add up to `peak`. */
export interface TrainingEstimate {
  readonly trainable: number;
  /** What trains, and running statistics. */
  readonly weights: number;
  readonly frozen: number;
  readonly gradients: number;
  readonly optimiser: number;
  readonly activations: number;
  readonly transient: number;
  readonly arena: number;
  readonly peak: number;
}

/** What `--train lora` and `qlora` wrap when nothing is said: the rank of PEFT's examples on every linear layer. */
const LORA = 'r=8,targets=all-linear';
/** SGD's momentum is a tensor more, whatever its number. */
const OPTIMISERS: Readonly<Record<string, Partial<Extract<TrainingSettings['optimiser'], { kind: 'sgd' }>>>> =
  { adamw: {}, momentum: { kind: 'sgd' }, sgd: { kind: 'sgd', momentum: 0 } };

export const asksForTraining = ({ train, scope, lora }: TrainingOptions): boolean =>
  train !== undefined || scope !== undefined || lora !== undefined;

/**
 * Memory of one training step: the step that `versus train` would run on onnxruntime's CPU with these settings is built, and predicted
 * as its memory check predicts it (`trainingMemory`).
 *
 * @throws VersusError `usage` for a way, scope, targets or precision that there is none of, `unsupported` where the model has no loss
 *   or a gradient is missing
 */
export async function trainingEstimate(
  model: ModelDef,
  options: TrainingOptions,
  stored: StoredAs,
  tokens: Tokens,
) {
  const { scope, lora } = options;
  // A LoRA that is described is meant.
  const asked = options.train ?? (lora === undefined ? 'full' : 'lora');
  requireNames('way of training', [asked], WAYS);
  requireNames('optimiser', [options.optimiser], Object.keys(OPTIMISERS));
  const how = wayOf(asked as Way, stored);
  const whole = withAllLogits(model);
  const sgd = OPTIMISERS[options.optimiser]!;
  const settings = settingsOf(
    {
      ...{ batch: options.batch, precision: stored === 'fp16' ? 'fp16' : 'fp32', qlora: how === 'qlora' },
      ...{ optimiser: sgd.kind ?? 'adamw', ...(scope !== undefined && { scope }) },
      ...(how !== 'full' && { lora: lora ?? LORA }),
    },
    await sizesOf(whole, tokens),
  );
  const chosen = { ...settings, optimiser: { ...settings.optimiser, ...sgd } } as TrainingSettings;
  const step = await stepOf(await learningForward(whole, chosen), chosen, { microsoft: true });
  const { total, ...parts } = trainingMemory(step);
  const learnt = step.state.filter((s) => s.holds === 'weight');
  const trainable = learnt.reduce((sum, s) => sum + elementCount(s.shape), 0);
  const memory: TrainingEstimate = { trainable, ...parts, peak: total };
  return { how, scope: settings.scope, optimiser: options.optimiser, sizes: settings.sizes, memory };
}

/** Weights in 4 bits beside adapters are QLoRA's. @throws VersusError `usage` for blocks that nothing trains beside */
function wayOf(asked: Way, stored: StoredAs): Way {
  if (stored === 'fp32' || stored === 'fp16') return asked;
  if (stored === 'int4' && asked !== 'full') return 'qlora';
  throw new VersusError(
    'usage',
    `weights in ${stored} don't train${asked === 'full' ? '' : ' with adapters'}`,
    {
      where: '--precision',
      next: 'estimate training in fp32 or fp16, or adapters beside weights in 4 bits: --train qlora',
    },
  );
}

/** The sizes of a batch: the tokens of the request, and an image of any size as the model's dimensions have it. */
async function sizesOf(model: ModelDef, { text, answer }: Tokens): Promise<TrainingSettings['sizes']> {
  const { rows, columns, tokens } = model.dims ?? {};
  const { encoder } = await model.build(model.config);
  const pieces = model.tiling?.kind === 'crops' ? [rows, columns] : [1, tokens];
  const [down, across] = pieces;
  return {
    ...(text !== null && (encoder ? { prompt: text, sequence: answer } : { sequence: text })),
    ...(model.tiling && down !== undefined && across !== undefined && { grid: [down, across] }),
  };
}
