import { printable } from '../format.ts';
import { groupBy, type SuiteView } from '../view.ts';
import type { Draft } from './chart.ts';
import { colour, QUIET } from './palette.ts';
import { atPlace, mainPlace } from './place.ts';
import { stackChart } from './stack.ts';

const PARTS = [
  { metric: 'spawn', label: 'start of the process', fill: QUIET },
  { metric: 'build', label: 'graph and weights', fill: colour(5) },
  { metric: 'load', label: 'opening the session', fill: colour(0) },
  { metric: 'first', label: 'first repetition', fill: colour(1) },
];

/** How long it takes from nothing to the first result, for the suite's first workload. */
export function coldCharts(view: SuiteView): Draft[] {
  const rows = view.rows.filter(
    (row) => row.phase === 'cold' && PARTS.some(({ metric }) => metric === row.metric),
  );
  const workload = rows[0]?.workload;
  const mine = rows.filter((row) => row.workload === workload);
  const where = mainPlace(mine);
  if (where === null || workload === undefined) return [];
  const chart = stackChart({
    name: `${workload}-cold`,
    title: 'From nothing to the first result · lower is better',
    subtitle: [
      `${printable(view.info.name)} · ${printable(workload)} · batch ${where.batch} · ${printable(where.place)} · cold start, medians`,
    ],
    rank: 5,
    axis: 'time',
    unit: 'ms',
    parts: PARTS,
    arms: groupBy(atPlace(mine, where), (row) => row.arm),
  });
  return chart === null ? [] : [chart];
}
