import type { Status } from '../core/record.ts';
import type { ReportInput } from '../core/report.ts';
import { metricLabel, plural, printable } from './format.ts';
import { groupBy, place, type SuiteView, statusWord, unique } from './view.ts';

const MOST_NAMES = 4;

/** Cells or values that are missing or not ranked for the same reason. */
export interface Gap {
  readonly status: Status;
  /** `invalid`, `out of memory`; `no value` for a metric of a valid cell. */
  readonly word: string;
  readonly reason: string;
  readonly cells: number;
  /** Arms or metrics it is about, the first few. */
  readonly who: string;
  /** Backends. */
  readonly where: string;
}

/** Cells of a suite that are not valid, by reason; most cells first. */
export function gapsOf(view: SuiteView): Gap[] {
  const bad = view.cells.filter((cell) => cell.status !== 'ok');
  return [...groupBy(bad, (cell) => `${cell.status}\n${cell.reason ?? ''}`).values()]
    .map((cells) => ({
      status: cells[0]!.status,
      word: statusWord(cells[0]!.status),
      reason: printable(cells[0]!.reason ?? 'no reason was recorded'),
      cells: cells.length,
      who: list(unique(cells.map((cell) => printable(cell.arm)))),
      where: list(unique(cells.map((cell) => printable(place(cell))))),
    }))
    .sort((a, b) => b.cells - a.cells);
}

/** `9 cells correctness only, 3 cells invalid`. */
export function countGaps(gaps: readonly Gap[]): string {
  return [...groupBy(gaps, ({ word }) => word)]
    .map(
      ([word, same]) =>
        `${plural(
          same.reduce((sum, { cells }) => sum + cells, 0),
          'cell',
        )} ${word}`,
    )
    .join(', ');
}

/** Metrics without a value although their cell is valid (`n/a: the weights are seeded, not trained`), by reason. */
export function missingValues(view: SuiteView): Gap[] {
  const empty = view.rows.filter((row) => row.value === null && row.status === 'ok' && row.reason !== null);
  return [...groupBy(empty, (row) => row.reason).values()]
    .map((rows) => ({
      status: 'ok' as const,
      word: 'no value',
      reason: printable(rows[0]!.reason ?? ''),
      cells: unique(rows.map((row) => row.case_id)).length,
      who: list(unique(rows.map((row) => metricLabel(row.metric)))),
      where: list(unique(rows.map((row) => printable(place(row))))),
    }))
    .sort((a, b) => b.cells - a.cells);
}

/** Planned cells that the records do not know at all, by suite. */
export function neverStarted(input: ReportInput): { readonly suite: string; readonly cells: number }[] {
  const known = new Set(input.info.cells.map((cell) => cell.case_id));
  const missing = input.info.run.plan.filter((cell) => !known.has(cell.case_id));
  return [...groupBy(missing, (cell) => cell.suite)].map(([suite, cells]) => ({
    suite,
    cells: cells.length,
  }));
}

function list(names: readonly string[]): string {
  if (names.length <= MOST_NAMES) return names.join(', ');
  return `${names.slice(0, MOST_NAMES - 1).join(', ')} and ${plural(names.length - MOST_NAMES + 1, 'more', 'more')}`;
}
