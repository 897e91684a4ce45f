import type { Summary } from '../../core/report.ts';
import { type SheetCell, sheet } from './sheet.ts';

const KEYS = [
  'workload',
  'arm',
  'group',
  'model',
  'backend',
  'device',
  'precision',
  'batch',
  'status',
  'reason',
] as const;

/**
 * One suite as a table: a line per arm × backend × precision × batch × workload, three columns per metric, named
 * `metric [unit]`, `metric lo [unit]`, `metric hi [unit]`.
 */
export function wideSheet(rows: readonly Summary[]): string {
  const metrics = new Map<
    string,
    { readonly index: number; readonly title: string; readonly unit: string }
  >();
  const cells = new Map<string, { head: Summary; values: Map<number, Summary> }>();
  for (const row of rows) {
    const key = `${row.metric}\n${row.unit}`;
    const metric = metrics.get(key) ?? { index: metrics.size, title: row.metric, unit: row.unit };
    metrics.set(key, metric);
    const cell = cells.get(row.case_id) ?? { head: row, values: new Map<number, Summary>() };
    cells.set(row.case_id, cell);
    if (worse(row, cell.head)) cell.head = row;
    cell.values.set(metric.index, row);
  }
  const columns = [...metrics.values()];
  const header = [
    ...KEYS,
    ...columns.flatMap(({ title, unit }) => [
      `${title} [${unit}]`,
      `${title} lo [${unit}]`,
      `${title} hi [${unit}]`,
    ]),
  ];
  return sheet(header, lines());

  function* lines(): Iterable<SheetCell[]> {
    for (const { head, values } of cells.values()) {
      const line: SheetCell[] = KEYS.map((key) => head[key]);
      for (const { index } of columns) {
        const row = values.get(index);
        line.push(row?.value ?? null, row?.ci_lo ?? null, row?.ci_hi ?? null);
      }
      yield line;
    }
  }
}

/** A cell's line carries the status of its worst metric, so that a failed timing is not hidden by a known parameter count. */
const worse = (row: Summary, head: Summary): boolean => head.status === 'ok' && row.status !== 'ok';
