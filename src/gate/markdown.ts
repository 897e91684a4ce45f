import { markdownTable } from 'markdown-table';
import { countVerdicts, exitCodeOf, type GateResult, type GateRow, type GateVerdict } from './result.ts';

/** Order in which a reader wants to see them. */
const SHOWN: readonly GateVerdict[] = [
  'regression',
  'invalid',
  'missing',
  'suspected',
  'inconclusive',
  'improved',
];
const ROWS = 100;

/** A table of everything that is not plainly ok, with the verdict of the whole above it. Names are escaped. */
export function gateMarkdown(result: GateResult, options: { readonly strict?: boolean } = {}): string {
  const counts = countVerdicts(result);
  const rank = (row: GateRow) => SHOWN.indexOf(row.verdict);
  const rows = collapsed(result.rows.filter((r) => rank(r) >= 0)).sort((a, b) => rank(a) - rank(b));
  const summary = [...SHOWN, 'ok' as const, 'new' as const]
    .filter((v) => counts[v])
    .map((v) => `${counts[v]} ${v}`);
  const lines = [
    `## Performance gate: ${headline(result, options.strict ?? false)}`,
    '',
    `Run ${plain(result.run)} against baseline ${plain(result.baseline_run)}: ${summary.join(', ') || 'nothing to judge'}.`,
    ...result.notes.map((note) => `\n> ${plain(note)}`),
  ];
  if (rows.length > 0) {
    const table = rows
      .slice(0, ROWS)
      .map((r) => [
        r.verdict,
        plain(r.case_id),
        plain(r.metric),
        figure(r.base, r.unit),
        figure(r.head, r.unit),
        r.p_adjusted === null ? '' : r.p_adjusted.toPrecision(2),
        plain(r.reason),
      ]);
    lines.push(
      '',
      markdownTable([['verdict', 'case', 'metric', 'baseline', 'now', 'p (Holm)', 'why'], ...table]),
    );
    if (rows.length > ROWS) lines.push('', `… and ${rows.length - ROWS} more rows.`);
  }
  return `${lines.join('\n')}\n`;
}

/** A case that broke did so in all its metrics: one line tells them all. */
function collapsed(rows: readonly GateRow[]): GateRow[] {
  const lines = new Map<string, GateRow>();
  for (const row of rows) {
    const key = JSON.stringify([row.case_id, row.verdict, row.reason, row.head === null ? null : row.metric]);
    const first = lines.get(key);
    lines.set(
      key,
      first === undefined ? row : { ...first, metric: `${first.metric}, ${row.metric}`, base: null },
    );
  }
  return [...lines.values()];
}

function headline(result: GateResult, strict: boolean): string {
  const code = exitCodeOf(result, { strict });
  if (code === 1) return 'regression';
  if (code === 3) return 'invalid results';
  const counts = countVerdicts(result);
  return counts.inconclusive || counts.suspected ? 'no regression shown, some rows inconclusive' : 'ok';
}

function figure(value: number | null, unit: string): string {
  if (value === null) return '';
  const digits = Number.isInteger(value) ? String(value) : value.toPrecision(4);
  return unit === 'count' ? digits : `${digits} ${plain(unit)}`;
}

/** Text that Markdown and HTML leave as it is, on one line. */
function plain(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/[\\`*_[\]|~#@]/g, '\\$&');
}
