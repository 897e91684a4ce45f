import type { Summary } from '../../core/report.ts';
import { metricWithUnit, shorten } from '../format.ts';
import { type Draft, labelRoom, numberAxis, options, type Series } from './chart.ts';
import { faded } from './palette.ts';
import { tip } from './tip.ts';
import { axisUnit } from './units.ts';

/** Characters of a name at the end of its line. */
const LONGEST = 24;

type PowerLaw = { readonly factor: number; readonly exponent: number };

/** One line of a chart: values, with their intervals, at rising x. */
export interface Line {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly row: Summary & { readonly value: number } }[];
  readonly colour: string;
  /** In the legend and in the tooltips, behind the name. */
  readonly about?: string;
  /** A power law through the points, value = factor · x ^ exponent, drawn dashed from the first x to the last. */
  readonly law?: PowerLaw;
}

export interface Lines extends Pick<Draft, 'name' | 'title' | 'subtitle' | 'rank' | 'height'> {
  readonly lines: readonly Line[];
  /** Title of the horizontal axis, with its unit. */
  readonly x: string;
  /** The numbers that are written at it. */
  readonly ticks: readonly number[];
  readonly legend?: boolean;
  /** Shares are read on a `linear` axis; `logarithmic` when left out. */
  readonly y?: 'linear' | 'logarithmic';
}

/** Lines over a logarithmic axis, each with its name at its end; on two of them a power law is straight. */
export function lineChart({
  lines,
  x,
  ticks,
  legend = false,
  y: scale = 'logarithmic',
  ...draft
}: Lines): Draft {
  const rows = lines.flatMap(({ points }) => points.map(({ row }) => row));
  const { metric, unit } = rows[0]!;
  const axis = axisUnit(
    rows.map(({ value }) => value),
    unit,
  );
  const label = metricWithUnit(metric, axis.name);
  const y = label.includes('[') || axis.name === unit ? label : `${label} [${axis.name}]`;
  const ends = rows.flatMap(({ value, ci_lo, ci_hi }) => [ci_lo ?? value, ci_hi ?? value]);
  const names = lines.map((line) => shorten(line.name, LONGEST).length);
  const series = lines.flatMap((line) => [
    measured(line, axis.divisor),
    ...(line.law ? [fitted(line, line.law, axis.divisor)] : []),
  ]);
  return {
    ...draft,
    config: {
      type: 'scatterWithErrorBars',
      data: { datasets: series },
      options: options(draft.title, draft.subtitle, {
        legend,
        layout: labelRoom(40 + 7 * Math.max(...names)),
        scales: {
          x: numberAxis(x, { type: 'logarithmic', values: ticks }),
          y: numberAxis(y, {
            type: scale,
            // Room for points that would else lie on the frame.
            suggestedMin: (Math.min(...ends) / axis.divisor) * 0.85,
            suggestedMax: (Math.max(...ends) / axis.divisor) * 1.15,
          }),
        },
      }),
    },
  };
}

function measured({ name, about, points, colour }: Line, divisor: number): Series {
  return {
    label: shorten(name, 32) + (about ? `: ${about}` : ''),
    backgroundColor: colour,
    borderColor: colour,
    // Where lines cross, intervals lie on each other.
    errorBarColor: colour,
    errorBarWhiskerColor: colour,
    showLine: true,
    borderWidth: 2,
    radius: 4,
    data: points.map(({ x, row }, at) => {
      const [title = '', ...rest] = tip(row);
      return {
        x,
        y: row.value / divisor,
        ...(row.ci_lo !== null && row.ci_hi !== null
          ? { yMin: row.ci_lo / divisor, yMax: row.ci_hi / divisor }
          : {}),
        ...(at === points.length - 1 ? { label: shorten(name, LONGEST) } : {}),
        tip: [title, ...rest, ...(about ? [about] : [])],
      };
    }),
  };
}

function fitted({ name, points, colour }: Line, law: PowerLaw, divisor: number): Series {
  const [first, last] = [points[0]!.x, points.at(-1)!.x];
  return {
    label: name,
    unlisted: true,
    type: 'line',
    showLine: true,
    borderDash: [6, 4],
    borderWidth: 1.25,
    borderColor: faded(colour, 0.7),
    backgroundColor: colour,
    pointRadius: 0,
    data: [first, last].map((x) => ({ x, y: (law.factor * x ** law.exponent) / divisor })),
  };
}
