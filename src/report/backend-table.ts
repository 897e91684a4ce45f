import type { Summary } from '../core/report.ts';
import { type Race, raceName, racesOf } from './backends.ts';
import { capital, metricLabel, printable, quantity } from './format.ts';
import type { Statement } from './statement.ts';
import { CERTAINTY, type Table, type TableCell } from './table.ts';
import { groupBy, isRanked, type SuiteView, statusWord, unique } from './view.ts';

const MOST_ROWS = 40;
const MOST_BACKENDS = 6;

/** The models side by side on their backends, a table per leading time; what is slower says how many times. */
export function backendTables(view: SuiteView): Table[] {
  const all = racesOf(view);
  return [...groupBy(all, ({ metric }) => metric)].map(([metric, races]) => {
    const backends = unique(races.flatMap(({ rows }) => rows.map(({ backend }) => backend)));
    const shown = backends.slice(0, MOST_BACKENDS);
    const more =
      backends.length > shown.length ? `; ${backends.length - shown.length} backends more in the CSV` : '';
    return {
      caption: `${capital(metricLabel(metric))} by backend: the best value of a line, and how many times worse the others are, with 95% interval${more}`,
      columns: [
        { title: 'model', numeric: false },
        ...shown.map((backend) => ({ title: printable(backend), numeric: true })),
      ],
      rows: races
        .slice(0, MOST_ROWS)
        .map((race) => [
          { text: raceName(race, all) },
          ...shown.map((backend) => backendCell(race, backend)),
        ]),
      leftOut: Math.max(0, races.length - MOST_ROWS),
    };
  });
}

function backendCell(race: Race, backend: string): TableCell {
  const row = race.rows.find((candidate) => candidate.backend === backend);
  if (!row) return { text: '–', hint: 'not asked for in this profile', numeric: true, muted: true };
  if (!isRanked(row)) return { ...unranked(row), numeric: true, muted: true };
  return {
    text: quantity(row.value, row.unit),
    note: standing(race, row),
    order: row.value,
    numeric: true,
  };
}

function unranked(row: Summary): TableCell {
  const text = row.status === 'ok' ? 'n/a' : statusWord(row.status);
  return row.reason ? { text, hint: printable(row.reason) } : { text };
}

function standing(race: Race, row: Summary): string {
  const at = race.ranking.findIndex(({ case_id }) => case_id === row.case_id);
  if (at > 0) return behind(race.statements[at - 1]);
  if (race.ranking.length === 1) return 'the only valid one';
  return race.statements[0]?.winner === row.backend ? 'fastest' : 'first, but not surely';
}

function behind(line: Statement | undefined): string {
  if (!line?.amount) return 'not compared';
  const range = line.range ? ` (${line.range})` : '';
  return `${line.amount}${range}, ${CERTAINTY[line.certainty]}`;
}
