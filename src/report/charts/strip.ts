import type { CellInfo } from '../../core/report.ts';
import { plural, printable, quantity, shorten } from '../format.ts';
import { groupBy, place, type SuiteView, unique } from '../view.ts';
import { type Datum, type Draft, HEIGHTS, numberAxis, options, type Series } from './chart.ts';
import { colour, faded } from './palette.ts';

const MOST_CELLS = 6;
const MOST_POINTS = 600;

/** Every repetition in time order, a strip per arm, rounds in two shades with their medians: drift and spikes show. */
export function stripCharts(view: SuiteView): Draft[] {
  const usable = view.cells.filter(
    (cell) => cell.status === 'ok' && cell.strip.some(({ ms }) => ms.length > 1),
  );
  return [...groupBy(usable, (cell) => cell.workload).values()].flatMap((cells) => {
    const places = [...groupBy(cells, place)].sort(([, a], [, b]) => b.length - a.length);
    const [where, mine] = places[0]!;
    const batch = Math.min(...mine.map((cell) => cell.batch));
    return [
      strips(
        view,
        mine.filter((cell) => cell.batch === batch),
        where,
      ),
    ];
  });
}

function strips(view: SuiteView, cells: readonly CellInfo[], where: string): Draft {
  const shown = cells.slice(0, MOST_CELLS);
  const { workload, batch } = shown[0]!;
  const every = Math.max(1, ...shown.map((cell) => Math.ceil(count(cell) / MOST_POINTS)));
  const title = 'Every repetition in time order, round by round';
  const subtitle = [
    `${printable(view.info.name)} · ${printable(workload)} · batch ${batch} · ${printable(where)} · ms per repetition, line: the round's median`,
    ...(every > 1 ? [`One repetition in ${every} is drawn.`] : []),
    ...(cells.length > shown.length ? [`${shown.length} of ${plural(cells.length, 'arm')}.`] : []),
  ];
  const scales: Record<string, unknown> = {
    x: numberAxis('repetition', { min: 0, max: Math.max(...shown.map(count)), grid: { display: false } }),
  };
  const datasets: Series[] = [];
  // Stacked axes go from bottom to top, people read from top to bottom.
  for (const [i, cell] of shown.toReversed().entries()) {
    const axis = `y${i}`;
    scales[axis] = numberAxis('ms', {
      axis: 'y',
      caption: shorten(cell.arm, 60),
      stack: 'arms',
      offset: true,
      position: 'left',
      grace: '30%',
      ticks: { maxTicksLimit: 4, format: { maximumSignificantDigits: 3 } },
      border: { display: true },
    });
    datasets.push(...seriesOf(cell, axis, colour(shown.length - 1 - i), every));
  }
  return {
    name: `${workload}-repetitions`,
    title,
    subtitle,
    rank: 4.5,
    height: HEIGHTS.find((height) => height >= 150 + shown.length * 90) ?? 820,
    config: {
      type: 'scatter',
      data: { datasets },
      options: options(title, subtitle, { legend: false, scales }),
    },
  };
}

const count = (cell: CellInfo): number => cell.strip.reduce((sum, { ms }) => sum + ms.length, 0);

function seriesOf(cell: CellInfo, axis: string, fill: string, every: number): Series[] {
  const points: { data: Datum[]; shade: string }[] = [];
  const medians: Datum[] = [];
  let at = 0;
  for (const [i, { round, ms }] of cell.strip.entries()) {
    const data: Datum[] = [];
    const from = at;
    for (const [k, value] of ms.entries()) {
      if (k % every === 0) {
        data.push({
          x: at,
          y: value,
          tip: [printable(cell.arm), `round ${round + 1}, repetition ${k + 1}`, quantity(value, 'ms')],
        });
      }
      at++;
    }
    points.push({ data, shade: faded(fill, i % 2 ? 0.35 : 0.7) });
    const sorted = [...ms].sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)];
    if (median !== undefined) {
      const line = {
        y: median,
        tip: [printable(cell.arm), `round ${round + 1}, median`, quantity(median, 'ms')],
      };
      medians.push({ x: from, ...line }, { x: at - 1, ...line }, { x: null, y: null });
    }
  }
  const shades = unique(points.map(({ shade }) => shade));
  return [
    ...shades.map((shade) => ({
      label: cell.arm,
      yAxisID: axis,
      data: points.filter((part) => part.shade === shade).flatMap(({ data }) => data),
      backgroundColor: shade,
      borderWidth: 0,
      pointRadius: 2,
      pointStyle: 'rect',
    })),
    {
      label: `${cell.arm}, medians`,
      yAxisID: axis,
      type: 'line',
      data: medians,
      backgroundColor: fill,
      borderColor: fill,
      borderWidth: 2,
      pointRadius: 0,
      showLine: true,
      spanGaps: false,
    },
  ];
}
