import type { ReportInput } from '../../core/report.ts';
import { type Answer, answerOf } from '../answer.ts';
import { unavailable } from '../backends.ts';
import type { Chart } from '../charts/chart.ts';
import { chartsOf } from '../charts/index.ts';
import { METHOD, runFacts, warningsOf } from '../facts.ts';
import { plural, slug } from '../format.ts';
import { missingValues, neverStarted } from '../gaps.ts';
import { growthNotes, growthTable } from '../growth-text.ts';
import { learningTable } from '../learning-text.ts';
import { comparisonTable, resultTables } from '../table.ts';
import { suiteViews } from '../view.ts';
import { backendSection } from './backends.ts';
import { figure } from './figures.ts';
import { card, pill, rankings } from './summary.ts';
import { tableHtml } from './tables.ts';
import { html, htmlPhrase } from './text.ts';

/** Everything between the page's head and its scripts. */
export function body(input: ReportInput): string {
  const answers = suiteViews(input).map(answerOf);
  const { charts, leftOut } = chartsOf(input);
  return `${top(input, answers)}
<main>
<section id="summary"><h2>In ten seconds</h2>
<div class="cards">${answers.map(card).join('\n')}</div></section>
${answers.map((answer) => suiteSection(answer, charts)).join('\n')}
${leftOut > 0 ? `<p class="more">${plural(leftOut, 'chart')} left out, because there are too many; the tables are complete.</p>` : ''}
${unmeasured(input, answers)}
${machine(input)}
</main>
<footer><p>All numbers: <a href="results.csv">results.csv</a>, <a href="comparisons.csv">comparisons.csv</a>. In words: <a href="report.md">report.md</a>.</p></footer>`;
}

function top(input: ReportInput, answers: readonly Answer[]): string {
  const { run, end } = input.info;
  const { environment } = run;
  const warnings = warningsOf(input);
  if (end?.outcome !== 'complete') {
    warnings.unshift(
      `The run did not end in good order${end?.reason ? ` (${end.reason})` : ''}: this is what there is.`,
    );
  }
  const links = [
    ...answers.map(({ view }) => [slug('suite', view.info.name), view.info.name] as const),
    ['unmeasured', 'Not measured'] as const,
    ['machine', 'Machine and run'] as const,
  ];
  const meta = [
    run.started.slice(0, 16).replace('T', ' '),
    environment.cpu,
    plural(environment.cores, 'core'),
    ...environment.gpus,
    `profile ${run.profile}`,
    plural(run.rounds, 'round'),
  ];
  return `<header class="top">
<p class="kicker">Versus</p>
<h1>Which is better, and how sure?</h1>
<p class="meta">${meta.map(html).join(' · ')}</p>
<nav>${links.map(([id, name]) => `<a href="#${id}">${html(name)}</a>`).join('')}</nav>
${
  warnings.length > 0
    ? `<div class="banner" role="note"><p>Take the numbers with care</p><ul>${warnings
        .slice(0, 6)
        .map((text) => `<li>${html(text)}</li>`)
        .join('')}</ul></div>`
    : ''
}
</header>`;
}

function suiteSection(answer: Answer, charts: readonly Chart[]): string {
  const { info } = answer.view;
  const figures = charts.flatMap((chart, i) => (chart.suite === info.name ? [figure(chart, i)] : []));
  const comparisons = comparisonTable(answer.view);
  const growth = growthTable(answer.growth);
  const learning = learningTable(answer.view);
  const notes = growthNotes(answer.growth)
    .map((note) => `<p class="more">${html(note)}.</p>\n`)
    .join('');
  const file = `${slug(info.name)}.csv`;
  return `<section id="${slug('suite', info.name)}"><h2>${html(info.name)}</h2>
<p class="lede">${html(info.question)}</p>
<ul class="sentences">${[...answer.growth, ...answer.learning, ...answer.statements].map((line) => `<li>${htmlPhrase(line.text)}. ${pill(line)}</li>`).join('\n')}</ul>${growth ? `\n${notes}${tableHtml(growth, 'growth.csv')}` : ''}${learning ? `\n${tableHtml(learning, 'learning.csv')}` : ''}
${rankings(answer)}
${backendSection(answer.view)}
<div class="figures">${figures.join('\n')}</div>
${resultTables(answer.view)
  .map((table) => tableHtml(table, file))
  .join('\n')}
${comparisons ? tableHtml(comparisons, 'comparisons.csv') : ''}
</section>`;
}

function unmeasured(input: ReportInput, answers: readonly Answer[]): string {
  const lines = [
    ...answers.flatMap(({ view, gaps }) =>
      [...gaps, ...missingValues(view)].map(
        (gap) =>
          `<li><b>${html(view.info.name)}</b>: ${html(gap.who)} on ${html(gap.where)}, ${plural(gap.cells, 'cell')} ${html(gap.word)}. ${html(gap.reason)}</li>`,
      ),
    ),
    ...unavailable(input.info.run.backends).map(
      ({ backend, reason }) => `<li><b>${html(backend)}</b>: not available. ${html(reason)}</li>`,
    ),
    ...neverStarted(input).map(
      ({ suite, cells }) => `<li><b>${html(suite)}</b>: ${plural(cells, 'planned cell')} never started</li>`,
    ),
  ];
  const text =
    lines.length > 0
      ? `<ul>${lines.join('\n')}</ul>`
      : '<p>Everything that was planned was measured and is valid.</p>';
  return `<section id="unmeasured"><h2>What was not measured, and why</h2><div class="panel">${text}</div></section>`;
}

function machine(input: ReportInput): string {
  const facts = runFacts(input).map(({ name, text }) => `<dt>${html(name)}</dt><dd>${html(text)}</dd>`);
  return `<section id="machine"><h2>Machine and run</h2>
<div class="panel"><dl>${facts.join('\n')}</dl></div></section>
<section id="method"><h2>How to read this</h2>
<div class="panel"><ul>${METHOD.map((line) => `<li>${html(line)}</li>`).join('\n')}</ul></div></section>`;
}
