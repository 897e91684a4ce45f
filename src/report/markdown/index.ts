import { markdownTable } from 'markdown-table';
import type { Reporter, ReportInput } from '../../core/report.ts';
import { type Answer, answerOf, foremost, rankingOf, verdictOf } from '../answer.ts';
import { backendTables } from '../backend-table.ts';
import {
  absences,
  backendVerdict,
  raceName,
  raceSentence,
  racesOf,
  unavailable,
  unrankedIn,
} from '../backends.ts';
import type { Chart } from '../charts/chart.ts';
import { chartsOf } from '../charts/index.ts';
import { METHOD, runFacts, warningsOf } from '../facts.ts';
import { capital, metricLabel, plural, slug } from '../format.ts';
import { countGaps, type Gap, missingValues, neverStarted } from '../gaps.ts';
import { growthNotes, growthTable } from '../growth-text.ts';
import { learningTable } from '../learning-text.ts';
import { CERTAINTY, comparisonTable, resultTables, type Table } from '../table.ts';
import { type SuiteView, suiteViews } from '../view.ts';
import { md, mdPhrase } from './escape.ts';

const MOST_SENTENCES = 6;

/** `report.md`: the answers in words, then the tables, charts and conditions behind them. */
export const markdown: Reporter = {
  name: 'md',
  render: (input) => [{ file: 'report.md', body: document(input) }],
};

function document(input: ReportInput): string {
  const answers = suiteViews(input).map(answerOf);
  const { charts, leftOut } = chartsOf(input);
  const blocks = [
    '# Versus report',
    '## In ten seconds',
    ...answers.map(brief),
    ...answers.flatMap((answer) =>
      suiteBlocks(
        answer,
        charts.filter((chart) => chart.suite === answer.view.info.name),
      ),
    ),
    '## What was not measured, and why',
    notMeasured(input, answers),
    ...(leftOut > 0
      ? [`${plural(leftOut, 'chart')} left out, because there are too many; the tables are complete.`]
      : []),
    '## Machine and run',
    runFacts(input)
      .map(({ name, text }) => `- ${md(name)}: ${md(text)}`)
      .join('\n'),
    ...warningBlock(input),
    '## How to read this',
    METHOD.map((line) => `- ${line}`).join('\n'),
    'All numbers: [results.csv](results.csv), [comparisons.csv](comparisons.csv). The same with live charts: [report.html](report.html).',
  ];
  return `${blocks.join('\n\n')}\n`;
}

/** One suite in the summary: question, answer, how sure, what was not valid. */
function brief(answer: Answer): string {
  const { info } = answer.view;
  const first = foremost(answer);
  const sure = first
    ? ` *${capital(CERTAINTY[first.certainty])}${first.because ? `: ${md(first.because)}` : ''}.*`
    : '';
  const gaps = countGaps(answer.gaps);
  const fastest = backendVerdict(answer.view);
  return [
    `**${md(info.question || info.name)}**  `,
    `${mdPhrase(verdictOf(answer))}.${sure}${fastest ? `  \n${mdPhrase(fastest)}.` : ''}${gaps ? `  \nNot ranked: ${md(gaps)}.` : ''}`,
  ].join('\n');
}

function suiteBlocks(answer: Answer, charts: readonly Chart[]): string[] {
  const { view } = answer;
  const comparisons = comparisonTable(view);
  return [
    `## ${md(view.info.name)}`,
    ...(view.info.question ? [`> ${md(view.info.question)}`] : []),
    ...growthBlocks(answer),
    ...learningBlocks(answer),
    paragraph(answer),
    ...answer.leads
      .filter((lead) => lead.ranking.length > 1)
      .map(
        (lead) =>
          `- ${capital(metricLabel(lead.metric))} (${md(lead.where)}), best first: ${mdPhrase(rankingOf(lead))}`,
      ),
    ...backendBlocks(view),
    ...charts.map(
      (chart) => `![${md([chart.title, ...chart.subtitle.slice(0, 1)].join('; '))}](${chart.file}.png)`,
    ),
    ...resultTables(view).map((table) => tableBlock(table, `${slug(view.info.name)}.csv`)),
    ...(comparisons ? [tableBlock(comparisons, 'comparisons.csv')] : []),
  ];
}

/** Which backend is fastest for each model, the table of all, and why another isn't there. */
function backendBlocks(view: SuiteView): string[] {
  const races = racesOf(view);
  if (races.length === 0) return [];
  const lines = races.map((race) => {
    const rest = unrankedIn(race);
    const [first] = race.statements;
    const sure = first
      ? ` (${CERTAINTY[first.certainty]}${first.because ? `: ${md(first.because)}` : ''})`
      : '';
    return `- ${md(raceName(race, races))}: ${mdPhrase(raceSentence(race))}${sure}${rest ? `; ${md(rest)}` : ''}.`;
  });
  const missing = absences(view).map((text) => `- ${md(text)}`);
  return [
    '### Which backend?',
    lines.join('\n'),
    ...backendTables(view).map((table) => tableBlock(table, `${slug(view.info.name)}.csv`)),
    ...(missing.length > 0 ? [missing.join('\n')] : []),
  ];
}

/** How each cost grows, in sentences and in a table. */
function growthBlocks({ growth }: Answer): string[] {
  const table = growthTable(growth);
  if (table === null) return [];
  const lines = growth.map(
    ({ text, certainty, because, place, batch }) =>
      `- ${mdPhrase(text)} (${md(place)}, batch ${batch}; ${CERTAINTY[certainty]}: ${md(because)}).`,
  );
  const notes = growthNotes(growth).map((note) => `- ${md(note)}.`);
  return [[...lines, ...notes].join('\n'), tableBlock(table, 'growth.csv')];
}

/** Who catches up with whom at how many images, and every value. */
function learningBlocks({ view, learning }: Answer): string[] {
  const table = learningTable(view);
  if (table === null) return [];
  const lines = learning.map(
    ({ text, certainty, because }) => `- ${mdPhrase(text)} (${CERTAINTY[certainty]}: ${md(because)}).`,
  );
  return [lines.join('\n'), tableBlock(table, 'learning.csv')].filter((block) => block !== '');
}

/** Who wins, by what ratio, how sure, and what was not valid, in sentences. */
function paragraph(answer: Answer): string {
  const sentences = answer.statements.slice(0, MOST_SENTENCES).map(({ text, certainty, because }) => {
    const sure = certainty === 'none' ? '' : ` (${CERTAINTY[certainty]}${because ? `: ${md(because)}` : ''})`;
    return `${mdPhrase(text)}${sure}.`;
  });
  if (sentences.length === 0) sentences.push(`${mdPhrase(verdictOf(answer))}.`);
  const gaps = answer.gaps.map((gap) => gapText(gap));
  if (gaps.length > 0) sentences.push(`Not ranked: ${gaps.join('; ')}.`);
  return sentences.join(' ');
}

const gapText = (gap: Gap): string =>
  `${md(gap.who)} on ${md(gap.where)} (${plural(gap.cells, 'cell')}, ${md(gap.word)}: ${md(gap.reason)})`;

function tableBlock(table: Table, file: string): string {
  const body = table.rows.map((row) =>
    row.map((cell) => md(cell.text) + (cell.note ? `<br>${md(cell.note)}` : '')),
  );
  const text = markdownTable([table.columns.map(({ title }) => md(title)), ...body], {
    align: table.columns.map(({ numeric }) => (numeric ? 'r' : 'l')),
    alignDelimiters: false,
  });
  const more = table.leftOut > 0 ? `\n\n${plural(table.leftOut, 'more row')} in [${file}](${file}).` : '';
  return `${table.caption.split('\n').map(md).join(' ')}:\n\n${text}${more}`;
}

function notMeasured(input: ReportInput, answers: readonly Answer[]): string {
  const lines = [
    ...answers.flatMap(({ view, gaps }) => [
      ...gaps.map((gap) => `- ${md(view.info.name)}: ${gapText(gap)}`),
      ...missingValues(view).map(
        (gap) =>
          `- ${md(view.info.name)}: ${md(gap.who)} of ${plural(gap.cells, 'cell')} (${md(gap.reason)})`,
      ),
    ]),
    ...unavailable(input.info.run.backends).map(
      ({ backend, reason }) => `- ${md(backend)}: not available. ${md(reason)}`,
    ),
    ...neverStarted(input).map(
      ({ suite, cells }) => `- ${md(suite)}: ${plural(cells, 'planned cell')} never started`,
    ),
  ];
  return lines.length > 0 ? lines.join('\n') : 'Everything that was planned was measured and is valid.';
}

function warningBlock(input: ReportInput): string[] {
  const warnings = warningsOf(input);
  if (warnings.length === 0) return [];
  return ['Take the numbers with care:', warnings.map((text) => `- ${md(text)}`).join('\n')];
}
