import type { Summary } from '../core/report.ts';
import { comparisonsOf } from './answer.ts';
import { metricLabel, plural, printable, quantity } from './format.ts';
import { spread, statement } from './statement.ts';
import { groupBy, headline, isRanked, place, type SuiteView, statusWord, unique } from './view.ts';

const MOST_ROWS = 60;
const STATIC = ['parameters', 'macs'];

export interface TableCell {
  readonly text: string;
  /** Second line: an interval, or why there is no value. */
  readonly note?: string;
  /** Longer explanation, where there is room for it. */
  readonly hint?: string;
  /** Sorts instead of the text. */
  readonly order?: number;
  readonly numeric?: boolean;
  /** Neither ranked nor valid. */
  readonly muted?: boolean;
}

export interface Table {
  readonly caption: string;
  readonly columns: readonly { readonly title: string; readonly numeric: boolean }[];
  readonly rows: readonly (readonly TableCell[])[];
  /** Rows that are in the CSV only. */
  readonly leftOut: number;
}

/** Headline metrics of every cell, a table per workload. */
export function resultTables(view: SuiteView): Table[] {
  return [...groupBy(view.rows, (row) => row.workload)].map(([workload, rows]) => {
    const present = new Set(rows.map((row) => row.metric));
    const metrics = unique([...headline(view), ...STATIC]).filter((metric) => present.has(metric));
    const cells = [...groupBy(rows, (row) => row.case_id).values()];
    return {
      caption: `Results of ${printable(workload)}: medians of round medians, with 95% intervals`,
      columns: [
        ...['arm', 'backend'].map((title) => ({ title, numeric: false })),
        { title: 'batch', numeric: true },
        { title: 'status', numeric: false },
        ...metrics.map((metric) => ({ title: metricLabel(metric), numeric: true })),
      ],
      rows: cells.slice(0, MOST_ROWS).map((mine) => resultRow(mine, metrics)),
      leftOut: Math.max(0, cells.length - MOST_ROWS),
    };
  });
}

function resultRow(rows: readonly Summary[], metrics: readonly string[]): TableCell[] {
  const head = rows.find((row) => row.phase === 'steady') ?? rows[0]!;
  const byMetric = new Map(rows.map((row) => [row.metric, row]));
  return [
    { text: printable(head.arm) },
    { text: printable(place(head)) },
    { text: String(head.batch), order: head.batch, numeric: true },
    {
      text: statusWord(head.status),
      ...(head.reason ? { hint: printable(head.reason) } : {}),
      muted: head.status !== 'ok',
    },
    ...metrics.map((metric) => valueCell(byMetric.get(metric))),
  ];
}

function valueCell(row: Summary | undefined): TableCell {
  if (!row || row.value === null) return { text: 'n/a', numeric: true, muted: true };
  const range = spread(row);
  const note = range ?? (row.assume === 'exact' ? undefined : `${plural(row.rounds, 'round')}: no interval`);
  return {
    text: quantity(row.value, row.unit),
    order: row.value,
    numeric: true,
    muted: !isRanked(row),
    ...(note ? { note } : {}),
  };
}

/** Pairs of arms on headline metrics under all conditions; ratios are the second arm's value divided by the first's. */
export function comparisonTable(view: SuiteView): Table | null {
  const every = comparisonsOf(view);
  const all = every.filter((comparison) => statement(comparison).certainty !== 'none');
  const without = every.length - all.length;
  if (all.length === 0) return null;
  return {
    caption: `Comparisons of pairs: second ÷ first, with 95% interval${without > 0 ? `; ${plural(without, 'pair')} without a valid value on both sides left out` : ''}`,
    columns: ['metric', 'first', 'second', 'where', 'ratio', 'better', 'how sure'].map((title) => ({
      title,
      numeric: title === 'ratio',
    })),
    rows: all.slice(0, MOST_ROWS).map((c) => {
      const { amount, certainty, because, winner } = statement(c);
      const interval =
        c.ci_lo !== null && c.ci_hi !== null
          ? `${c.ci_lo.toFixed(3)} to ${c.ci_hi.toFixed(3)}`
          : 'no interval';
      return [
        { text: metricLabel(c.metric) },
        { text: printable(c.a.arm), note: quantity(c.a.value, c.unit) },
        { text: printable(c.b.arm), note: quantity(c.b.value, c.unit) },
        { text: `${printable(place(c))}, batch ${c.batch}`, note: printable(c.workload) },
        c.ratio === null
          ? { text: 'n/a', numeric: true, muted: true }
          : {
              text: c.ratio.toFixed(3),
              order: c.ratio,
              numeric: true,
              note: c.method === 'exact' ? 'exact' : interval,
            },
        winner === null
          ? { text: c.verdict === 'same' ? 'equal' : '–' }
          : { text: printable(winner), note: amount ?? '' },
        { text: CERTAINTY[certainty], note: because },
      ];
    }),
    leftOut: Math.max(0, all.length - MOST_ROWS),
  };
}

export const CERTAINTY = {
  exact: 'exact',
  sure: 'sure',
  weak: 'weak evidence',
  unsure: 'not sure',
  none: 'not compared',
} as const;
