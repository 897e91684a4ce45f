import type { Summary } from '../../core/report.ts';
import { capital, metricLabel, printable } from '../format.ts';
import { byMerit, groupBy, isRanked, place, type SuiteView, unique } from '../view.ts';
import type { Draft } from './chart.ts';
import { lineChart } from './lines.ts';
import { colour } from './palette.ts';
import { mainPlace } from './place.ts';

const MOST_ARMS = 6;

type Ranked = Summary & { readonly value: number };

/** Rate against batch on logarithmic axes, a line per arm: a straight line up means that larger batches pay in full. */
export function scalingCharts(view: SuiteView): Draft[] {
  const rates = view.rows.filter((row) => row.unit.endsWith('/s') && row.phase === 'steady').filter(isRanked);
  return [...groupBy(rates, (row) => `${row.workload}\n${row.metric}`).values()].flatMap((rows) => {
    const where = mainPlace(rows);
    const there = rows.filter((row) => place(row) === where?.place && row.value > 0);
    // An arm at one batch says nothing about batches.
    const mine = [...groupBy(there, (row) => row.arm).values()].filter((own) => own.length > 1).flat();
    const batches = unique(mine.map((row) => row.batch)).sort((a, b) => a - b);
    // Achieved GFLOP/s is the same picture in other units.
    if (where === null || batches.length < 2 || rows[0]!.unit === 'GFLOP/s') return [];
    return [lines(view, mine, batches, where.place)];
  });
}

function lines(view: SuiteView, rows: readonly Ranked[], batches: readonly number[], where: string): Draft {
  const { metric, workload, better } = rows[0]!;
  const arms = [...groupBy([...rows].sort(byMerit(better)), (row) => row.arm)];
  const shown = arms.slice(0, MOST_ARMS);
  const title = `${capital(metricLabel(metric))} against batch size · higher is better`;
  const subtitle = [
    `${printable(view.info.name)} · ${printable(workload)} · ${printable(where)} · both axes logarithmic`,
    ...(arms.length > shown.length ? [`The best ${shown.length} of ${arms.length} arms.`] : []),
  ];
  return lineChart({
    name: `${workload}-${metric}-scaling`,
    title,
    subtitle,
    rank: 2.5,
    height: 400,
    lines: shown.map(([name, points], i) => ({
      name,
      colour: colour(i),
      points: points.map((row) => ({ x: row.batch, row })).sort((a, b) => a.x - b.x),
    })),
    x: 'batch size',
    ticks: batches,
  });
}
