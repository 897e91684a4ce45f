import type { Summary } from '../../core/report.ts';
import {
  capital,
  interval,
  metricLabel,
  metricWithUnit,
  plural,
  printable,
  quantity,
  shorten,
  twoLines,
  uniqueNames,
} from '../format.ts';
import {
  byMerit,
  groupBy,
  isRanked,
  place,
  type Slice,
  type SuiteView,
  slices,
  statusWord,
  unique,
  valueWord,
} from '../view.ts';
import {
  type Datum,
  type Draft,
  heightFor,
  labelRoom,
  nameAxis,
  numberAxis,
  options,
  type Series,
} from './chart.ts';
import { faded, GREY, groupColours, placeColours } from './palette.ts';
import { mainPlace } from './place.ts';
import { tip } from './tip.ts';
import { axisUnit } from './units.ts';

const MOST_BARS = 18;
const MOST_PLACES = 4;
/** Characters of a subtitle that fit beside the room for labels; Chart.js squeezes what is longer. */
const LINE = 118;

/**
 * Grouped bars with intervals: one chart per workload, a bar per arm and place, best arm first. A place where nothing is valid
 * is left out when another has valid values.
 * @param raced workloads whose backends have a chart of their own on this metric: here only the main place is shown
 */
export function barCharts(
  view: SuiteView,
  metric: string,
  rank: number,
  raced: ReadonlySet<string> = new Set(),
): Draft[] {
  return slices(view, metric).flatMap((slice) => {
    const main = raced.has(slice.workload) ? mainPlace(slice.rows) : null;
    const valid = main === null ? unique(slice.rows.filter(isRanked).map(place)) : [main.place];
    const rows = valid.length > 0 ? slice.rows.filter((row) => valid.includes(place(row))) : slice.rows;
    const chart = bars(view, { ...slice, rows }, rank);
    return chart === null ? [] : [chart];
  });
}

function bars(view: SuiteView, slice: Slice, rank: number): Draft | null {
  const places = unique(slice.rows.map(place)).slice(0, MOST_PLACES);
  const all = unique([...slice.rows].sort(byMerit(slice.better)).map((row) => row.arm));
  const arms = all.slice(0, Math.max(3, Math.floor(MOST_BARS / places.length)));
  const rows = slice.rows.filter((row) => arms.includes(row.arm) && places.includes(place(row)));
  if (!rows.some((row) => row.value !== null)) return null;
  // A single bar compares nothing; its value stands in the tables.
  if (all.length === 1 && rows.filter(isRanked).length < 2) return null;

  const name = uniqueNames();
  const labels = arms.map((arm) => name(shorten(arm, 32)));
  const unit = axisUnit(
    rows.map((row) => row.value),
    slice.unit,
  );
  const byPlace = groupBy(rows, place);
  const groups = unique(rows.flatMap((row) => (row.group === null ? [] : [row.group])));
  const byGroup = places.length === 1 && groups.length > 1;
  const palette = byGroup ? groupColours(view) : placeColours(view);

  const series: Series[] = [];
  for (const [where, mine] of byPlace) {
    for (const group of byGroup ? [...groups, null] : [undefined]) {
      const shown = group === undefined ? mine : mine.filter((row) => row.group === group);
      if (shown.length === 0) continue;
      const fill = palette.get(byGroup ? (group ?? '') : where) ?? GREY;
      const byArm = new Map(shown.map((row) => [row.arm, row]));
      // One entry per label, also where there is nothing: error bars are matched by position.
      const present = arms.map((arm) => byArm.get(arm) ?? null);
      series.push({
        label: shorten(byGroup ? (group ?? 'other') : where, 40),
        data: present.map((row, i) =>
          row === null ? { x: null, y: labels[i]! } : datum(row, labels[i]!, unit.divisor),
        ),
        backgroundColor: present.map((row) => (row === null || isRanked(row) ? fill : faded(GREY, 0.25))),
        maxBarThickness: 26,
        borderRadius: 3,
        grouped: !byGroup,
      });
    }
  }

  const title =
    capital(metricLabel(slice.metric)) + (slice.better === 'none' ? '' : ` · ${slice.better} is better`);
  const subtitle = [conditions(view, slice, places), ...omitted(all.length, arms.length), ...reasons(rows)];
  return {
    name: `${slice.workload}-${slice.metric}`,
    title,
    subtitle,
    height: heightFor(arms.length * (byGroup ? 1 : places.length), subtitle.length),
    rank,
    config: {
      type: 'barWithErrorBars',
      data: { labels, datasets: series },
      options: options(title, subtitle, {
        legend: series.length > 1,
        indexAxis: 'y',
        layout: labelRoom(),
        scales: {
          x: numberAxis(metricWithUnit(slice.metric, unit.name), {
            beginAtZero: true,
            grace: '3%',
            ...limit(rows, unit.divisor),
          }),
          y: nameAxis(),
        },
      }),
    },
  };
}

/** A bar with its interval and label; hatched, without interval, where it is not ranked. */
export function datum(row: Summary, label: string, divisor: number): Datum {
  const ranked = isRanked(row);
  const range = ranked && row.ci_lo !== null && row.ci_hi !== null;
  const value = quantity(row.value, row.unit);
  return {
    x: row.value === null ? 0 : row.value / divisor,
    y: label,
    ...(range ? { xMin: row.ci_lo! / divisor, xMax: row.ci_hi! / divisor } : {}),
    label: ranked ? value : row.value === null ? valueWord(row) : `${valueWord(row)} (${value})`,
    hatched: !ranked,
    tip: tip(row),
  };
}

/** What is not ranked must not squeeze what is: the axis ends a little after the largest valid value. */
export function limit(rows: readonly Summary[], divisor: number): { max?: number } {
  const valid = rows.filter(isRanked).map((row) => Math.max(row.value, row.ci_hi ?? row.value));
  const others = rows.filter((row) => !isRanked(row)).map((row) => row.value ?? 0);
  if (valid.length === 0 || Math.max(0, ...others) <= Math.max(...valid) * 1.2) return {};
  return { max: (Math.max(...valid) / divisor) * 1.35 };
}

/** Workload, batch and backend, as far as the chart does not show them. */
export function conditions(view: SuiteView, slice: Slice, places: readonly string[]): string {
  const parts = [`${printable(view.info.name)} · ${printable(slice.workload)}`, `batch ${slice.batch}`];
  if (places.length === 1) parts.push(printable(places[0]!));
  const counted = slice.rows.some((row) => isRanked(row) && row.rounds > 0);
  return [...parts, ...(counted ? [whiskers(slice.rows)] : [])].join(' · ');
}

/** `6 rounds · whiskers: 95% interval`. */
export function whiskers(rows: readonly Summary[]): string {
  const rounds = unique(rows.filter(isRanked).map((row) => row.rounds)).filter((n) => n > 0);
  const least = Math.min(...rounds);
  const most = Math.max(...rounds);
  const some = rows.some((row) => isRanked(row) && interval(row.ci_lo, row.ci_hi, row.unit) !== null);
  const count = least === most ? plural(most, 'round') : `${least} to ${most} rounds`;
  return `${count} · ${some ? 'whiskers: 95% interval' : 'no interval'}`;
}

const omitted = (all: number, shown: number): string[] =>
  all > shown ? [`The best ${shown} of ${all} arms; all of them are in the tables.`] : [];

/** Why bars are hatched, each reason once, the first three. */
export function reasons(rows: readonly Summary[]): string[] {
  const bad = groupBy(
    rows.filter((row) => row.status !== 'ok'),
    (row) => `${statusWord(row.status)}. ${row.reason ?? 'No reason was recorded'}`,
  );
  return [...bad].slice(0, 3).flatMap(([reason, those]) => {
    const arms = unique(those.map((row) => row.arm));
    const who = arms.length === 1 ? arms[0]! : plural(arms.length, 'arm');
    return twoLines(`Not ranked: ${who} on ${unique(those.map(place)).join(' and ')}, ${reason}`, LINE);
  });
}
