import type { Summary } from '../../core/report.ts';
import { capital, metricLabel, metricWithUnit, printable, shorten } from '../format.ts';
import { groupBy, headline, isRanked, place, type SuiteView, slices, unique } from '../view.ts';
import { conditions } from './bars.ts';
import { type Datum, type Draft, numberAxis, options, type Series } from './chart.ts';
import { colour, groupColours } from './palette.ts';
import { mainPlace } from './place.ts';
import { tip } from './tip.ts';
import { axisUnit } from './units.ts';

const MOST_ARMS = 24;

interface Point {
  readonly cost: Summary & { readonly value: number };
  readonly gain: Summary & { readonly value: number };
}

/**
 * What a model gives for the time it takes: accuracy against latency where there is accuracy, with the Pareto front
 * (arms that no other arm beats on both axes); else latency against MACs or parameters, which shows what size does not explain.
 *
 * @param cost another metric that accuracy is set against, e.g. memory; there is no chart then without accuracy
 */
export function paretoCharts(view: SuiteView, cost?: string): Draft[] {
  const names = unique([...headline(view), ...view.rows.map((row) => row.metric)]);
  const timed = cost ?? names.find((name) => view.rows.some((row) => row.metric === name && isTime(row)));
  if (timed === undefined) return [];
  return slices(view, timed).flatMap((slice) => {
    const where = mainPlace(slice.rows);
    if (where === null) return [];
    const costs = slice.rows.filter(isRanked).filter((row) => place(row) === where.place);
    const others = view.rows.filter(isRanked).filter((row) => row.workload === slice.workload);
    const named = (test: (row: Summary) => boolean) => pair(costs, others.filter(test));
    const accuracy = others.find((row) => row.phase === 'quality' && row.better === 'higher')?.metric;
    const quality = accuracy ? named((row) => row.metric === accuracy) : [];
    const macs = named((row) => row.metric === 'macs');
    const size = macs.length > 0 ? macs : named((row) => row.metric === 'parameters');
    const name = `${slice.workload}-pareto${cost === undefined ? '' : `-${cost}`}`;
    const rest = { view, subtitle: conditions(view, slice, [where.place]), name };
    if (quality.length >= 2) return [scatter({ ...rest, points: quality, front: true })];
    return size.length >= 3 && cost === undefined ? [scatter({ ...rest, points: size, front: false })] : [];
  });
}

const isTime = (row: Summary): boolean =>
  row.unit === 'ms' && row.better === 'lower' && row.phase === 'steady';

function pair(costs: readonly Point['cost'][], gains: readonly Point['gain'][]): Point[] {
  return costs.flatMap((cost) => {
    const same = gains.filter((gain) => gain.arm === cost.arm && gain.batch === cost.batch);
    const gain = same.find((row) => row.case_id === cost.case_id) ?? same[0];
    return gain ? [{ cost, gain }] : [];
  });
}

function scatter(chart: {
  readonly view: SuiteView;
  readonly name: string;
  readonly subtitle: string;
  readonly points: readonly Point[];
  readonly front: boolean;
}): Draft {
  const { front } = chart;
  const points = [...chart.points].sort((a, b) => a.cost.value - b.cost.value).slice(0, MOST_ARMS);
  const [x, y] = front ? (['cost', 'gain'] as const) : (['gain', 'cost'] as const);
  const head = points[0]!;
  const unitX = axisUnit(
    points.map((point) => point[x].value),
    head[x].unit,
  );
  const unitY = axisUnit(
    points.map((point) => point[y].value),
    head[y].unit,
  );
  const title = front
    ? `${capital(metricLabel(head.gain.metric))} against ${metricLabel(head.cost.metric)} · up and left is better`
    : `${capital(metricLabel(head.cost.metric))} against ${metricLabel(head.gain.metric)} · lower is better`;
  const best = front ? frontOf(points) : [];
  const subtitle = [
    chart.subtitle,
    ...(front ? ['Dashed: the Pareto front, arms that no other arm beats on both axes.'] : []),
    ...(chart.points.length > points.length
      ? [`The cheapest ${points.length} of ${chart.points.length} arms.`]
      : []),
  ];
  const datum = (point: Point): Datum => ({
    x: point[x].value / unitX.divisor,
    y: point[y].value / unitY.divisor,
    ...ends('x', point[x], unitX.divisor),
    ...ends('y', point[y], unitY.divisor),
    label: shorten(point.cost.arm, 28),
    tip: [...tip(point.cost), ...tip(point.gain).slice(1, 3)],
  });
  const palette = groupColours(chart.view);
  const series: Series[] = [...groupBy(points, (point) => point.cost.group ?? 'arms')].map(
    ([group, mine]) => ({
      label: printable(group),
      backgroundColor: palette.get(group) ?? colour(0),
      borderColor: palette.get(group) ?? colour(0),
      radius: 6,
      data: mine.map(datum),
    }),
  );
  if (best.length > 1) {
    series.push({
      label: 'Pareto front',
      unlisted: true,
      type: 'line',
      showLine: true,
      stepped: 'before',
      borderDash: [5, 4],
      borderWidth: 1.5,
      borderColor: '#8b949e',
      backgroundColor: '#8b949e',
      pointRadius: 0,
      data: best.map((point) => ({ x: point[x].value / unitX.divisor, y: point[y].value / unitY.divisor })),
    });
  }
  return {
    name: chart.name,
    title,
    subtitle,
    rank: 1,
    height: 560,
    config: {
      type: 'scatterWithErrorBars',
      data: { datasets: series },
      options: options(title, subtitle, {
        legend: series.filter((one) => one.unlisted !== true).length > 1,
        layout: { padding: { left: 16, right: 60, top: 16, bottom: 12 } },
        scales: {
          x: numberAxis(label(head[x], unitX.name), { type: front ? 'linear' : 'logarithmic', grace: '12%' }),
          y: numberAxis(label(head[y], unitY.name), { type: front ? 'linear' : 'logarithmic', grace: '25%' }),
        },
      }),
    },
  };
}

/** `latency [ms]`; for what is only counted, `MACs [billions]`. */
const label = (row: Summary, unit: string): string => {
  const plain = metricWithUnit(row.metric, unit);
  return plain.includes('[') || unit === '' || unit === row.unit ? plain : `${plain} [${unit}]`;
};

function ends(axis: 'x' | 'y', row: Summary, divisor: number): Partial<Datum> {
  if (row.ci_lo === null || row.ci_hi === null) return {};
  return { [`${axis}Min`]: row.ci_lo / divisor, [`${axis}Max`]: row.ci_hi / divisor };
}

/** Points sorted by rising cost that gain more than every cheaper one. */
function frontOf(points: readonly Point[]): Point[] {
  let best = Number.NEGATIVE_INFINITY;
  return points.filter(({ gain }) => {
    if (gain.value <= best) return false;
    best = gain.value;
    return true;
  });
}
