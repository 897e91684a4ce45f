import type { ProbedBackend, Status, SuiteInfo } from '../core/record.ts';
import type { CellInfo, Comparison, ReportInput, Summary } from '../core/report.ts';

/** All that a report holds of one suite. */
export interface SuiteView {
  readonly info: SuiteInfo;
  readonly rows: readonly Summary[];
  readonly cells: readonly CellInfo[];
  /** Pairs of arms. */
  readonly comparisons: readonly Comparison[];
  /** Pairs of backends. */
  readonly across: readonly Comparison[];
  /** Backends of the whole run, as they were found. */
  readonly backends: readonly ProbedBackend[];
}

/** Rows of one metric under equal conditions, apart from arm, backend and precision. */
export interface Slice {
  readonly workload: string;
  readonly metric: string;
  readonly unit: string;
  readonly better: Summary['better'];
  readonly batch: number;
  readonly rows: readonly Summary[];
}

export function groupBy<T, K>(items: Iterable<T>, key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const name = key(item);
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
}

export const unique = <T>(items: Iterable<T>): T[] => [...new Set(items)];

/** The suites in the order of the run; rows of a suite that the run does not name come last, without a question. */
export function suiteViews(input: ReportInput): SuiteView[] {
  const rows = groupBy(input.rows, (row) => row.suite);
  const cells = groupBy(input.info.cells, (cell) => cell.suite);
  const comparisons = groupBy(input.comparisons, (comparison) => comparison.suite);
  const across = groupBy(input.acrossBackends, (comparison) => comparison.suite);
  const known = new Map(input.info.run.suites.map((info) => [info.name, info]));
  return unique([...known.keys(), ...cells.keys(), ...rows.keys()]).map((name) => ({
    info: known.get(name) ?? { name, question: '', headline: [], contrasts: [], metrics: {} },
    rows: rows.get(name) ?? [],
    cells: cells.get(name) ?? [],
    comparisons: comparisons.get(name) ?? [],
    across: across.get(name) ?? [],
    backends: input.info.run.backends ?? [],
  }));
}

/**
 * Of a suite whose arms are models in several settings the model that it is first asked of: only its arms are ranked among each
 * other. Null where arms have no settings.
 */
export function leadingModel({ info, cells }: SuiteView): string | null {
  if (!cells.some(({ settings }) => settings !== undefined)) return null;
  const asked = info.contrasts.flatMap(([first]) => cells.filter((cell) => cell.arm === first));
  return (asked.find(({ status }) => status === 'ok') ?? cells[0]!).model;
}

/** Metrics that the suite leads with; the first noisy one of its rows where it names none. */
export function headline(view: SuiteView): readonly string[] {
  if (view.info.headline.length > 0) return view.info.headline;
  const first = view.rows.find((row) => row.phase === 'steady');
  return first ? [first.metric] : [];
}

/**
 * A metric per workload, at the batch where it says most: rates at the largest batch, everything else at the smallest.
 * Batches without a valid value are passed over where another has one.
 */
export function slices(view: SuiteView, metric: string): Slice[] {
  const found: Slice[] = [];
  for (const [workload, rows] of groupBy(
    view.rows.filter((row) => row.metric === metric),
    (row) => row.workload,
  )) {
    const { unit, better } = rows[0]!;
    const valid = rows.filter(isRanked);
    const batches = unique((valid.length > 0 ? valid : rows).map((row) => row.batch));
    const batch = better === 'higher' && unit.endsWith('/s') ? Math.max(...batches) : Math.min(...batches);
    found.push({ workload, metric, unit, better, batch, rows: rows.filter((row) => row.batch === batch) });
  }
  return found;
}

/** Whether a row may be ranked: measured, and valid. */
export const isRanked = (row: Summary): row is Summary & { readonly value: number } =>
  row.status === 'ok' && row.value !== null && Number.isFinite(row.value);

/** Best first; what cannot be ranked comes last, in its own order. Metrics without a better side go from small to large. */
export function byMerit(better: Summary['better']): (a: Summary, b: Summary) => number {
  return (a, b) => {
    if (isRanked(a) && isRanked(b)) return better === 'higher' ? b.value - a.value : a.value - b.value;
    return Number(isRanked(b)) - Number(isRanked(a));
  };
}

const STATUS_WORDS: Readonly<Record<Status, string>> = {
  ok: 'valid',
  invalid: 'invalid',
  'correctness-only': 'correctness only',
  unsupported: 'unsupported',
  unavailable: 'not available',
  failed: 'failed',
  timeout: 'timed out',
  crashed: 'crashed',
  oom: 'out of memory',
  cancelled: 'cancelled',
};
export const statusWord = (status: Status): string => STATUS_WORDS[status] ?? status;

/** What is wrong with a row's value, in a word; `n/a` where the cell is valid but this metric has no value. */
export const valueWord = (row: Summary): string => (row.status === 'ok' ? 'n/a' : statusWord(row.status));

/** Backend, with the precision where it is not the usual one: `onnxruntime-cpu`, `onnxruntime-cuda fp16`. */
export const place = (row: { readonly backend: string; readonly precision: string }): string =>
  row.precision === 'fp32' ? row.backend : `${row.backend} ${row.precision}`;
