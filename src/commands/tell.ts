import { relative } from 'node:path';
import pc from 'picocolors';
import type { CellInfo, Comparison } from '../core/report.ts';
import { raceName, raceSentence, racesOf, unavailable, unrankedIn } from '../report/backends.ts';
import { peersOf } from '../report/growth.ts';
import { growthStatements } from '../report/growth-text.ts';
import { learningStatements } from '../report/learning-text.ts';
import type { Phrase } from '../report/statement.ts';
import { CERTAINTY } from '../report/table.ts';
import { type SuiteView, suiteViews } from '../report/view.ts';
import { print } from './context.ts';
import { reportInput } from './render.ts';
import type { ReadRun } from './runs.ts';

/** The answers in a few lines: arms, backends, what has no rank, what isn't here, a note; the report has the rest. */
export function tell(run: ReadRun, reports: readonly string[], note: string | null = null): void {
  const input = reportInput(run);
  const { info, comparisons } = input;
  const views = new Map(suiteViews(input).map((view) => [view.info.name, view]));
  for (const suite of info.run.suites) {
    print('');
    print(pc.bold(suite.name) + pc.dim(`  ${suite.question}`));
    const view = views.get(suite.name);
    for (const line of view ? growing(view) : []) print(`  ${line}`);
    // Of contenders at several sizes only those of one size are set against each other here.
    const peers = view ? peersOf(view) : null;
    const told = comparisons.filter(
      (c) =>
        c.suite === suite.name &&
        suite.headline.includes(c.metric) &&
        c.verdict !== 'none' &&
        (peers === null || peers.arms.has(c.a.arm)),
    );
    for (const comparison of told) print(`  ${sentence(comparison)}`);
    for (const line of view ? fastest(view) : []) print(`  ${line}`);
    for (const line of notRanked(info.cells.filter((cell) => cell.suite === suite.name))) {
      print(pc.yellow(`  ${line}`));
    }
  }
  print('');
  const gone = unavailable(info.run.backends).map(({ backend }) => backend);
  if (gone.length > 0)
    print(pc.dim(`not on this machine: ${gone.join(', ')} (versus doctor says why, and what to do)`));
  if (note !== null) print(pc.dim(note));
  const page = reports.find((path) => path.endsWith('report.html'));
  if (page) print(`report: ${relative(process.cwd(), page) || page}`);
}

/** One line per metric that was fitted over sizes, who grows how; and per contrast, who catches up with whom. */
const growing = (view: SuiteView): string[] => [
  ...growthStatements(view).map(
    ({ text, certainty, place }) => `${place}: ${coloured(text)} (${CERTAINTY[certainty]})`,
  ),
  ...learningStatements(view).map(({ text, certainty }) => `${coloured(text)} (${CERTAINTY[certainty]})`),
];

/** A sentence with its names in bold. */
const coloured = (text: Phrase): string =>
  text.map((part) => (typeof part === 'string' ? part : pc.bold(part.name))).join('');

/** One line per model that ran on several backends: the fastest, and by how much. */
function fastest(view: SuiteView): string[] {
  const races = racesOf(view);
  return races.map((race) => {
    const text = coloured(raceSentence(race));
    const [first] = race.statements;
    const rest = unrankedIn(race);
    return `fastest backend, ${raceName(race, races)}: ${text}${first ? ` (${CERTAINTY[first.certainty]})` : ''}${rest ? `; ${rest}` : ''}`;
  });
}

/** One line per status and reason: which cells have no rank, and why. */
function notRanked(cells: readonly CellInfo[]): string[] {
  const groups = new Map<string, string[]>();
  for (const { status, reason, arm, workload, backend, batch } of cells) {
    if (status === 'ok') continue;
    const why = `${status}${reason === null ? '' : `: ${reason}`}`;
    groups.set(why, [...(groups.get(why) ?? []), `${arm} (${workload}, ${backend}, batch ${batch})`]);
  }
  return [...groups].map(([why, names]) => `not ranked: ${names.join(', ')} – ${why}`);
}

function sentence(c: Comparison): string {
  const where = `${c.workload} ${c.metric} at batch ${c.batch} on ${c.backend}`;
  const interval =
    c.ci_lo === null || c.ci_hi === null ? '' : ` [${c.ci_lo.toFixed(2)}, ${c.ci_hi.toFixed(2)}]`;
  const ratio = c.ratio === null ? ': no ratio' : ` = ${c.ratio.toFixed(2)}${interval}`;
  const verdict =
    c.verdict === 'a' || c.verdict === 'b'
      ? pc.green(`${c[c.verdict].arm} is better`)
      : { same: 'the same', unsure: 'not sure', none: 'no comparison' }[c.verdict];
  return `${where}: ${c.b.arm} ÷ ${c.a.arm}${ratio}, ${verdict}`;
}
