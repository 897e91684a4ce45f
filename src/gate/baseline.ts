import { z } from 'zod';
import { VersusError } from '../core/errors.ts';
import { STATUSES } from '../core/record.ts';
import type { RunInfo, Summary } from '../core/report.ts';

const VERSION = 1;

const text = z.string().max(2000);
const row = z.object({
  case_id: text,
  suite: text,
  arm: text,
  phase: text,
  metric: text,
  unit: text,
  better: z.enum(['lower', 'higher', 'none']),
  assume: z.enum(['nothing', 'exact']),
  status: z.enum(STATUSES),
  reason: text.nullable(),
  value: z.number().nullable(),
  values: z.array(z.number()).max(100_000),
});

const schema = z.object({
  kind: z.literal('versus-baseline'),
  version: z.literal(VERSION),
  run_id: text,
  measured: text,
  versus: text,
  profile: text,
  git: z.object({ commit: text, dirty: z.boolean() }).nullable(),
  environment: z.object({
    fingerprint: text,
    os: text,
    cpu: text,
    cores: z.number(),
    node: text,
    gpus: z.array(text),
  }),
  rows: z.array(row).max(1_000_000),
});

/** What later runs are held against: every row of a run with its per-round values, and the machine it was measured on. */
export type Baseline = z.infer<typeof schema>;
export type BaselineRow = Baseline['rows'][number];

/** The baseline of a run; plain JSON. Percentiles and shares of the peak are left out: nothing can be decided on them. */
export function saveBaseline(info: RunInfo, rows: readonly Summary[]): Baseline {
  const { run } = info;
  const { fingerprint, os, cpu, cores, node, gpus } = run.environment;
  return {
    kind: 'versus-baseline',
    version: VERSION,
    run_id: run.run_id,
    measured: run.started,
    versus: run.versus,
    profile: run.profile,
    git: run.git,
    environment: { fingerprint, os, cpu, cores, node, gpus: [...gpus] },
    rows: rows
      .filter((r) => r.metric !== 'peak_share' && !/_p9[059]$/.test(r.metric))
      .map(({ case_id, suite, arm, phase, metric, unit, better, assume, status, reason, value, values }) => ({
        ...{ case_id, suite, arm, phase, metric, unit, better, assume, status },
        ...{ reason: reason?.slice(0, 2000) ?? null, value, values: [...values] },
      })),
  };
}

/**
 * Reads a baseline file's text.
 * @param where the file, for messages
 * @throws VersusError `usage` when it is no baseline of this version
 */
export function parseBaseline(json: string, where: string): Baseline {
  const next = "Save one from a run that you trust: 'versus baseline save'.";
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new VersusError('usage', 'the baseline is not JSON', { where, next, cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join('.') || 'the file';
  throw new VersusError('usage', `this is no baseline of version ${VERSION}: ${field}: ${issue?.message}`, {
    where,
    next,
  });
}
