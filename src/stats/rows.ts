import type { ColdPhases, MemorySample, PeakRecord, Status } from '../core/record.ts';
import { SCHEMA_VERSION } from '../core/record.ts';
import type { CellInfo, Summary } from '../core/report.ts';
import type { Metric } from '../core/workload.ts';
import { type CellAccumulator, hasPercentiles } from './cell.ts';
import { wilsonInterval } from './interval.ts';
import { summariseRounds } from './rounds.ts';
import { PERCENTILES, tooFewFor } from './tails.ts';

/** What the rows of all cells need of the run. */
export interface RowContext {
  readonly runId: string;
  readonly peaks: readonly PeakRecord[];
  /** Whether the run watched memory at all. */
  readonly memory: boolean;
}

type Figures = Pick<
  Summary,
  'phase' | 'metric' | 'unit' | 'better' | 'n' | 'rounds' | 'value' | 'assume' | 'values'
> &
  Partial<Summary>;

/** Every row of the long table that a cell gives, null values with their reason included. */
export function rowsOf(cell: CellAccumulator, info: CellInfo, context: RowContext): Summary[] {
  const build = (figures: Figures): Summary => ({
    schema_version: SCHEMA_VERSION,
    run_id: context.runId,
    suite: info.suite,
    case_id: info.case_id,
    arm: info.arm,
    model: info.model,
    backend: info.backend,
    device: info.device?.name ?? null,
    precision: info.precision,
    batch: info.batch,
    ci_lo: null,
    ci_hi: null,
    ci_method: null,
    status: info.status,
    reason: info.reason,
    model_sha256: info.model_sha256,
    workload: info.workload,
    group: info.group,
    ...figures,
  });
  return [
    ...steady(cell, info, context),
    ...(info.status === 'ok' ? cold(cell) : []),
    ...(context.memory ? memory(cell, info.status, info.reason) : []),
    ...quality(cell, info),
    ...facts(cell),
    ...told(cell),
  ].map(build);
}

function overRounds(
  head: Pick<Figures, 'phase' | 'metric' | 'unit' | 'better'>,
  values: readonly number[],
  n: number,
): Figures {
  return { ...head, assume: 'nothing', n, rounds: values.length, values, ...summariseRounds(values) };
}

/** A row without a value. */
function nothing(
  head: Pick<Figures, 'phase' | 'metric' | 'unit' | 'better'>,
  why: { readonly status?: Status; readonly reason?: string | null } = {},
  assume: Metric['assume'] = 'nothing',
): Figures {
  return { ...head, n: 0, rounds: 0, value: null, assume, values: [], ...why };
}

function steady(cell: CellAccumulator, info: CellInfo, context: RowContext): Figures[] {
  const rounds = cell.inOrder();
  const rows: Figures[] = [];
  cell.metrics.forEach((metric, i) => {
    if (metric.of === 'score' || metric.of === 'fact') return;
    const { name, unit, better, assume } = metric;
    const head = { phase: 'steady', metric: name, unit, better };
    const values = rounds.map((r) => r.medians[i]!).filter(Number.isFinite);
    const n = rounds.reduce((sum, r) => sum + r.counts[i]!, 0);
    const valid = info.status === 'ok' && values.length > 0;
    if (valid) rows.push({ ...overRounds(head, values, n), assume });
    else if (info.status === 'ok') rows.push(nothing(head, { reason: untimed(metric) }, assume));
    else rows.push(nothing(head, {}, assume));
    if (hasPercentiles(metric) && valid) rows.push(...percentiles(cell, i, metric, values.length));
    if (metric.of === 'flops' && metric === cell.metrics.find((m) => m.of === 'flops') && valid) {
      rows.push(peakShare(values, n, info, context));
    }
  });
  return rows;
}

function untimed(metric: Metric): string {
  if (metric.per !== undefined) return `n/a: ${metric.per} are not told of this case`;
  if (metric.of === 'flops') return 'n/a: the MACs of this workload are not known';
  return `n/a: no step of ${metric.phases?.join(', ') ?? 'any phase'} was timed`;
}

/** Pooled over rounds; samples of one process are not independent, so there is no interval. */
function percentiles(cell: CellAccumulator, i: number, metric: Metric, rounds: number): Figures[] {
  const digest = cell.digests[i]!;
  return PERCENTILES.map(({ name, q, needs }) => {
    const reason = tooFewFor(needs, digest.count);
    return {
      phase: 'steady',
      metric: `${metric.name}_${name}`,
      unit: metric.unit,
      better: metric.better,
      assume: 'nothing' as const,
      n: digest.count,
      rounds,
      values: [],
      value: reason === null ? digest.quantile(q) : null,
      ci_method: 'none: samples of one process are not independent',
      ...(reason === null ? {} : { reason }),
    };
  });
}

/** Achieved GFLOP/s ÷ what the backend achieved on a large matrix product on this machine. */
function peakShare(values: readonly number[], n: number, info: CellInfo, context: RowContext): Figures {
  const head = { phase: 'steady', metric: 'peak_share', unit: 'share', better: 'higher' } as const;
  const peaks = context.peaks.filter((p) => p.backend === info.backend && p.precision === info.precision);
  const peak = peaks.findLast((p) => p.gflops !== null && p.gflops > 0)?.gflops;
  if (peak === undefined || peak === null) {
    const reason = peaks.at(-1)?.reason ?? `the peak of ${info.backend} was not measured`;
    return nothing(head, { reason: `n/a: ${reason}` });
  }
  return overRounds(
    head,
    values.map((v) => v / peak),
    n,
  );
}

function cold(cell: CellAccumulator): Figures[] {
  const rounds = cell.inOrder();
  return (['spawn', 'build', 'load', 'first'] satisfies (keyof ColdPhases)[]).map((name) => {
    const head = { phase: 'cold', metric: name, unit: 'ms', better: 'lower' } as const;
    const values = rounds.map((r) => r.cold[name]).filter((v) => v !== null);
    return values.length > 0
      ? overRounds(head, values, values.length)
      : nothing(head, { reason: 'n/a: no process got that far' });
  });
}

function memory(cell: CellAccumulator, status: Status, reason: string | null): Figures[] {
  const samples = [...cell.memory].sort((a, b) => a[0] - b[0]).map(([, sample]) => sample);
  const names = ['baseline_rss', 'peak_rss', 'difference_rss', 'peak_gpu'] satisfies (keyof MemorySample)[];
  return names.flatMap((name) => {
    const head = { phase: 'memory', metric: name, unit: 'B', better: 'lower' } as const;
    const values = samples.map((s) => s[name]).filter((v) => v !== null);
    if (status !== 'ok') return name === 'peak_gpu' ? [] : [nothing(head, { status, reason })];
    if (values.length > 0) return [overRounds(head, values, values.length)];
    if (name === 'peak_gpu') return [];
    const failure = cell.failures('memory')[0];
    return [nothing(head, failure ?? { reason: 'n/a: the memory could not be read' })];
  });
}

/** Quality is valid wherever the outputs are, so on a software adapter too. */
function quality(cell: CellAccumulator, info: CellInfo): Figures[] {
  return cell.metrics
    .filter((m) => m.of === 'score')
    .map(({ name, unit, better, assume }) => {
      const head = { phase: 'quality', metric: name, unit, better };
      if (!cell.sound) return nothing(head, {}, assume);
      const score = cell.score(name);
      if (score === undefined) {
        const untrained = info.facts !== null && !info.facts.trained;
        const reason = untrained ? 'n/a: the weights are seeded, not trained' : 'n/a: not scored';
        return nothing(head, { status: 'ok', reason }, assume);
      }
      const { learning } = score;
      if (learning?.length) {
        const { values } = learning.at(-1)!;
        const seeds = { ...overRounds(head, values, score.n), assume, learning };
        return { ...seeds, status: 'ok' as const, reason: null };
      }
      const share = score.value >= 0 && score.value <= 1 && (score.correct !== undefined || unit === 'share');
      const interval =
        score.interval ?? (share ? wilsonInterval(Math.round(score.value * score.n), score.n) : null);
      return {
        ...head,
        assume,
        n: score.n,
        rounds: 1,
        value: score.value,
        values: [score.value],
        ci_lo: interval?.lo ?? null,
        ci_hi: interval?.hi ?? null,
        ci_method: interval?.method ?? 'exact',
        status: 'ok',
        reason: null,
        ...(score.correct === undefined ? {} : { correct: score.correct }),
        ...(score.curve === undefined ? {} : { curve: score.curve }),
      };
    });
}

/** What the workload itself counted. */
function told(cell: CellAccumulator): Figures[] {
  if (cell.facts === null) return [];
  const { told = {} } = cell.facts;
  return cell.metrics
    .filter((m) => m.of === 'fact')
    .map(({ name, unit, better, assume }) => {
      const head = { phase: 'static', metric: name, unit, better };
      const value = Object.hasOwn(told, name) ? told[name]! : null;
      if (value === null) return nothing(head, { status: 'ok', reason: 'n/a: not known' }, assume);
      const exact = { n: 1, rounds: 1, value, values: [value], ci_method: 'exact' };
      return { ...nothing(head, { status: 'ok', reason: null }, assume), ...exact };
    });
}

/** Exact properties of the model: they hold whether or not it could be timed. */
function facts(cell: CellAccumulator): Figures[] {
  const found = cell.facts;
  if (found === null) return [];
  const names = ['parameters', 'macs', 'nodes', 'weight_bytes'] as const;
  return names.map((name) => {
    const unit = name === 'weight_bytes' ? 'B' : 'count';
    // More parameters are neither better nor worse; more work, nodes or bytes for the same model are worse.
    const head = {
      phase: 'static',
      metric: name,
      unit,
      better: name === 'parameters' ? 'none' : 'lower',
    } as const;
    const value = found[name];
    const status = { status: 'ok', reason: value === null ? 'n/a: not known' : null } as const;
    if (value === null) return nothing(head, status, 'exact');
    return { ...nothing(head, status, 'exact'), n: 1, rounds: 1, value, values: [value], ci_method: 'exact' };
  });
}
