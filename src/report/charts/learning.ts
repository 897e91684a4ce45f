import { ROUNDS_FOR_INTERVAL } from '../../stats/rounds.ts';
import { capital, isFraction, metricLabel, plural, printable } from '../format.ts';
import { type Learning, learningOf } from '../learning.ts';
import { type SuiteView, unique } from '../view.ts';
import type { Draft } from './chart.ts';
import { lineChart } from './lines.ts';
import { colour } from './palette.ts';

const MOST_LINES = 6;

/** A score against the number of training images, a line per arm with its interval over seeds. */
export const learningCharts = (view: SuiteView): Draft[] =>
  learningOf(view).flatMap((found, i) =>
    found.curves.some(({ points }) => points.length > 1) ? [chartOf(view, found, i)] : [],
  );

function chartOf(
  view: SuiteView,
  { metric, unit, better, workload, batch, place, curves }: Learning,
  order: number,
) {
  const shown = curves.slice(0, MOST_LINES);
  const seeds = Math.min(...shown.flatMap(({ points }) => points.map(({ row }) => row.rounds)));
  const enough = seeds >= ROUNDS_FOR_INTERVAL;
  const whiskers = enough ? 'whiskers: 95% interval of the median' : 'too few for an interval';
  return lineChart({
    name: `${workload}-${metric}-learning`,
    title: `${capital(metricLabel(metric))} against training images · ${better} is better`,
    subtitle: [
      `${printable(view.info.name)} · ${printable(workload)} · batch ${batch} · ${printable(place)} · ${plural(seeds, 'seed')}, ${whiskers}`,
      'Every training takes the same number of steps; a seed draws initial weights, order and images, the same images for all arms.',
      ...(curves.length > shown.length ? [`${shown.length} of ${plural(curves.length, 'arm')}.`] : []),
    ],
    // Before everything else of the suite: it is its answer.
    rank: order / 100,
    height: 560,
    lines: shown.map(({ arm, points }, i) => ({
      name: arm,
      colour: colour(i),
      points: points.map(({ images, row }) => ({
        x: images,
        row: enough ? row : { ...row, ci_lo: null, ci_hi: null },
      })),
    })),
    x: 'training images',
    ticks: unique(shown.flatMap(({ points }) => points.map(({ images }) => images))).sort((a, b) => a - b),
    y: isFraction(unit) ? 'linear' : 'logarithmic',
    legend: true,
  });
}
