import { z } from 'zod';
import { PRECISIONS } from '../core/backend.ts';
import { TIERS } from '../core/suite.ts';

const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/u;

/** Names go into file names (encoded), tables and command lines: printable, short, and not only blanks. */
const name = z
  .string()
  .max(200)
  .refine((s) => s.trim() !== '' && !CONTROL.test(s), { message: 'expected a printable name' });
const fn = z.custom<(...args: never[]) => unknown>((v) => typeof v === 'function', {
  message: 'expected a function',
});
const positive = z.number().positive();
const count = z.number().int().positive().max(100_000);
const share = z.number().min(0).max(10);

const model = z.looseObject({
  name,
  family: z.string(),
  task: z.enum(['classify', 'embed', 'generate']),
  build: fn,
});
const metric = z.looseObject({
  name: z.string(),
  unit: z.string(),
  better: z.enum(['lower', 'higher']),
  assume: z.enum(['nothing', 'exact']),
  of: z.enum(['duration', 'step', 'rate', 'score', 'flops', 'fact']),
});
const workload = z.looseObject({ name, metrics: z.array(metric), open: fn });
const tier = z.enum(TIERS);
const use = z.looseObject({
  workload,
  batches: z
    .array(z.looseObject({ size: z.number().int().positive().max(65_536), tier: tier.optional() }))
    .min(1),
  arms: z.array(z.string()).optional(),
});
const growth = z.strictObject({
  size: z.string().min(1),
  unit: z.string(),
  of: z.string().min(1),
  dimensions: positive,
  lines: z.array(
    z.strictObject({
      name,
      points: z.array(z.strictObject({ arm: z.string(), size: positive })).min(1),
      note: z.string().optional(),
    }),
  ),
});
const suite = z.looseObject({
  name,
  question: z.string().min(1),
  arms: z
    .array(
      z.looseObject({
        ...{ name, model, tier: tier.optional(), until: tier.optional() },
        params: z.record(z.string(), z.unknown()).optional(),
        rounds: count.optional(),
      }),
    )
    .min(1),
  uses: z.array(use).min(1),
  overview: z.literal(true).optional(),
  precisions: z.array(z.enum(PRECISIONS)).optional(),
  headline: z.array(z.string()),
  contrasts: z.array(z.tuple([z.string(), z.string()])).optional(),
  growth: growth.optional(),
});
const profile = z.strictObject({
  tier,
  unnamed: tier.optional(),
  rounds: count,
  memoryRounds: z.number().int().min(0).max(1000),
  minTimeMs: z.number().min(0),
  minRepetitions: count,
  warmupRepetitions: z.number().int().min(0).max(100_000),
  maxTimeMs: positive.optional(),
  // Timers hold 31 bits: a longer one would fire at once.
  timeoutMs: positive.max(2 ** 31 - 1),
  suites: z.array(z.string()).optional(),
});

/** The shape of a bench.config.ts. Plugins are checked for what every plugin of their kind must have. */
export const configSchema = z.strictObject({
  suites: z.array(suite).min(1),
  models: z.array(model).optional(),
  backends: z.array(z.looseObject({ name, probe: fn, open: fn })).min(1),
  datasets: z.array(z.looseObject({ name, prepare: fn })).optional(),
  reporters: z.array(z.looseObject({ name, render: fn })).optional(),
  profiles: z.record(z.string(), profile).optional(),
  parity: z
    .strictObject({
      reference: z.string().optional(),
      tolerance: z.partialRecord(z.enum(PRECISIONS), positive).optional(),
    })
    .optional(),
  gate: z
    .strictObject({
      tolerance: z.record(z.string(), share).optional(),
      alpha: z.number().gt(0).lt(1).optional(),
      minRounds: count.optional(),
      baseline: z.string().min(1).optional(),
    })
    .optional(),
  cache: z.strictObject({ dir: z.string().min(1).optional(), maxBytes: positive.optional() }).optional(),
  out: z.string().min(1).optional(),
  peak: z.array(z.strictObject({ model, use })).min(1).optional(),
});
