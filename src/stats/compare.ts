import type { Comparison, RunInfo, Summary } from '../core/report.ts';
import { adjust, comparePair } from './comparison.ts';

export interface RunSummary {
  readonly info: RunInfo;
  readonly rows: readonly Summary[];
}

/**
 * Rows worth a statement of their own: not the cold phases, not percentiles (no rounds behind them), not the share of the
 * machine's peak (the ratio is that of GFLOP/s), not the memory of an empty process.
 */
function comparable(row: Summary): boolean {
  if (row.phase === 'cold' || row.metric === 'peak_share' || row.metric === 'baseline_rss') return false;
  return !/_p9[059]$/.test(row.metric);
}

/** Contenders of one run on otherwise equal cells: the suite's contrasts, or its first arm against each other one. */
export function compareArms(info: RunInfo, rows: readonly Summary[]): Comparison[] {
  const pairs = new Map(info.run.suites.map((s) => [s.name, contrastsOf(info, s.name)]));
  const cells = new Map<string, Map<string, Summary>>();
  for (const row of rows.filter(comparable)) {
    const { suite, workload, backend, precision, batch, metric } = row;
    const key = JSON.stringify([suite, workload, backend, precision, batch, metric]);
    const cell = cells.get(key);
    if (cell) cell.set(row.arm, row);
    else cells.set(key, new Map([[row.arm, row]]));
  }
  const found: Comparison[] = [];
  for (const cell of cells.values()) {
    const [any] = cell.values();
    for (const [nameA, nameB] of pairs.get(any!.suite) ?? []) {
      const a = cell.get(nameA);
      const b = cell.get(nameB);
      if (a === undefined || b === undefined || (blank(a) && blank(b))) continue;
      found.push(comparePair(a, b, { paired: inPairs(info, a, b) }));
    }
  }
  return adjust(found);
}

/**
 * The same arm, precision and batch on every two backends that both have a valid value, on the metrics that the suite leads
 * with. Corrected as a family of its own: that backends are compared costs the comparison of arms nothing.
 */
export function compareBackends(info: RunInfo, rows: readonly Summary[]): Comparison[] {
  const headlines = new Map(info.run.suites.map((s) => [s.name, s.headline]));
  const cells = new Map<string, Summary[]>();
  for (const row of rows.filter(comparable)) {
    const { suite, workload, arm, precision, batch, metric } = row;
    const led = headlines.get(suite) ?? [];
    // Properties of the model are the same on every backend.
    if (row.phase === 'static' || (led.length > 0 && !led.includes(metric))) continue;
    if (row.status !== 'ok' || row.value === null) continue;
    const key = JSON.stringify([suite, workload, arm, precision, batch, metric]);
    const cell = cells.get(key);
    if (cell) cell.push(row);
    else cells.set(key, [row]);
  }
  const found = [...cells.values()].flatMap((cell) =>
    cell.flatMap((a, i) =>
      cell.slice(i + 1).map((b) => ({
        ...comparePair(a, b, { paired: inPairs(info, a, b) }),
        backend: `${a.backend} / ${b.backend}`,
      })),
    ),
  );
  return adjust(found);
}

/** Only complete rounds are pairs: where one failed, round i of A is no longer round i of B. */
function inPairs(info: RunInfo, a: Summary, b: Summary): boolean {
  const { rounds } = info.run;
  return a.phase === 'steady' && a.values.length === rounds && b.values.length === rounds;
}

function contrastsOf(info: RunInfo, suite: string): readonly (readonly [string, string])[] {
  const given = info.run.suites.find((s) => s.name === suite)?.contrasts ?? [];
  if (given.length > 0) return given;
  const arms = new Set(info.run.plan.filter((c) => c.suite === suite).map((c) => c.arm));
  const [first, ...others] = arms;
  return others.map((other) => [first!, other] as const);
}

/** A metric that does not apply: accuracy of weights that were never trained. */
function blank(row: Summary): boolean {
  return row.status === 'ok' && row.value === null;
}

/**
 * The same cells in two runs, A being the base. Cells that only one run has appear with verdict `none`. On hardware with
 * another fingerprint only exact metrics and accuracies are compared.
 */
export function compareRuns(base: RunSummary, head: RunSummary): Comparison[] {
  const [a, b] = [base.info.run.environment, head.info.run.environment];
  const incomparable =
    a.fingerprint === b.fingerprint
      ? null
      : `measured on different hardware (${a.cpu}, ${a.cores} cores; ${b.cpu}, ${b.cores} cores)`;
  const keyOf = (row: Summary) => JSON.stringify([row.case_id, row.metric]);
  const inBase = new Map(base.rows.filter(comparable).map((row) => [keyOf(row), row]));
  const inHead = new Map(head.rows.filter(comparable).map((row) => [keyOf(row), row]));
  const found: Comparison[] = [];
  for (const [key, row] of inBase) {
    const other = inHead.get(key);
    if (other === undefined) found.push(comparePair(row, absent(row, head), { paired: false }));
    else found.push(withFiles(comparePair(row, other, { paired: false, incomparable }), row, other));
  }
  for (const [key, row] of inHead) {
    if (!inBase.has(key)) found.push(comparePair(absent(row, base), row, { paired: false }));
  }
  return adjust(found);
}

function absent(row: Summary, run: RunSummary): Summary {
  const reason = `not in run ${run.info.run.run_id}`;
  const { correct: _, ...rest } = row;
  return { ...rest, value: null, values: [], rounds: 0, n: 0, status: 'unavailable', reason };
}

function withFiles(comparison: Comparison, a: Summary, b: Summary): Comparison {
  if (a.model_sha256 === null || b.model_sha256 === null || a.model_sha256 === b.model_sha256) {
    return comparison;
  }
  return { ...comparison, notes: [...comparison.notes, "the model's files differ between the runs"] };
}
