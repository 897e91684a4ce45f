import type { CaseRecord, Cell, ColdPhases, Facts, MemorySample, Status } from '../core/record.ts';
import type { CellInfo } from '../core/report.ts';
import type { Metric, Score } from '../core/workload.ts';
import { Digest } from './digest.ts';
import { median } from './order.ts';
import { perRepetition, seriesOf } from './series.ts';

/** Timings that a cell keeps for its distribution strip. */
const STRIP = 1000;

/** What one speed process leaves behind: a median and a count per metric, NaN where nothing was timed. */
export interface Round {
  readonly medians: readonly number[];
  readonly counts: readonly number[];
  readonly cold: ColdPhases;
}

interface Ending {
  readonly status: Status;
  readonly reason: string | null;
}

/** Outlives its record: everything but the samples. */
type Kept = Omit<CaseRecord, 'samples'>;

/**
 * All that is kept of a cell while its records stream past: a median per metric and round, a bounded digest per timed
 * metric, the last 1,000 timings, memory per process, and one record without samples for the rest. Never all samples.
 */
export class CellAccumulator {
  readonly cell: Cell;
  readonly metrics: readonly Metric[];
  readonly rounds = new Map<number, Round>();
  readonly memory = new Map<number, MemorySample>();
  readonly digests: readonly Digest[];
  readonly processes: Partial<Record<Status, number>> = {};
  readonly #failures = new Map<string, Ending & { readonly pass: string }>();
  #check: Kept | null = null;
  #first: Kept | null = null;
  #speed: Kept | null = null;
  #facts: Facts | null = null;
  #scores: readonly Score[] = [];
  #strip: { round: number; ms: readonly number[] }[] = [];
  #stripped = 0;
  #shas = new Set<string>();
  #repeated = 0;

  constructor(cell: Cell, metrics: readonly Metric[]) {
    this.cell = cell;
    this.metrics = metrics;
    this.digests = metrics.map(() => new Digest());
  }

  add(record: CaseRecord): void {
    this.processes[record.status] = (this.processes[record.status] ?? 0) + 1;
    this.#first ??= withoutSamples(record);
    this.#facts ??= record.facts;
    if (record.model_sha256 !== null) this.#shas.add(record.model_sha256);
    if (record.scores.length > 0) this.#scores = record.scores;
    if (record.pass === 'check') this.#check = withoutSamples(record);
    const key = `${record.pass}/${record.round}`;
    if (record.status !== 'ok') {
      const had = record.pass === 'speed' ? this.rounds.has(record.round) : false;
      if (!had) this.#failures.set(key, { pass: record.pass, status: record.status, reason: record.reason });
      return;
    }
    // A resumed run measures again what failed: the later record stands.
    this.#failures.delete(key);
    if (record.pass === 'memory' && record.memory !== null) this.memory.set(record.round, record.memory);
    if (record.pass === 'speed') this.#addRound(record);
  }

  #addRound(record: CaseRecord): void {
    if (this.rounds.has(record.round)) {
      this.#repeated++;
      return;
    }
    const medians: number[] = [];
    const counts: number[] = [];
    const facts = record.facts ?? this.#facts;
    this.metrics.forEach((metric, i) => {
      const series = seriesOf(metric, record.samples, facts);
      medians.push(median(series));
      counts.push(series.length);
      if (hasPercentiles(metric)) this.digests[i]!.add(series);
    });
    this.#speed ??= withoutSamples(record);
    this.rounds.set(record.round, { medians, counts, cold: record.cold });
    const timings = perRepetition(record.samples, 'ms');
    const ms = timings.length > STRIP ? timings.slice(-STRIP) : timings;
    this.#strip.push({ round: record.round, ms });
    this.#stripped += ms.length;
    while (this.#stripped > STRIP && this.#strip.length > 1) this.#stripped -= this.#strip.shift()!.ms.length;
  }

  /** Rounds in round order. */
  inOrder(): Round[] {
    return [...this.rounds].sort((a, b) => a[0] - b[0]).map(([, round]) => round);
  }

  /** The score of a name, from the last process that scored. */
  score(metric: string): Score | undefined {
    return this.#scores.find((s) => s.metric === metric);
  }

  get facts(): Facts | null {
    return this.#facts;
  }

  /** Whether the outputs were compared and agree: quality then holds, even where speed failed or means nothing. */
  get sound(): boolean {
    const check = this.#check;
    if (check === null || check.parity?.agrees === false) return false;
    return check.status === 'ok' || check.status === 'correctness-only';
  }

  /** Sentences about the records of this cell that a reader should know. */
  warnings(): string[] {
    const found: string[] = [];
    const { case_id } = this.cell;
    if (this.#repeated > 0) {
      found.push(`${case_id}: ${this.#repeated} speed records repeat a round; the first of each was used`);
    }
    if (this.#shas.size > 1) found.push(`${case_id}: the model's files changed between processes`);
    return found;
  }

  /** Failures of a pass, first ones first. */
  failures(pass: string): readonly Ending[] {
    return [...this.#failures.values()].filter((f) => f.pass === pass);
  }

  /**
   * What became of the cell. The check decides; without one no timing is valid, however many rounds there are. Rounds
   * that failed beside valid ones leave the cell ok and are told in the reason.
   */
  ending(): Ending {
    if (this.#first === null) return { status: 'cancelled', reason: 'not measured' };
    const check = this.#check;
    if (check !== null && check.status !== 'ok') return { status: check.status, reason: check.reason };
    const [failure] = [...this.failures('check'), ...this.failures('reference'), ...this.failures('speed')];
    if (check === null) {
      return failure ?? { status: 'invalid', reason: 'its outputs were never compared with the reference' };
    }
    if (check.parity !== null && !check.parity.agrees) {
      return { status: 'invalid', reason: `outputs differ from ${check.parity.reference}` };
    }
    if (check.device?.software) {
      return { status: 'correctness-only', reason: `${check.device.name} is a software adapter` };
    }
    const failed = this.failures('speed');
    if (this.rounds.size === 0) {
      return failed[0] ?? { status: 'cancelled', reason: 'checked, but no round of timing ran' };
    }
    if (failed.length === 0) return { status: 'ok', reason: null };
    const { status, reason } = failed[0]!;
    const of = `${failed.length} of ${failed.length + this.rounds.size} rounds`;
    return { status: 'ok', reason: `${of}: ${status}${reason === null ? '' : `: ${reason}`}` };
  }

  info(): CellInfo {
    const { status, reason } = this.ending();
    const source = this.#check ?? this.#first;
    return {
      ...this.cell,
      status,
      reason,
      device: source?.device ?? this.#speed?.device ?? null,
      options: this.#speed?.options ?? source?.options ?? null,
      parity: this.#check?.parity ?? null,
      placement: source?.placement ?? null,
      facts: this.#facts,
      model_sha256: source?.model_sha256 ?? [...this.#shas][0] ?? null,
      processes: this.processes,
      strip: this.#strip.toSorted((a, b) => a.round - b.round),
    };
  }
}

function withoutSamples(record: CaseRecord): Kept {
  const { samples: _, ...kept } = record;
  return kept;
}

/** Percentiles are of latencies: durations and steps, and not of differences between them. */
export function hasPercentiles(metric: Metric): boolean {
  return (metric.of === 'duration' && metric.minus === undefined) || metric.of === 'step';
}
