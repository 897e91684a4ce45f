import type { Colors } from 'picocolors/types.js';
import { oneLine } from '../core/errors.ts';
import type { Row } from './rows.ts';
import { columns, flow, padRight, shortened } from './text.ts';

/** A column of figures at the right of the tree. */
export interface Column {
  readonly head: string;
  readonly width: number;
  readonly align: 'left' | 'right';
  /** The text for a row, '' for none. */
  readonly cell: (row: Row) => string;
}

const NARROWEST = 20;

/**
 * Rows under a head, the figures flush at the right, no line wider than `width`. What doesn't fit beside its label moves
 * to lines of its own below it; names are cut in the middle. Very deep rows stop being indented.
 */
export function layOut(
  rows: readonly Row[],
  table: readonly Column[],
  width: number,
  head: string,
  paint: Colors,
): string[] {
  const figures = table.reduce((n, column) => n + 2 + column.width, 0);
  const left = Math.max(NARROWEST, width - figures);
  const cells = (text: (column: Column) => string): string =>
    table
      .map((c) => `  ${c.align === 'left' ? padRight(text(c), c.width) : text(c).padStart(c.width)}`)
      .join('');
  const blank = ' '.repeat(Math.max(0, left - head.length));
  const lines = [`${paint.bold(head)}${blank}${paint.dim(cells((c) => c.head).trimEnd())}`];
  for (const row of rows) {
    const blanks = ' '.repeat(Math.min(2 * row.indent, left - NARROWEST));
    const room = left - blanks.length;
    const label = shortened(row.label, room);
    const beside = oneLine(row.pieces.join(', '));
    const fits = columns(label) + 2 + columns(beside) <= room;
    const rest = beside !== '' && fits ? `  ${beside}` : '';
    const gap = ' '.repeat(Math.max(0, room - columns(label + rest)));
    lines.push(`${blanks}${label}${paint.dim(rest)}${gap}${cells((c) => c.cell(row))}`.trimEnd());
    if (fits) continue;
    for (const text of flow(row.pieces, width - blanks.length - 4))
      lines.push(`${blanks}    ${paint.dim(text)}`);
  }
  return lines;
}
