import { backendTables } from '../backend-table.ts';
import { absences, raceName, raceSentence, racesOf, unrankedIn } from '../backends.ts';
import { slug } from '../format.ts';
import type { SuiteView } from '../view.ts';
import { pill } from './summary.ts';
import { tableHtml } from './tables.ts';
import { html, htmlPhrase } from './text.ts';

/** Which backend is fastest for each model of a suite, and why another isn't there; nothing where there is but one. */
export function backendSection(view: SuiteView): string {
  const races = racesOf(view);
  if (races.length === 0) return '';
  const missing = absences(view);
  const lines = races.map((race) => {
    const [first] = race.statements;
    const rest = unrankedIn(race);
    return `<li>${html(raceName(race, races))}: ${htmlPhrase(raceSentence(race))}.${first ? ` ${pill(first)}` : ''}${rest ? ` <small>${html(rest)}</small>` : ''}</li>`;
  });
  return `<h3 class="sub">Which backend?</h3>
<ul class="sentences">${lines.join('\n')}</ul>
${backendTables(view)
  .map((table) => tableHtml(table, `${slug(view.info.name)}.csv`))
  .join('\n')}
${missing.length > 0 ? `<ul class="absent">${missing.map((text) => `<li>${html(text)}</li>`).join('\n')}</ul>` : ''}`;
}
