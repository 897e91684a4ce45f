import type { CellInfo } from '../../core/report.ts';
import { plural, printable, quantity, shorten } from '../format.ts';
import { groupBy, place, type SuiteView } from '../view.ts';
import { type Datum, type Draft, HEIGHTS, numberAxis, options, type Series } from './chart.ts';
import { colour, faded } from './palette.ts';

const MOST_CELLS = 6;
/** Fewer show neither drift nor spread. */
const FEWEST_POINTS = 10;
const MOST_POINTS = 600;
const MOST_SPIKES = 100;

/** Every repetition in time order, a strip per arm, rounds in two shades with their medians: drift and spikes show. */
export function stripCharts(view: SuiteView): Draft[] {
  const usable = view.cells.filter((cell) => cell.status === 'ok' && count(cell) >= FEWEST_POINTS);
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
    `${printable(view.info.name)} · ${printable(workload)} · batch ${batch} · ${printable(where)} · ms per repetition · line: the round’s median · ▲: slower than the strip is high`,
    ...(every > 1 ? [`One repetition in ${every} is drawn.`] : []),
    ...(cells.length > shown.length ? [`${shown.length} of ${plural(cells.length, 'arm')}.`] : []),
  ];
  const scales: Record<string, unknown> = {
    x: numberAxis('repetition', {
      min: 0,
      max: Math.max(...shown.map(count)),
      grid: { display: false },
      ticks: { precision: 0 },
    }),
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
      grace: '20%',
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
    height: HEIGHTS.find((height) => height >= 150 + shown.length * 90) ?? HEIGHTS[HEIGHTS.length - 1]!,
    config: {
      type: 'scatter',
      data: { datasets },
      options: options(title, subtitle, { legend: false, scales }),
    },
  };
}

const count = (cell: CellInfo): number => cell.strip.reduce((sum, { ms }) => sum + ms.length, 0);

function medianOf(ms: readonly number[]): number | null {
  if (ms.length === 0) return null;
  const sorted = [...ms].sort((a, b) => a - b);
  return (sorted[(ms.length - 1) >> 1]! + sorted[ms.length >> 1]!) / 2;
}

/** The highest time that a strip shows: the bulk and its spread again, so that a spike does not flatten the rest. */
function ceiling(cell: CellInfo): number {
  const sorted = cell.strip.flatMap(({ ms }) => ms).sort((a, b) => a - b);
  const bulk = sorted[Math.ceil(sorted.length * 0.9) - 1] ?? 0;
  return bulk + (bulk - (sorted[0] ?? 0));
}

function seriesOf(cell: CellInfo, axis: string, fill: string, every: number): Series[] {
  const top = ceiling(cell);
  const shades: Datum[][] = [[], []];
  const spikes: Datum[] = [];
  const medians: Datum[] = [];
  let at = 0;
  for (const [i, { round, ms }] of cell.strip.entries()) {
    const from = at;
    for (const [k, value] of ms.entries()) {
      const tip = [printable(cell.arm), `round ${round + 1}, repetition ${k + 1}`, quantity(value, 'ms')];
      if (value > top) spikes.push({ x: at, y: top, tip });
      else if (k % every === 0) shades[i % 2]!.push({ x: at, y: value, tip });
      at++;
    }
    const median = medianOf(ms);
    if (median !== null) {
      const tip = [printable(cell.arm), `round ${round + 1}, median`, quantity(median, 'ms')];
      medians.push({ x: from, y: median, tip }, { x: at - 1, y: median, tip }, { x: null, y: null });
    }
  }
  const common = { yAxisID: axis, borderWidth: 0, pointRadius: 2 };
  return [
    ...shades.map((data, i) => ({
      ...common,
      label: cell.arm,
      data,
      backgroundColor: faded(fill, i === 0 ? 0.7 : 0.4),
      pointStyle: 'rect',
    })),
    {
      ...common,
      label: cell.arm,
      data: spikes.slice(0, MOST_SPIKES),
      backgroundColor: fill,
      pointStyle: 'triangle',
      pointRadius: 4,
    },
    {
      ...common,
      label: cell.arm,
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
