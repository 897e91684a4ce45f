import { COLUMNS, type Summary } from '../../core/report.ts';
import { sheet } from './sheet.ts';

/** The long CSV: one line per metric of a cell, the columns of `COLUMNS` in their order. */
export function longSheet(rows: readonly Summary[]): string {
  return sheet(
    COLUMNS,
    rows.map((row) => COLUMNS.map((column) => row[column])),
  );
}
