import type { Summary } from '../../core/report.ts';
import { capital, metricLabel, metricWithUnit, printable, shorten } from '../format.ts';
import { byMerit, groupBy, isRanked, place, type SuiteView, unique } from '../view.ts';
import { type Draft, numberAxis, options } from './chart.ts';
import { colour } from './palette.ts';
import { mainPlace } from './place.ts';
import { tip } from './tip.ts';

const MOST_ARMS = 6;

/** Rate against batch on logarithmic axes, a line per arm: a straight line up means that larger batches pay in full. */
export function scalingCharts(view: SuiteView): Draft[] {
  const rates = view.rows.filter((row) => row.unit.endsWith('/s') && row.phase === 'steady' && isRanked(row));
  return [...groupBy(rates, (row) => `${row.workload}\n${row.metric}`).values()].flatMap((rows) => {
    const where = mainPlace(rows);
    const there = rows.filter((row) => place(row) === where?.place && row.value! > 0);
    // An arm at one batch says nothing about batches.
    const mine = [...groupBy(there, (row) => row.arm).values()].filter((own) => own.length > 1).flat();
    const batches = unique(mine.map((row) => row.batch)).sort((a, b) => a - b);
    // Achieved GFLOP/s is the same picture in other units.
    if (where === null || batches.length < 2 || rows[0]!.unit === 'GFLOP/s') return [];
    return [lines(view, mine, batches, where.place)];
  });
}

function lines(view: SuiteView, rows: readonly Summary[], batches: readonly number[], where: string): Draft {
  const { metric, unit, workload, better } = rows[0]!;
  const arms = [...groupBy([...rows].sort(byMerit(better)), (row) => row.arm)];
  const shown = arms.slice(0, MOST_ARMS);
  const title = `${capital(metricLabel(metric))} against batch size · higher is better`;
  const subtitle = [
    `${printable(view.info.name)} · ${printable(workload)} · ${printable(where)} · both axes logarithmic`,
    ...(arms.length > shown.length ? [`The best ${shown.length} of ${arms.length} arms.`] : []),
  ];
  return {
    name: `${workload}-${metric}-scaling`,
    title,
    subtitle,
    rank: 2.5,
    height: 400,
    config: {
      type: 'scatterWithErrorBars',
      data: {
        datasets: shown.map(([arm, points], i) => {
          const sorted = [...points].sort((a, b) => a.batch - b.batch);
          return {
            label: shorten(arm, 32),
            backgroundColor: colour(i),
            borderColor: colour(i),
            showLine: true,
            borderWidth: 2,
            radius: 4,
            data: sorted.map((row, at) => ({
              x: row.batch,
              y: row.value,
              ...(row.ci_lo !== null && row.ci_hi !== null ? { yMin: row.ci_lo, yMax: row.ci_hi } : {}),
              ...(at === sorted.length - 1 ? { label: shorten(arm, 24) } : {}),
              tip: tip(row),
            })),
          };
        }),
      },
      options: options(title, subtitle, {
        legend: false,
        layout: { padding: { left: 16, right: 190, top: 16, bottom: 12 } },
        scales: {
          x: numberAxis('batch size', { type: 'logarithmic', values: batches }),
          y: numberAxis(metricWithUnit(metric, unit), { type: 'logarithmic' }),
        },
      }),
    },
  };
}
