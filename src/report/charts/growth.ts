import { capital, exponentText, metricLabel, printable } from '../format.ts';
import { type Finding, growthOf } from '../growth.ts';
import { exponentRange, fixedPart } from '../growth-text.ts';
import { type SuiteView, unique } from '../view.ts';
import { whiskers } from './bars.ts';
import type { Draft } from './chart.ts';
import { type Line, lineChart } from './lines.ts';
import { colour } from './palette.ts';

const MOST_LINES = 6;

/** A cost against size on logarithmic axes, a line per contender with its fitted power law and the exponent in the legend. */
export function growthCharts(view: SuiteView): Draft[] {
  const findings = growthOf(view);
  return findings.flatMap((found, i) => {
    const shown = found.curves.filter(({ points }) => points.length > 1).slice(0, MOST_LINES);
    return shown.length === 0
      ? []
      : [chartOf(view, found, shown, i, findings.findIndex(({ metric }) => metric === found.metric) === i)];
  });
}

function chartOf(
  view: SuiteView,
  found: Finding,
  shown: Finding['curves'],
  order: number,
  main: boolean,
): Draft {
  const { metric, workload, growth, batch, place } = found;
  const rows = shown.flatMap(({ points }) => points.map(({ row }) => row));
  const fixed = fixedPart(found);
  const exact = rows[0]!.assume === 'exact';
  const title = `${capital(metricLabel(metric))} against ${printable(growth.size)} · lower is better`;
  const subtitle = [
    [
      `${printable(view.info.name)} · ${printable(workload)}`,
      `batch ${batch}`,
      ...(exact ? ['counted'] : [printable(place), whiskers(rows)]),
      'both axes logarithmic',
    ].join(' · '),
    `Dashed: the fitted power law, cost ∝ ${printable(growth.of)}^exponent; 1 is in proportion to the ${printable(growth.of)}, 2 to their square.`,
    ...(fixed ? [`${capital(fixed)}.`] : []),
    ...(found.curves.length > shown.length
      ? [`${shown.length} of ${found.curves.length} contenders, the steepest first.`]
      : []),
  ];
  return lineChart({
    name: `${workload}-${metric}-growth${main ? '' : `-${place}`}`,
    title,
    subtitle,
    // Before everything else of the suite: the exponents are its answer.
    rank: order / 100,
    height: 560,
    lines: shown.map((curve): Line => {
      const { fit, line, points } = curve;
      const base = {
        name: line,
        // By its place in the suite, so that a contender has one colour in every chart.
        colour: colour(growth.lines.findIndex(({ name }) => name === line)),
        points: points.map(({ size, row }) => ({ x: size, row })),
      };
      if (fit === null) return { ...base, about: 'too few sizes for an exponent' };
      const range = exponentRange(fit);
      const way = fit.ends[0] < fit.ends[1] ? 'rising' : 'falling';
      const ends = fit.bends ? `, ${way} from ${fit.ends.map(exponentText).join(' to ')}` : '';
      return {
        ...base,
        about: `${printable(growth.of)}^${exponentText(fit.exponent)}${range ? ` (${range})` : ''}${ends}`,
        // The law is of size ^ dimensions, the axis shows size.
        law: { factor: fit.factor, exponent: fit.exponent * growth.dimensions },
      };
    }),
    x: `${printable(growth.size)} [${printable(growth.unit)}]`,
    ticks: unique(shown.flatMap(({ points }) => points.map(({ size }) => size))).sort((a, b) => a - b),
    legend: true,
  });
}
