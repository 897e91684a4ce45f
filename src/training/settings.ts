import * as z from 'zod';
import type { LoraSpec } from '../transform/lora-targets.ts';
import type { OptimiserSpec } from '../transform/optimiser/index.ts';

/* Everything that the numbers of a training follow from, besides model and data: what a checkpoint tells of it. */

const count = (most: number) => z.int().min(1).max(most);
const fraction = z.number().min(0).lt(1);
const decay = z.number().min(0).max(1e6);
const MOST_TOKENS = 1 << 24;

function isPattern(source: string): boolean {
  try {
    return Boolean(new RegExp(source));
  } catch {
    return false;
  }
}

const optimiser = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('adamw'), betas: z.tuple([fraction, fraction]), weightDecay: decay }),
  z.strictObject({ kind: z.literal('sgd'), momentum: fraction, weightDecay: decay }),
]);

const lora = z.strictObject({
  r: count(1 << 20),
  alpha: z.number().positive().max(1e9),
  targets: z.union([
    z.literal('all-linear'),
    z.array(z.string().min(1).max(1000)).min(1).max(10_000),
    z.strictObject({ pattern: z.string().max(10_000).refine(isPattern, 'not a regular expression') }),
  ]),
  dropout: fraction,
});

export const settingsSchema = z.strictObject({
  scope: z.string().max(100),
  lora: lora.nullable(),
  /** The frozen weights of matrix products are in blocks of 4 bits. */
  qlora: z.boolean(),
  optimiser,
  schedule: z.strictObject({
    kind: z.enum(['constant', 'linear', 'cosine']),
    rate: z.number().positive().max(1e6),
    warmup: z.int().min(0).max(1e9),
    steps: count(1e9),
  }),
  /** Largest norm of all gradients together; null for what they are. */
  clipNorm: z.number().positive().nullable(),
  /** Samples of a step, in all micro-batches. */
  batch: count(1 << 20),
  microBatches: count(1 << 20),
  /** Sizes of texts and images; those that the task has. */
  sizes: z.strictObject({
    sequence: count(MOST_TOKENS).optional(),
    prompt: count(MOST_TOKENS).optional(),
    before: z.int().min(0).max(MOST_TOKENS).optional(),
    grid: z.tuple([count(1 << 12), count(1 << 12)]).optional(),
  }),
  /** Of the order of samples, of weights that are drawn, and of dropout. */
  seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
});
export type TrainingSettings = z.infer<typeof settingsSchema>;

/** LoRA's settings as they are written down. */
export function writtenLora({ r, alpha, targets, dropout = 0 }: LoraSpec): TrainingSettings['lora'] {
  const named = typeof targets === 'string' ? targets : [...(targets as readonly string[])];
  return { r, alpha, dropout, targets: targets instanceof RegExp ? { pattern: targets.source } : named };
}

/** Back again. */
export function loraOf({ targets, ...rest }: NonNullable<TrainingSettings['lora']>): LoraSpec {
  const pattern = typeof targets === 'object' && 'pattern' in targets ? targets.pattern : undefined;
  return {
    ...rest,
    targets: pattern === undefined ? (targets as string[] | 'all-linear') : new RegExp(pattern),
  };
}

/** The optimiser; what decays are matrices: biases and scales of normalisations are pulled towards nothing. */
export function optimiserOf(
  { optimiser }: Pick<TrainingSettings, 'optimiser'>,
  rankOf: (param: string) => number,
): OptimiserSpec {
  return { ...optimiser, decays: (param) => rankOf(param) > 1 };
}

/** Settings that a training keeps for as long as it lasts: another one would continue something else. */
const FIXED = ['scope', 'lora', 'qlora', 'batch', 'microBatches', 'sizes', 'seed'] as const;

/** What of them differs, as people call it; empty where a training may go on with the new ones. */
export function changed(
  before: TrainingSettings,
  now: TrainingSettings,
): { readonly what: string; readonly before: string; readonly now: string }[] {
  const told = (what: string, a: unknown, b: unknown) => {
    const [was, is] = [JSON.stringify(a), JSON.stringify(b)];
    return was === is ? [] : [{ what, before: was, now: is }];
  };
  const clipped = (s: TrainingSettings): string => (s.clipNorm === null ? 'not clipped' : 'clipped');
  const kept = ({ optimiser: { weightDecay: _, ...rest } }: TrainingSettings): unknown => rest;
  return [
    ...FIXED.flatMap((key) => told(NAMES[key], before[key], now[key])),
    ...told('optimiser', kept(before), kept(now)),
    ...told('gradients', clipped(before), clipped(now)),
  ];
}

const NAMES: Readonly<Record<(typeof FIXED)[number], string>> = {
  ...{ scope: 'scope', lora: 'LoRA', qlora: 'QLoRA', batch: 'batch', microBatches: 'micro-batches' },
  ...{ sizes: 'sizes of texts and images', seed: 'seed' },
};
