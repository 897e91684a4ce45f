import { markdownTable } from 'markdown-table';
import type { Comparison } from '../core/report.ts';
import { compareRuns } from '../stats/compare.ts';
import { type CommonOptions, contextOf, print, printJson, reportsDir, say } from './context.ts';
import { findRecords, readRun } from './runs.ts';

interface CompareOptions extends CommonOptions {
  readonly metric?: readonly string[];
}

/** `versus compare BASE HEAD`: ratios HEAD ÷ BASE of every row that both runs have. Judges nothing: that is the gate's work. */
export async function compareCommand(base: string, head: string, options: CompareOptions): Promise<number> {
  const reports = reportsDir(await contextOf(options));
  const a = await readRun(findRecords(reports, base));
  const b = await readRun(findRecords(reports, head));
  const wanted = options.metric;
  const comparisons = compareRuns(a, b).filter((c) => !wanted?.length || wanted.includes(c.metric));
  if (options.json) {
    printJson({ base: a.info.run.run_id, head: b.info.run.run_id, comparisons });
    return 0;
  }
  const shown = comparisons.filter((c) => wanted?.length || c.verdict === 'a' || c.verdict === 'b');
  if (shown.length === 0) print(`no certain difference in ${comparisons.length} rows`);
  else
    print(
      markdownTable([['case', 'metric', 'base', 'head', 'head ÷ base', 'p', 'better'], ...shown.map(row)]),
    );
  for (const note of new Set(comparisons.flatMap((c) => c.notes))) say(`! ${note}`);
  return 0;
}

function row(c: Comparison): string[] {
  const number = (value: number | null): string => (value === null ? '–' : value.toPrecision(4));
  const interval =
    c.ci_lo === null || c.ci_hi === null ? '' : ` [${c.ci_lo.toFixed(3)}, ${c.ci_hi.toFixed(3)}]`;
  const better = c.verdict === 'a' ? 'base' : c.verdict === 'b' ? 'head' : c.verdict;
  return [
    c.b.case_id,
    `${c.metric} [${c.unit}]`,
    number(c.a.value),
    number(c.b.value),
    `${c.ratio === null ? '–' : c.ratio.toFixed(3)}${interval}`,
    number(c.p_adjusted),
    better,
  ];
}
