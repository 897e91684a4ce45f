import fs from 'node:fs';
import path from 'node:path';
import { type Bundle, bundle } from '../code/index.mjs';
import { runningCode } from '../code/running.ts';
import type { Config } from '../core/config.ts';
import { VersusError } from '../core/errors.ts';
import { type Cell, type EndRecord, type Environment, SCHEMA_VERSION, type Status } from '../core/record.ts';
import { conduct } from './conduct.ts';
import { readEnvironment } from './environment.ts';
import type { PlanFilter } from './filter.ts';
import { readRevision } from './git.ts';
import { announce, lockRun } from './lock.ts';
import { createRunFolder, findRun, type RunPaths } from './paths.ts';
import { type Plan, plan } from './plan.ts';
import { probeBackends, probedBackends } from './probe.ts';
import type { RunEvent } from './progress.ts';
import type { ConfigAddress } from './protocol.ts';
import { type RecordDisk, RecordWriter } from './records.ts';
import { backendsOf, type Outcome, planAgain, readInterrupted } from './resume.ts';
import { cellStatuses } from './schedule.ts';

export interface RunOptions {
  readonly config: Config;
  /** Absolute path of the config file; workers load it again. */
  readonly configPath: string;
  readonly filter: PlanFilter;
  /** Reports folder; the run gets a folder under `<out>/runs`. */
  readonly out: string;
  /** Id or folder of a run to go on with. */
  readonly resume?: string | undefined;
  /** For the record. */
  readonly argv: readonly string[];
  readonly version: string;
  /** Stops in good order: the running process ends, its record and the last line are written. */
  readonly signal?: AbortSignal | undefined;
  /** Makes stopping quicker: the running process is killed at once. */
  readonly hardSignal?: AbortSignal | undefined;
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
  /** How records reach the disk, where a test wants it full. */
  readonly disk?: RecordDisk | undefined;
}

export interface RunOutcome {
  readonly runId: string;
  readonly dir: string;
  readonly recordsPath: string;
  readonly outcome: EndRecord['outcome'];
  /** Why it stopped before its end. */
  readonly reason: string | null;
  /** Cells by what became of them. */
  readonly counts: Readonly<Partial<Record<Status, number>>>;
  /** Cells without any result. */
  readonly missing: number;
  /** 0: every cell is ok or correctness-only; 3: something is not, or the run did not come to its end. */
  readonly exitCode: 0 | 3;
}

/**
 * A whole run: probe, plan, measure, record. What a case does never throws; it becomes a record.
 * @throws VersusError `usage` (unknown names, a run that cannot go on) and `infrastructure`, before anything is measured.
 */
export async function executeRun(options: RunOptions): Promise<RunOutcome> {
  const presence = announce();
  const { code, close } = await codeOf(options.configPath);
  const run = { ...options, address: { path: options.configPath, code } };
  try {
    const environment = await readEnvironment();
    const set = options.resume
      ? await setUpAgain(run, options.resume, environment)
      : await setUp(run, withOthers(environment, presence.others));
    try {
      return await carryOut(run, set);
    } finally {
      set.writer.close();
      set.unlock();
    }
  } finally {
    close();
    presence.end();
  }
}

/** Workers run from the JavaScript that this process runs from, else from some that is made for them. */
async function codeOf(configPath: string): Promise<Bundle> {
  const code = runningCode(configPath);
  return code === null ? bundle(configPath) : { code, close: () => {} };
}

/** A run with the way to its plugins. */
interface Addressed extends RunOptions {
  readonly address: ConfigAddress;
}

interface SetUp {
  readonly paths: RunPaths;
  readonly runId: string;
  readonly plan: Plan;
  readonly probes: Awaited<ReturnType<typeof probeBackends>>;
  readonly writer: RecordWriter;
  readonly outcomes: Map<string, Outcome>;
  readonly peaks: ReadonlySet<string>;
  readonly unlock: () => void;
}

async function setUp(options: Addressed, environment: Environment): Promise<SetUp> {
  const { config, filter } = options;
  const wanted = filter.backends?.length ? filter.backends : config.backends.map((backend) => backend.name);
  const probes = await probe(options, wanted);
  const made = plan(config, filter, probes);
  const paths = createRunFolder(options.out);
  const unlock = lockRun(paths.lock);
  const writer = RecordWriter.create(paths.records, options.disk);
  try {
    writer.append({
      type: 'run',
      schema_version: SCHEMA_VERSION,
      run_id: paths.id,
      started: new Date().toISOString(),
      versus: options.version,
      profile: made.profileName,
      argv: options.argv,
      git: await readRevision(path.dirname(options.configPath)),
      environment,
      plan: made.cells,
      rounds: made.rounds,
      suites: made.suites,
      backends: probedBackends(config, filter, probes),
    });
  } catch (error) {
    writer.close();
    unlock();
    throw error;
  }
  for (const text of environment.warnings) options.onEvent?.({ type: 'warning', text });
  const fresh = { outcomes: new Map<string, Outcome>(), peaks: new Set<string>() };
  return { paths, runId: paths.id, plan: made, probes, writer, unlock, ...fresh };
}

async function setUpAgain(options: Addressed, name: string, environment: Environment): Promise<SetUp> {
  const paths = findRun(options.out, name);
  const unlock = lockRun(paths.lock);
  try {
    const interrupted = await readInterrupted(paths);
    for (const text of interrupted.warnings) options.onEvent?.({ type: 'warning', text });
    const probes = await probe(options, backendsOf(interrupted.run));
    const again = planAgain(options.config, options.filter, interrupted, probes, environment);
    const { outcomes, peaks } = interrupted;
    const writer = RecordWriter.resume(paths.records, options.disk);
    return { paths, runId: interrupted.run.run_id, plan: again, probes, writer, outcomes, peaks, unlock };
  } catch (error) {
    unlock();
    throw error;
  }
}

async function probe(options: Addressed, backends: readonly string[]): Promise<SetUp['probes']> {
  const known = new Set(options.config.backends.map((backend) => backend.name));
  const names = [...backends, options.config.parity.reference].filter((name) => known.has(name));
  const probes = await probeBackends(options.address, names, { signal: options.signal });
  if (options.signal?.aborted) {
    throw new VersusError('infrastructure', 'stopped by the user before anything was measured');
  }
  return probes;
}

async function carryOut(options: Addressed, set: SetUp): Promise<RunOutcome> {
  const { runId, paths, writer, plan: made, outcomes } = set;
  const emit = options.onEvent ?? (() => {});
  emit({ type: 'planned', runId, dir: paths.dir, cells: made.cells });
  const { config, address, signal, hardSignal } = options;
  let end: Pick<EndRecord, 'outcome' | 'reason'> = { outcome: 'complete', reason: null };
  try {
    await conduct({ ...set, config, address, emit, signal, hardSignal });
    if (signal?.aborted) end = { outcome: 'interrupted', reason: 'stopped by the user' };
  } catch (error) {
    if (!(error instanceof VersusError)) throw error;
    end = { outcome: 'stopped', reason: error.describe() };
    emit({ type: 'warning', text: error.describe() });
  }
  const last = { type: 'end', schema_version: SCHEMA_VERSION, run_id: runId } as const;
  try {
    writer.append({ ...last, finished: new Date().toISOString(), ...end });
  } catch (error) {
    // The disk is still full: the records end with the last whole line, which readers take for an unfinished run.
    if (end.outcome !== 'stopped') throw error;
  }
  if (end.outcome === 'complete') fs.rmSync(paths.parity, { recursive: true, force: true });
  return {
    runId,
    dir: paths.dir,
    recordsPath: paths.records,
    ...end,
    ...tally(made.cells, outcomes, end.outcome),
  };
}

function tally(
  cells: readonly Cell[],
  outcomes: ReadonlyMap<string, Outcome>,
  outcome: EndRecord['outcome'],
): Pick<RunOutcome, 'counts' | 'missing' | 'exitCode'> {
  const counts: Partial<Record<Status, number>> = {};
  const statuses = cellStatuses(cells, outcomes.values());
  for (const status of statuses.values()) counts[status] = (counts[status] ?? 0) + 1;
  const missing = cells.length - statuses.size;
  const good = (counts.ok ?? 0) + (counts['correctness-only'] ?? 0) === cells.length;
  return { counts, missing, exitCode: good && outcome === 'complete' ? 0 : 3 };
}

function withOthers(environment: Environment, others: readonly number[]): Environment {
  if (others.length === 0) return environment;
  const warning = `another versus run measures on this machine (process ${others.join(', ')}): timings are unsure`;
  return { ...environment, warnings: [...environment.warnings, warning] };
}
