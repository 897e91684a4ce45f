import type { Config } from '../core/config.ts';
import { reasonOf, VersusError } from '../core/errors.ts';
import { requireNames } from '../core/names.ts';
import type { RunOutcome } from '../run/execute.ts';
import type { PlanFilter } from '../run/filter.ts';
import { matcher } from '../run/filter.ts';
import { tierOf } from '../run/plan.ts';
import { readRecords } from '../run/read-records.ts';
import { type CommonOptions, contextOf, printJson, reportsDir, say } from './context.ts';
import { measureRun } from './measure.ts';
import { wholeNumber } from './numbers.ts';
import { chooseReporters, publish } from './render.ts';
import { findRecords, readRun } from './runs.ts';
import { tell } from './tell.ts';

interface RunOptions extends CommonOptions {
  readonly profile?: string;
  readonly backend?: readonly string[];
  readonly model?: readonly string[];
  readonly precision?: readonly string[];
  readonly rounds?: string;
  readonly shard?: string;
  readonly resume?: string;
  readonly out?: string;
  readonly quiet?: boolean;
}

/**
 * `versus run [suite…]`: measures and writes the report. `--json` prints `{ run_id, outcome, exit_code, dir, records, reports, counts, missing }`.
 */
export async function runCommand(suites: readonly string[], options: RunOptions): Promise<number> {
  const loaded = await contextOf(options);
  const out = reportsDir(loaded, options.out);
  const profile = options.profile ?? (options.resume ? await profileOf(out, options.resume) : 'default');
  const filter = filterOf(loaded.config, profile, suites, options);
  const outcome = await measureRun(loaded, { filter, out, resume: options.resume, quiet: options.quiet });
  const run = await readRun(outcome.recordsPath);
  const { reports, exitCode } = await reported(outcome, () =>
    publish(out, run, chooseReporters(loaded.config, undefined)),
  );
  if (options.json) {
    printJson({
      run_id: outcome.runId,
      outcome: outcome.outcome,
      reason: outcome.reason,
      exit_code: exitCode,
      dir: outcome.dir,
      records: outcome.recordsPath,
      reports,
      counts: outcome.counts,
      missing: outcome.missing,
    });
  } else {
    tell(run, reports, isOverview(loaded.config, filter) ? OVERVIEW : null);
  }
  return exitCode;
}

const OVERVIEW =
  'this was an overview: versus run SUITE measures every arm of a suite, versus run --profile full those of all suites';

/** A report that cannot be written costs the exit code; what was measured is there, and is still told. */
async function reported(
  { exitCode }: RunOutcome,
  write: () => Promise<string[]>,
): Promise<{ reports: string[]; exitCode: number }> {
  try {
    return { reports: await write(), exitCode };
  } catch (error) {
    say(error instanceof VersusError ? error.describe() : `the report could not be made: ${reasonOf(error)}`);
    return { reports: [], exitCode: 3 };
  }
}

/**
 * What the command line asks for. `--backend` and `--model` take several names, so that a suite which follows them
 * (`--backend onnxruntime-cpu classification`) lands among theirs: it is given back to the suites.
 */
function filterOf(
  config: Config,
  profile: string,
  named: readonly string[],
  options: RunOptions,
): PlanFilter {
  requireNames('profile', [profile], Object.keys(config.profiles));
  const suiteNames = config.suites.map((suite) => suite.name);
  const isSuite = (name: string): boolean => suiteNames.includes(name);
  const models = config.suites.flatMap((suite) => suite.arms.flatMap((arm) => [arm.name, arm.model.name]));
  const backends = (options.backend ?? []).filter((name) => !isSuite(name));
  const globs = (options.model ?? []).filter((glob) => !isSuite(glob) || models.some(matcher([glob])));
  const strays = [...(options.backend ?? []), ...(options.model ?? [])].filter(
    (name) => isSuite(name) && !backends.includes(name) && !globs.includes(name),
  );
  const suites = [...new Set([...named, ...strays])];
  requireNames('suite', suites, suiteNames);
  requireNames(
    'backend',
    backends,
    config.backends.map((backend) => backend.name),
  );
  return {
    profile,
    suites,
    backends,
    models: globs,
    precisions: options.precision ?? [],
    ...(options.rounds === undefined ? {} : { rounds: wholeNumber('--rounds', options.rounds) }),
    ...(options.shard === undefined ? {} : { shard: parseShard(options.shard) }),
  };
}

/** Whether a run leaves out what its profile would have of a suite that is named. */
function isOverview({ profiles, suites }: Config, filter: PlanFilter): boolean {
  const profile = profiles[filter.profile]!;
  return suites.some((suite) => tierOf(profile, filter, suite) !== profile.tier);
}

/** A run goes on in the profile that it began in. */
async function profileOf(reports: string, run: string): Promise<string> {
  for await (const line of readRecords(findRecords(reports, run)))
    if (line.type === 'run') return line.profile;
  return 'default';
}

function parseShard(text: string): { index: number; of: number } {
  const [index, of, ...rest] = text.split('/');
  if (of === undefined || rest.length > 0) {
    throw new VersusError('usage', `--shard: expected I/N, got '${text}'`, {
      next: 'for example --shard 1/4',
    });
  }
  return { index: wholeNumber('--shard', index!), of: wholeNumber('--shard', of) };
}
