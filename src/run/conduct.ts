import fs from 'node:fs';
import type { Config } from '../core/config.ts';
import { reasonOf, VersusError } from '../core/errors.ts';
import { type Case, type CaseRecord, SCHEMA_VERSION, type Status } from '../core/record.ts';
import { recordOf, recordOfUnstarted } from './case-record.ts';
import { type RunPaths, referenceFile } from './paths.ts';
import { type Plan, type Probes, referenceCell } from './plan.ts';
import { Progress, peakStep, type RunEvent, type Upcoming } from './progress.ts';
import type { ConfigAddress } from './protocol.ts';
import type { RecordWriter } from './records.ts';
import type { Outcome } from './resume.ts';
import {
  checkCases,
  keyOf,
  measurable,
  memoryCases,
  type PeakTarget,
  peakTargets,
  referenceCases,
  runnable,
  speedCases,
} from './schedule.ts';
import { type Supervision, supervise } from './supervise.ts';
import { Support } from './support.ts';
import { trackMemory } from './trackers/memory.ts';

/** A run that is set up: what to do, what is done already, and where to say so. */
export interface Conducted {
  readonly runId: string;
  readonly config: Config;
  readonly address: ConfigAddress;
  readonly plan: Plan;
  readonly probes: Probes;
  readonly paths: RunPaths;
  readonly writer: RecordWriter;
  /** Grows with every process. */
  readonly outcomes: Map<string, Outcome>;
  readonly peaks: ReadonlySet<string>;
  readonly emit: (event: RunEvent) => void;
  readonly signal: AbortSignal | undefined;
  readonly hardSignal: AbortSignal | undefined;
}

/**
 * Runs every process of a plan that has not run yet, one at a time: peaks, references, checks, speed rounds, memory rounds.
 * Returns early when the signal is given.
 * @throws VersusError `infrastructure` when a record cannot be written.
 */
export async function conduct(run: Conducted): Promise<void> {
  await new Conductor(run).run();
}

const stepOf = ({ pass, case_id, round }: Case): Upcoming => ({ phase: pass, name: case_id, round });

class Conductor {
  readonly #run: Conducted;
  readonly #progress = new Progress();
  readonly #support: Support;

  constructor(run: Conducted) {
    this.#run = run;
    this.#support = new Support(run.config, run.address);
  }

  async run(): Promise<void> {
    const { plan, config, peaks, paths } = this.#run;
    makeFolder(paths.parity);
    this.#blocked();
    const targets = (config.peak ? peakTargets(plan) : []).filter(
      ({ backend, precision }) => !peaks.has(`${backend} ${precision}`),
    );
    const checks = this.#missing(checkCases(plan));
    const references = this.#references(checks);
    this.#progress.expect(targets.map(peakStep));
    this.#progress.expect([...references, ...checks].map(stepOf));
    this.#progress.expect(this.#timed(this.#promising()).map(stepOf));

    for (const target of targets) await this.#peak(target);
    for (const reference of references) await this.#case(reference);
    for (const check of checks) await this.#check(check);
    for (const timed of this.#timed(this.#valid())) await this.#case(timed);
  }

  get #stopped(): boolean {
    return this.#run.signal?.aborted ?? false;
  }

  #missing(cases: readonly Case[]): Case[] {
    return cases.filter((c) => !this.#run.outcomes.has(keyOf(c)));
  }

  #timed(cells: ReturnType<typeof runnable>): Case[] {
    const { rounds, limits, profile } = this.#run.plan;
    return this.#missing([
      ...speedCases(cells, rounds, limits),
      ...memoryCases(cells, profile.memoryRounds, limits),
    ]);
  }

  #valid(): ReturnType<typeof runnable> {
    const statuses = new Map<string, Status>();
    for (const { case_id, pass, status } of this.#run.outcomes.values()) {
      if (pass === 'check') statuses.set(case_id, status);
    }
    return measurable(this.#run.plan, statuses);
  }

  /** Cells that will be timed unless their check says otherwise. */
  #promising(): ReturnType<typeof runnable> {
    const { plan, outcomes } = this.#run;
    return runnable(plan).filter((cell) => {
      const check = outcomes.get(keyOf({ ...cell, pass: 'check', round: 0 }));
      return !plan.software.has(cell.backend) && (check?.status ?? 'ok') === 'ok';
    });
  }

  /** The references that checks to come need: those never computed, and those whose file is gone. */
  #references(checks: readonly Case[]): Case[] {
    const { plan, config, outcomes, paths } = this.#run;
    const needed = new Set(checks.map((c) => referenceCell(c, config.parity.reference).case_id));
    return referenceCases(plan, config.parity.reference).filter((c) => {
      if (!needed.has(c.case_id)) return false;
      const known = outcomes.get(keyOf(c));
      return !known || (known.status === 'ok' && !fs.existsSync(referenceFile(paths, c)));
    });
  }

  #blocked(): void {
    const { plan, runId, probes } = this.#run;
    for (const cell of plan.cells) {
      const verdict = plan.blocked.get(cell.case_id);
      const check: Case = { ...cell, pass: 'check', round: 0 };
      if (!verdict || this.#run.outcomes.has(keyOf(check))) continue;
      this.#keep(recordOfUnstarted(runId, check, verdict, probes.get(cell.backend)));
    }
  }

  #keep(record: CaseRecord): void {
    this.#run.writer.append(record);
    const { case_id, pass, round, status, reason } = record;
    this.#run.outcomes.set(keyOf(record), { case_id, pass, round, status, reason });
  }

  #supervision(): Supervision {
    const { plan, signal, hardSignal, emit } = this.#run;
    return {
      timeoutMs: plan.profile.timeoutMs,
      signal,
      hardSignal,
      onMessage: (message) => {
        if (message.type === 'note') emit({ type: 'note', text: message.text });
      },
    };
  }

  async #case(of: Case): Promise<void> {
    if (this.#stopped) return;
    const { runId, probes, plan, address, paths, config } = this.#run;
    const step = stepOf(of);
    this.#run.emit({ type: 'begin', ...this.#progress.step(step) });
    const ending = await supervise(
      {
        kind: 'case',
        config: address,
        profile: plan.profile,
        case: of,
        reference: referenceFile(paths, referenceCell(of, config.parity.reference)),
        score: !plan.unscored.has(of.case_id),
      },
      { ...this.#supervision(), track: of.pass === 'memory' ? (pid) => trackMemory(pid) : undefined },
    );
    const told = await this.#support.complete(of, ending, this.#supervision());
    const record = recordOf(runId, of, told, probes.get(of.backend));
    this.#keep(record);
    this.#finish(step, record.status, record.reason, ending.wallMs);
  }

  /** A check whose reference could not be computed proves nothing, so the cell is not timed. */
  async #check(of: Case): Promise<void> {
    const { outcomes, config, runId, probes } = this.#run;
    const reference = { ...referenceCell(of, config.parity.reference), pass: 'reference', round: 0 } as const;
    const known = outcomes.get(keyOf(reference));
    if (this.#stopped) return;
    if (known?.status === 'ok') await this.#case(of);
    else {
      const reason = `no reference to compare with: ${known?.status ?? 'not computed'} on ${reference.backend}${known?.reason ? `, ${known.reason}` : ''}`;
      // What the reference backend lacks, its own cell lacks too; another backend might have it, but nothing could prove that.
      const lacking =
        known?.status === 'unsupported' && known.reason !== null && of.backend === reference.backend;
      const verdict = lacking
        ? ({ status: 'unsupported', reason: known.reason } as const)
        : ({ status: 'invalid', reason } as const);
      this.#keep(recordOfUnstarted(runId, of, verdict, probes.get(of.backend)));
      this.#finish(stepOf(of), verdict.status, verdict.reason, 0);
    }
    const status = outcomes.get(keyOf(of))?.status;
    if (status !== 'ok') this.#progress.drop(this.#timed([of]).map(stepOf));
  }

  async #peak(target: PeakTarget): Promise<void> {
    if (this.#stopped) return;
    const { runId, plan, address, writer } = this.#run;
    const step = peakStep(target);
    this.#run.emit({ type: 'begin', ...this.#progress.step(step) });
    const task = { kind: 'peak', config: address, profile: plan.profile, ...target } as const;
    const ending = await supervise(task, this.#supervision());
    if (ending.status === 'cancelled') return;
    writer.append({
      type: 'peak',
      schema_version: SCHEMA_VERSION,
      run_id: runId,
      ...target,
      gflops: ending.findings.gflops ?? null,
      reason: ending.reason,
    });
    this.#finish(step, ending.status, ending.reason, ending.wallMs);
  }

  #finish(step: Upcoming, status: Status, reason: string | null, wallMs: number): void {
    this.#progress.finish(step, wallMs);
    this.#run.emit({ type: 'end', status, reason, wallMs, ...this.#progress.step(step) });
  }
}

function makeFolder(dir: string): void {
  try {
    fs.mkdirSync(dir, { recursive: true });
  } catch (error) {
    throw new VersusError('infrastructure', `a folder cannot be made: ${reasonOf(error)}`, {
      where: dir,
      next: 'Make room on that disk, or make it writable, then go on with --resume.',
      cause: error,
    });
  }
}
