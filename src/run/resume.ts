import type { Config } from '../core/config.ts';
import { VersusError } from '../core/errors.ts';
import type { Cell, Environment, RunRecord, Status } from '../core/record.ts';
import type { PlanFilter } from './filter.ts';
import type { RunPaths } from './paths.ts';
import { type Plan, type Probes, plan } from './plan.ts';
import { readRecords } from './read-records.ts';
import { keyOf } from './schedule.ts';

/** What of a process is still needed when a run goes on. */
export interface Outcome {
  readonly case_id: string;
  readonly pass: 'reference' | 'check' | 'speed' | 'memory';
  readonly round: number;
  readonly status: Status;
  readonly reason: string | null;
}

/** A run as its records tell it. */
export interface Interrupted {
  readonly run: RunRecord;
  /** Processes that came to an end by themselves, by key. */
  readonly outcomes: Map<string, Outcome>;
  /** `backend precision` of the peaks that are known. */
  readonly peaks: ReadonlySet<string>;
  readonly warnings: readonly string[];
}

/** @throws VersusError `input` when the file doesn't begin as a run does. */
export async function readInterrupted(paths: RunPaths): Promise<Interrupted> {
  let run: RunRecord | null = null;
  const outcomes = new Map<string, Outcome>();
  const peaks = new Set<string>();
  const warnings: string[] = [];
  for await (const line of readRecords(paths.records, (warning) => warnings.push(warning))) {
    if (line.type === 'run') run ??= line;
    else if (line.type === 'peak') peaks.add(`${line.backend} ${line.precision}`);
    else if (line.type === 'case' && line.status !== 'cancelled') {
      const { case_id, pass, round, status, reason } = line;
      outcomes.set(keyOf(line), { case_id, pass, round, status, reason });
    }
  }
  if (!run) {
    throw new VersusError('input', 'this run has no first line that says what was planned', {
      where: paths.records,
      next: 'Start a new run.',
    });
  }
  return { run, outcomes, peaks, warnings };
}

/** Backends that going on needs. */
export function backendsOf(run: RunRecord): string[] {
  return [...new Set(run.plan.map((cell) => cell.backend))];
}

/**
 * The plan of an interrupted run, made again from the config as it is now.
 * @throws VersusError `usage` when what is left can no longer be measured like what is there; says what differs.
 */
export function planAgain(
  config: Config,
  asked: PlanFilter,
  { run, outcomes }: Interrupted,
  probes: Probes,
  environment: Environment,
): Plan {
  const differences: string[] = [];
  const differs = (what: string, then: unknown, now: unknown): void => {
    if (then !== now) differences.push(`${what} was ${then}, is ${now}`);
  };
  differs('the profile', run.profile, asked.profile);
  if (asked.rounds !== undefined) differs('the number of rounds', run.rounds, asked.rounds);
  differs('the machine', run.environment.fingerprint, environment.fingerprint);
  refuse(run, differences);

  if (narrows(asked)) {
    const named = new Set(plan(config, { ...asked, rounds: run.rounds }, probes).cells.map((c) => c.case_id));
    const begun = new Set(run.plan.map((c) => c.case_id));
    for (const id of named) if (!begun.has(id)) differences.push(`${id} is asked for and was not planned`);
    for (const id of begun) if (!named.has(id)) differences.push(`${id} was planned and is not asked for`);
    refuse(run, differences);
  }
  const again = plan(
    config,
    {
      profile: run.profile,
      rounds: run.rounds,
      suites: run.suites.map((suite) => suite.name),
      backends: backendsOf(run),
    },
    probes,
  );
  const now = new Map(again.cells.map((cell) => [cell.case_id, cell]));
  for (const cell of run.plan) {
    const same = now.get(cell.case_id);
    if (!same) differences.push(`${cell.case_id} is no longer in the config`);
    else
      for (const key of Object.keys({ ...cell, ...same }) as (keyof Cell)[])
        differs(`${key} of ${cell.case_id}`, cell[key], same[key]);
    const blocked = again.blocked.get(cell.case_id);
    const check = outcomes.get(keyOf({ case_id: cell.case_id, pass: 'check', round: 0 }));
    if (blocked && check?.status === 'ok') differences.push(`${cell.case_id} could run: ${blocked.reason}`);
  }
  refuse(run, differences);
  return { ...again, cells: run.plan };
}

/** Whether a filter names a part of the config: it then has to be the part that the run began with. */
function narrows({ suites, backends, models, precisions, shard }: PlanFilter): boolean {
  return shard !== undefined || [suites, backends, models, precisions].some((names) => names?.length);
}

function refuse(run: RunRecord, differences: readonly string[]): void {
  if (differences.length === 0) return;
  const more = differences.length > 5 ? `; and ${differences.length - 5} more` : '';
  throw new VersusError(
    'usage',
    `run ${run.run_id} cannot go on: ${differences.slice(0, 5).join('; ')}${more}`,
    {
      next: 'Set it back as it was, or start a new run.',
    },
  );
}
