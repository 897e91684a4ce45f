import type { Summary } from '../../core/report.ts';
import { capital, metricLabel, printable, quantity } from '../format.ts';
import { groupBy, isRanked, type Slice, type SuiteView, slices, unique } from '../view.ts';
import { conditions } from './bars.ts';
import { type Draft, heightFor, labelRoom, nameAxis, numberAxis, options } from './chart.ts';
import { colour } from './palette.ts';
import { atPlace, mainPlace } from './place.ts';
import { tip } from './tip.ts';
import { axisUnit } from './units.ts';

interface Alone {
  readonly draft: Draft;
  /** Metrics that the chart shows, which then need no chart of their own. */
  readonly metrics: readonly string[];
}

/**
 * Where a suite has one arm only, its metrics of equal unit stand side by side (cached and uncached latency of CLIP),
 * because that is then the comparison.
 */
export function aloneCharts(view: SuiteView, metrics: readonly string[]): Alone[] {
  if (unique(view.rows.map((row) => row.arm)).length !== 1) return [];
  const all = metrics.flatMap((metric) => slices(view, metric));
  const alike = groupBy(all, (slice) => [slice.workload, slice.unit, slice.batch, slice.better].join('\n'));
  return [...alike.values()].flatMap((mine) => {
    const draft = mine.length > 1 ? beside(view, mine) : null;
    return draft === null ? [] : [{ draft, metrics: mine.map(({ metric }) => metric) }];
  });
}

function beside(view: SuiteView, alike: readonly Slice[]): Draft | null {
  const first = alike[0]!;
  const where = mainPlace(first.rows);
  if (where === null) return null;
  const rows: Summary[] = alike.flatMap((slice) => atPlace(slice.rows, where).filter(isRanked).slice(0, 1));
  if (rows.length < 2) return null;
  const unit = axisUnit(
    rows.map((row) => row.value),
    first.unit,
  );
  const labels = rows.map((row) => capital(metricLabel(row.metric)));
  const title = `${rows.map((row) => metricLabel(row.metric)).join(', ')} · ${first.better} is better`;
  const subtitle = [`${printable(rows[0]!.arm)} · ${conditions(view, first, [where.place])}`];
  return {
    name: `${first.workload}-${rows.map((row) => row.metric).join('-')}`,
    title: capital(title),
    subtitle,
    height: heightFor(rows.length, subtitle.length),
    rank: 0,
    config: {
      type: 'barWithErrorBars',
      data: {
        labels,
        datasets: [
          {
            label: printable(rows[0]!.arm),
            backgroundColor: colour(0),
            maxBarThickness: 26,
            borderRadius: 3,
            data: rows.map((row, i) => ({
              x: row.value! / unit.divisor,
              y: labels[i]!,
              ...(row.ci_lo !== null && row.ci_hi !== null
                ? { xMin: row.ci_lo / unit.divisor, xMax: row.ci_hi / unit.divisor }
                : {}),
              label: quantity(row.value, row.unit),
              tip: tip(row),
            })),
          },
        ],
      },
      options: options(capital(title), subtitle, {
        legend: false,
        indexAxis: 'y',
        layout: labelRoom(),
        scales: { x: numberAxis(`[${unit.name}]`, { beginAtZero: true, grace: '3%' }), y: nameAxis() },
      }),
    },
  };
}
