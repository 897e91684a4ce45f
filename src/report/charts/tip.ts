import type { Summary } from '../../core/report.ts';
import { interval, metricLabel, plural, printable, quantity } from '../format.ts';
import { place, statusWord } from '../view.ts';

/** What the pointer shows over a value: which cell, value, interval or why there is none, samples, and why it is not valid. */
export function tip(row: Summary): string[] {
  const lines = [
    `${printable(row.arm)} · ${printable(place(row))} · batch ${row.batch}`,
    `${metricLabel(row.metric)}: ${quantity(row.value, row.unit)}`,
  ];
  const range = interval(row.ci_lo, row.ci_hi, row.unit);
  if (row.value !== null) lines.push(range ? `95% interval: ${range}` : withoutInterval(row));
  if (row.rounds > 0) lines.push(`${plural(row.n, 'sample')} in ${plural(row.rounds, 'round')}`);
  if (row.ci_method) lines.push(printable(row.ci_method));
  if (row.status !== 'ok')
    lines.push(`${statusWord(row.status)}: ${printable(row.reason ?? 'no reason was recorded')}`);
  return lines;
}

/** `exact`, or `2 rounds: no interval`. */
function withoutInterval(row: { readonly rounds: number; readonly assume: Summary['assume'] }): string {
  return row.assume === 'exact' ? 'exact' : `${plural(row.rounds, 'round')}: no interval`;
}
