import { type Answer, foremost, rankingOf, verdictOf } from '../answer.ts';
import { backendVerdict } from '../backends.ts';
import { capital, exponentText, metricLabel, plural, shorten, slug } from '../format.ts';
import type { Finding } from '../growth.ts';
import { exponentRange, withoutRange } from '../growth-text.ts';
import type { Statement } from '../statement.ts';
import { CERTAINTY } from '../table.ts';
import { html, htmlPhrase } from './text.ts';

const MOST_LINES = 8;

/** How sure, as a word in a colour, with the reason when the pointer rests on it. */
export const pill = ({ certainty, because }: Pick<Statement, 'certainty' | 'because'>): string =>
  `<span class="pill ${certainty}" title="${html(because)}">${CERTAINTY[certainty]}</span>`;

/** A suite in ten seconds: the question, the answer, by how much and how sure on every headline metric, what was not valid. */
export function card(answer: Answer): string {
  const { info } = answer.view;
  const lines = answer.statements.filter(({ certainty }) => certainty !== 'none').slice(0, MOST_LINES);
  const first = foremost(answer);
  const board =
    answer.growth.length > 0 ? growthBoard(answer.growth) : lines.length > 1 ? scoreboard(lines) : '';
  return `<article class="card${board ? '' : ' plain'}"><div>
<p class="kicker"><a href="#${slug('suite', info.name)}">${html(info.name)}</a></p>
<h3>${html(info.question || info.name)}</h3>
<p class="verdict">${htmlPhrase(verdictOf(answer))}.${first ? ` ${pill(first)}` : ''}</p>
${fastestBackend(answer)}${notRanked(answer)}</div>
${board}
</article>`;
}

function scoreboard(lines: readonly Statement[]): string {
  return `<div class="wide"><table class="score"><thead><tr><th>on</th><th>better</th><th>than</th><th class="num">by</th><th>how sure</th></tr></thead>
<tbody>${lines.map(scoreLine).join('\n')}</tbody></table></div>`;
}

/** Exponents of the main backend: a line per contender, a column per metric. */
function growthBoard(findings: readonly Finding[]): string {
  const [first] = findings;
  if (first === undefined) return '';
  const columns = [
    ...new Map(findings.toReversed().map((found) => [found.metric, found])).values(),
  ].reverse();
  const head = columns.map(({ metric }) => `<th class="num">${html(capital(metricLabel(metric)))}</th>`);
  const rows = first.curves.slice(0, MOST_LINES).map(({ line, group }) => {
    const cells = columns.map(({ curves }) => {
      const fit = curves.find((curve) => curve.line === line)?.fit;
      if (!fit) return '<td class="num">n/a</td>';
      return `<td class="num">${exponentText(fit.exponent)}<small>${html(exponentRange(fit) ?? withoutRange(fit))}</small></td>`;
    });
    return `<tr><td><b>${arm(line)}</b>${group ? `<small>${html(group)}</small>` : ''}</td>${cells.join('')}</tr>`;
  });
  return `<div class="wide"><table class="score"><thead><tr><th>grows like ${html(first.growth.of)}^</th>${head.join('')}</tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div>`;
}

function scoreLine(line: Statement): string {
  const { a, b, metric, batch } = line.comparison;
  const [first, second] = line.ahead === 'b' ? [b.arm, a.arm] : [a.arm, b.arm];
  const better =
    line.winner === null
      ? `${arm(first)}<small>${line.comparison.verdict === 'same' ? 'equal' : 'no sure winner'}</small>`
      : `<b>${arm(first)}</b>`;
  const by =
    line.amount === null
      ? ''
      : `${html(line.amount)}${line.range ? `<small>${html(line.range)}</small>` : ''}`;
  return `<tr><td>${html(capital(metricLabel(metric)))}<small>batch ${batch}</small></td><td>${better}</td><td>${arm(second)}</td><td class="num">${by}</td><td>${pill(line)}</td></tr>`;
}

/** Names do not break in this table, so they are short; the whole name shows when the pointer rests on it. */
const arm = (name: string): string =>
  `<span class="arm" title="${html(name)}">${html(shorten(name, 24))}</span>`;

function fastestBackend({ view }: Answer): string {
  const verdict = backendVerdict(view);
  return verdict === null ? '' : `<p class="backend">${htmlPhrase(verdict)}.</p>`;
}

function notRanked({ gaps }: Answer): string {
  if (gaps.length === 0) return '';
  const items = gaps
    .slice(0, 4)
    .map(
      (gap) =>
        `<li><b>${plural(gap.cells, 'cell')} ${html(gap.word)}</b>: ${html(gap.who)} on ${html(gap.where)}. ${html(gap.reason)}</li>`,
    );
  if (gaps.length > 4) items.push(`<li>${plural(gaps.length - 4, 'more reason')} below</li>`);
  return `<div class="gaps"><p>Not ranked</p><ul>${items.join('')}</ul></div>`;
}

/** Valid arms in order on every headline metric. */
export function rankings({ leads }: Answer): string {
  const lists = leads
    .filter(({ ranking }) => ranking.length > 1)
    .map(
      (lead) =>
        `<li><span>${html(capital(metricLabel(lead.metric)))} <small>${html(lead.where)}</small></span><div>${htmlPhrase(rankingOf(lead))}</div></li>`,
    );
  return lists.length > 0 ? `<h3 class="sub">Best first</h3><ul class="rankings">${lists.join('')}</ul>` : '';
}
