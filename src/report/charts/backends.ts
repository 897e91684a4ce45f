import type { Summary } from '../../core/report.ts';
import { type Race, raceName, racesOf } from '../backends.ts';
import { capital, metricLabel, metricWithUnit, printable, shorten, uniqueNames } from '../format.ts';
import { groupBy, isRanked, type SuiteView, unique } from '../view.ts';
import { datum, limit, reasons, whiskers } from './bars.ts';
import { type Draft, heightFor, labelRoom, nameAxis, numberAxis, options, type Series } from './chart.ts';
import { faded, GREY, placeColours } from './palette.ts';
import { axisUnit } from './units.ts';

const MOST_BARS = 24;
const MOST_BACKENDS = 5;
/** From this ratio of the largest to the smallest value on, equal lengths for equal factors tell more than for equal sums. */
const LOG_FROM = 10;

/** A suite's leading time by backend and model: a group of bars per model, hatched where a backend is not ranked. */
export function backendCharts(view: SuiteView): Draft[] {
  const all = racesOf(view);
  return [...groupBy(all, ({ workload, metric }) => `${workload}\n${metric}`).values()].flatMap((races) => {
    const batch = Math.min(...races.map((race) => race.batch));
    const chart = chartOf(
      view,
      races.filter((race) => race.batch === batch),
    );
    return chart === null ? [] : [chart];
  });
}

function chartOf(view: SuiteView, all: readonly Race[]): Draft | null {
  const backends = unique(all.flatMap(({ rows }) => rows.map(({ backend }) => backend)));
  const shown = backends.slice(0, MOST_BACKENDS);
  const ordered = [...all].sort((a, b) => fastest(a) - fastest(b));
  const races = ordered.slice(0, Math.max(1, Math.floor(MOST_BARS / shown.length)));
  const rows = races.flatMap((race) => race.rows.filter(({ backend }) => shown.includes(backend)));
  // Where nothing is valid there is no latency to draw; the table says what became of each backend.
  if (!rows.some(isRanked)) return null;
  const { workload, metric, batch } = all[0]!;
  const { better } = rows[0]!;
  const unit = axisUnit(
    rows.map(({ value }) => value),
    rows[0]!.unit,
  );
  const name = uniqueNames();
  const labels = races.map((race) => name(shorten(raceName(race, all), 32)));
  const title = `${timeName(metric)} by backend and model · ${better} is better`;
  const logarithmic = spreadOf(rows) > LOG_FROM;
  const subtitle = [
    [
      `${printable(view.info.name)} · ${printable(workload)}`,
      `batch ${batch}`,
      whiskers(rows),
      ...(logarithmic ? ['logarithmic axis'] : []),
    ].join(' · '),
    ...leftOut(all.length - races.length, backends.length - shown.length),
    ...reasons(rows),
  ];
  const datasets = seriesOf(view, shown, races, labels, unit.divisor);
  return {
    name: `${workload}-${metric}-by-backend`,
    title,
    subtitle,
    height: heightFor(races.length * shown.length, subtitle.length),
    rank: 0.5,
    config: {
      type: 'barWithErrorBars',
      data: { labels, datasets: rows.every(isRanked) ? datasets : [...datasets, hatchKey(labels)] },
      options: options(title, subtitle, {
        indexAxis: 'y',
        layout: labelRoom(),
        scales: {
          x: numberAxis(metricWithUnit(metric, unit.name), {
            ...(logarithmic
              ? logAxis(rows, unit.divisor)
              : { beginAtZero: true, ...limit(rows, unit.divisor) }),
            grace: '3%',
          }),
          y: nameAxis(),
        },
      }),
    },
  };
}

/** Metrics of time that don't say so in their name (`cached`) are latencies. */
function timeName(metric: string): string {
  const label = metricLabel(metric);
  return /latency|time|TTFT|TPOT/i.test(label) ? capital(label) : `Latency (${label})`;
}

function seriesOf(
  view: SuiteView,
  backends: readonly string[],
  races: readonly Race[],
  labels: readonly string[],
  divisor: number,
): Series[] {
  const palette = placeColours(view);
  return backends.map((backend) => {
    const fill = palette.get(backend) ?? GREY;
    // One entry per label, also where there is nothing: error bars are matched by position.
    const present = races.map((race) => race.rows.find((row) => row.backend === backend) ?? null);
    return {
      label: shorten(backend, 40),
      data: present.map((row, i) =>
        row === null ? { x: null, y: labels[i]! } : { ...datum(row, labels[i]!, divisor), hatch: fill },
      ),
      backgroundColor: present.map((row) => (row === null || isRanked(row) ? fill : faded(fill, 0.15))),
      swatch: fill,
      maxBarThickness: 24,
      borderRadius: 3,
    };
  });
}

/** An entry of the legend that has no bars and says what hatching means. */
const hatchKey = (labels: readonly string[]): Series => ({
  label: 'hatched: not ranked (invalid, correctness only, or did not run), its length means nothing',
  data: labels.map((y) => ({ x: null, y })),
  backgroundColor: faded(GREY, 0.15),
  hatchKey: true,
  // It takes no place among the bars of a group.
  grouped: false,
});

const fastest = ({ ranking }: Race): number => ranking[0]?.value ?? Number.POSITIVE_INFINITY;

const validValues = (rows: readonly Summary[]): number[] => rows.filter(isRanked).map(({ value }) => value);

function spreadOf(rows: readonly Summary[]): number {
  const values = validValues(rows);
  const least = Math.min(...values);
  return least > 0 ? Math.max(...values) / least : 1;
}

/** Begins below the smallest value, so that its bar has a length; what is not ranked does not stretch it. */
function logAxis(rows: readonly Summary[], divisor: number): Record<string, unknown> {
  const values = validValues(rows).map((value) => value / divisor);
  return { type: 'logarithmic', min: roundDown(Math.min(...values) * 0.6), max: Math.max(...values) * 1.6 };
}

/** The next 1, 2 or 5 of a power of ten below. */
function roundDown(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const digit = [5, 2, 1].find((d) => d * power <= value) ?? 1;
  return Number((digit * power).toPrecision(1));
}

function leftOut(models: number, backends: number): string[] {
  const what = [
    ...(models > 0 ? [`${models} slower models`] : []),
    ...(backends > 0 ? [`${backends} backends`] : []),
  ];
  return what.length > 0 ? [`Left out here, but in the tables: ${what.join(' and ')}.`] : [];
}
