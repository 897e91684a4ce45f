import { printable } from '../format.ts';
import { groupBy, type SuiteView } from '../view.ts';
import type { Draft } from './chart.ts';
import { colour, QUIET } from './palette.ts';
import { atPlace, mainPlace } from './place.ts';
import { stackChart } from './stack.ts';

const BASELINE = 'baseline_rss';
const DIFFERENCE = 'difference_rss';
/** Metrics that the stack shows, so that they need no bars of their own. */
export const STACKED_MEMORY: ReadonlySet<string> = new Set([BASELINE, DIFFERENCE, 'peak_rss']);

/** Peak resident memory as what the empty worker needs and what the model adds, per workload. */
export function memoryCharts(view: SuiteView): Draft[] {
  const rows = view.rows.filter((row) => row.metric === BASELINE || row.metric === DIFFERENCE);
  return [...groupBy(rows, (row) => row.workload)].flatMap(([workload, mine]) => {
    const where = mainPlace(mine);
    if (where === null) return [];
    const chart = stackChart({
      name: `${workload}-memory`,
      title: 'Peak memory · lower is better',
      subtitle: [
        `${printable(view.info.name)} · ${printable(workload)} · batch ${where.batch} · ${printable(where.place)} · resident set of the process`,
      ],
      rank: 2,
      axis: 'peak resident memory',
      unit: mine[0]!.unit,
      parts: [
        { metric: BASELINE, label: 'empty worker', fill: QUIET },
        { metric: DIFFERENCE, label: 'added by the model', fill: colour(0) },
      ],
      arms: groupBy(atPlace(mine, where), (row) => row.arm),
    });
    return chart === null ? [] : [chart];
  });
}
