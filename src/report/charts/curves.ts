import type { Summary } from '../../core/report.ts';
import { capital, metricLabel, metricWithUnit, plural, printable, shorten } from '../format.ts';
import { groupBy, isRanked, type SuiteView } from '../view.ts';
import { type Draft, numberAxis, options } from './chart.ts';
import { colour } from './palette.ts';
import { mainPlace } from './place.ts';

const MOST_LINES = 6;

/** How scores came to their value, a line per arm: the loss of every training step. */
export function curveCharts(view: SuiteView): Draft[] {
  const rows = view.rows.filter((row) => isRanked(row) && (row.curve?.length ?? 0) > 1);
  return [...groupBy(rows, (row) => `${row.workload}\n${row.metric}`).values()].flatMap((mine) => {
    const where = mainPlace(mine);
    if (where === null) return [];
    const all = mine.filter((row) => row.batch === where.batch);
    const place = all.filter((row) => row.backend === all[0]!.backend);
    return [chartOf(view, place.slice(0, MOST_LINES), place.length)];
  });
}

function chartOf(view: SuiteView, rows: readonly Summary[], all: number): Draft {
  const { metric, unit, workload, batch, backend } = rows[0]!;
  const steps = Math.max(...rows.map((row) => row.curve!.length));
  const over = Math.max(1, Math.round(steps / 10));
  const title = `${capital(metricLabel(metric))} over the steps of training · lower is better`;
  const subtitle = [
    `${printable(view.info.name)} · ${printable(workload)} · batch ${batch} · ${printable(backend)} · the same batches for every arm`,
    ...(over > 1
      ? [`Means of the last ${plural(over, 'step')}: batches differ by more than the arms do.`]
      : []),
    ...(all > rows.length ? [`${rows.length} of ${plural(all, 'arm')}.`] : []),
  ];
  return {
    ...{ name: `${workload}-${metric}-curve`, title, subtitle, rank: 1, height: 560 },
    config: {
      type: 'scatterWithErrorBars',
      data: {
        datasets: rows.map((row, i) => ({
          label: shorten(row.arm, 32),
          backgroundColor: colour(i),
          borderColor: colour(i),
          showLine: true,
          borderWidth: 2,
          radius: steps > 30 ? 0 : 3,
          data: trailing(row.curve!, over).map((y, step) => ({ x: step + 1, y })),
        })),
      },
      options: options(title, subtitle, {
        legend: true,
        scales: {
          x: numberAxis('step', { type: 'linear', min: 1, max: steps }),
          y: numberAxis(metricWithUnit(metric, unit), { type: 'linear', grace: '5%' }),
        },
      }),
    },
  };
}

/** Mean of each value and up to `over` − 1 before it. */
function trailing(values: readonly number[], over: number): number[] {
  return values.map((_, i) => {
    const last = values.slice(Math.max(0, i + 1 - over), i + 1);
    return last.reduce((a, b) => a + b, 0) / last.length;
  });
}
