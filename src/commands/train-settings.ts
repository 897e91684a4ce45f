import { PRECISIONS } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import { requireNames } from '../core/names.ts';
import { type TrainingSettings, writtenLora } from '../training/settings.ts';
import { loraOption } from './lora-option.ts';
import { realNumber, wholeNumber } from './numbers.ts';

/** The options of `versus train` that decide its numbers, as they were typed; a resumed training knows those left out. */
export interface SettingsOptions {
  readonly scope?: string;
  readonly lora?: string;
  readonly qlora?: boolean;
  readonly optimiser?: string;
  readonly lr?: string;
  readonly warmup?: string;
  readonly schedule?: string;
  readonly weightDecay?: string;
  readonly clip?: string;
  readonly batch?: string;
  readonly microBatches?: string;
  readonly steps?: string;
  readonly seed?: string;
  readonly precision?: string;
}

const SCHEDULES = ['cosine', 'linear', 'constant'] as const;
const OPTIMISERS = ['adamw', 'sgd'] as const;
/** Learning rates that are usual for each way to train. */
const RATES = { adamw: 3e-4, lora: 1e-3, sgd: 1e-2 };
const BETAS = [0.9, 0.999] as const;
const MOMENTUM = 0.9;
/** What `--qlora` alone means: the QLoRA paper wraps every linear layer. */
const QLORA = 'r=8,alpha=16,targets=all-linear';
const LARGEST_BATCH = 1 << 20;

/**
 * Settings of a training: what is asked for, else what the checkpoint that it goes on from has, else the defaults.
 * @param sizes of texts and images
 * @throws VersusError `usage` for what is out of range or unknown
 */
export function settingsOf(
  options: SettingsOptions,
  sizes: TrainingSettings['sizes'],
  before?: TrainingSettings,
): TrainingSettings {
  requirePrecision(options.precision);
  const optimiser = optimiserOption(options, before?.optimiser);
  const lora = loraOf(options, before);
  return {
    scope: options.scope ?? before?.scope ?? 'full',
    ...{ lora, qlora: options.qlora ?? before?.qlora ?? false },
    ...{ optimiser, schedule: scheduleOf(options, optimiser.kind, lora !== null, before?.schedule) },
    clipNorm: options.clip === undefined ? (before ? before.clipNorm : 1) : clipOf(options.clip),
    batch: whole('--batch', options.batch, before?.batch ?? 8, LARGEST_BATCH),
    microBatches: whole('--micro-batches', options.microBatches, before?.microBatches ?? 1, LARGEST_BATCH),
    sizes,
    seed: options.seed === undefined ? (before?.seed ?? 0) : wholeNumber('--seed', options.seed, 0),
  };
}

function requirePrecision(precision = 'fp32'): void {
  requireNames('precision', [precision], PRECISIONS);
  if (precision === 'fp32') return;
  throw new VersusError('usage', `training in ${precision}: it computes in fp32`, {
    next: '--qlora keeps the weights that do not train in 4 bits',
  });
}

function loraOf({ lora, qlora }: SettingsOptions, before?: TrainingSettings): TrainingSettings['lora'] {
  if (lora !== undefined) return writtenLora(loraOption(lora));
  return before?.lora ?? (qlora ? writtenLora(loraOption(QLORA)) : null);
}

function optimiserOption(
  { optimiser, weightDecay }: SettingsOptions,
  before?: TrainingSettings['optimiser'],
): TrainingSettings['optimiser'] {
  const kind = optimiser ?? before?.kind ?? 'adamw';
  requireNames('optimiser', [kind], OPTIMISERS);
  const same = before?.kind === kind ? before : undefined;
  const decay = weightDecay === undefined ? undefined : realNumber('--weight-decay', weightDecay);
  if (kind === 'sgd') {
    const momentum = same?.kind === 'sgd' ? same.momentum : MOMENTUM;
    return { kind, momentum, weightDecay: decay ?? same?.weightDecay ?? 0 };
  }
  const betas: [number, number] = same?.kind === 'adamw' ? same.betas : [...BETAS];
  return { kind: 'adamw', betas, weightDecay: decay ?? same?.weightDecay ?? 0.01 };
}

function scheduleOf(
  options: SettingsOptions,
  optimiser: TrainingSettings['optimiser']['kind'],
  lora: boolean,
  before?: TrainingSettings['schedule'],
): TrainingSettings['schedule'] {
  const kind = options.schedule ?? before?.kind ?? 'cosine';
  requireNames('schedule', [kind], SCHEDULES);
  const steps = whole('--steps', options.steps, before?.steps ?? 100, 1e9);
  const usual = RATES[optimiser === 'sgd' ? 'sgd' : lora ? 'lora' : 'adamw'];
  const rate =
    options.lr === undefined ? (before?.rate ?? usual) : realNumber('--lr', options.lr, { above: 0 });
  const warmup =
    options.warmup === undefined
      ? Math.min(steps, before?.warmup ?? Math.floor(steps / 10))
      : wholeNumber('--warmup', options.warmup, 0);
  return { kind: kind as TrainingSettings['schedule']['kind'], rate, warmup, steps };
}

function clipOf(text: string): number | null {
  const norm = realNumber('--clip', text);
  return norm === 0 ? null : norm;
}

function whole(option: string, text: string | undefined, otherwise: number, most: number): number {
  return text === undefined ? otherwise : Math.min(most, wholeNumber(option, text));
}
