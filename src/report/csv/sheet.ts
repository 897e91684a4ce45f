import { stringify } from 'csv-stringify/sync';
import { printable } from '../format.ts';

/** A cell of a sheet: text, a number, or null for nothing. */
export type SheetCell = string | number | null;

/**
 * CSV by RFC 4180 with a header line and LF line ends. Text that a spreadsheet would take for a formula (it begins with
 * `= + - @`, tab or CR) gets a leading apostrophe; numbers stay numbers, also negative ones. What is not finite is empty.
 * Source of the rule: OWASP, CSV Injection.
 */
export function sheet(header: readonly string[], rows: Iterable<readonly SheetCell[]>): string {
  const lines: SheetCell[][] = [[...header]];
  for (const row of rows) lines.push(row.map(clean));
  return stringify(lines, { escape_formulas: true, record_delimiter: 'unix' });
}

function clean(cell: SheetCell): SheetCell {
  if (typeof cell === 'number') return Number.isFinite(cell) ? cell : null;
  return cell === null ? null : guard(cell);
}

/** csv-stringify looks at the first character alone, but spreadsheets trim blanks before they look. */
function guard(text: string): string {
  return /^[ \u00a0]+[=+\-@]/.test(text) ? `'${printable(text)}` : text;
}
