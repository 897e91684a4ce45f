import { metricLabel, printable, quantity } from '../format.ts';
import { groupBy, type SuiteView } from '../view.ts';
import type { Draft } from './chart.ts';
import { colour } from './palette.ts';
import { atPlace, mainPlace } from './place.ts';
import { stackChart } from './stack.ts';

/** What one repetition is made of: every duration of a single phase (`preprocess`, `vision`, `prefill`), stacked, per workload. */
export function phaseCharts(view: SuiteView): Draft[] {
  return Object.entries(view.info.metrics).flatMap(([workload, metrics]) => {
    const timed = metrics.filter(({ of, phases }) => of === 'duration' && phases?.length === 1);
    // A phase that another metric tells the rest of, once something is taken off, is the sum of the parts.
    const single = timed.filter(
      (metric) =>
        metric.minus || !timed.some((other) => other.minus && other.phases![0] === metric.phases![0]),
    );
    const whole = metrics.find(
      ({ of, phases }) => of === 'duration' && phases !== undefined && phases.length > 1,
    );
    const step = metrics.find(({ of }) => of === 'step');
    if (single.length < 2) return [];
    const names = new Set([...single, step].map((metric) => metric?.name));
    const rows = view.rows.filter((row) => row.workload === workload && names.has(row.metric));
    const where = mainPlace(rows);
    if (where === null) return [];
    const arms = groupBy(atPlace(rows, where), (row) => row.arm);
    const chart = stackChart({
      name: `${workload}-phases`,
      title: `Where the time goes${whole ? ` until the ${whole.name === 'ttft' ? 'first token' : metricLabel(whole.name)}` : ''} · lower is better`,
      subtitle: [
        `${printable(view.info.name)} · ${printable(workload)} · batch ${where.batch} · ${printable(where.place)} · medians of each phase`,
      ],
      rank: 1,
      axis: whole ? metricLabel(whole.name) : 'time',
      unit: 'ms',
      parts: single.map(({ name }, i) => ({ metric: name, fill: colour(i) })),
      arms,
      more: (arm) => {
        const row = arms.get(arm)?.find((candidate) => candidate.metric === step?.name);
        return row?.value == null ? null : `then ${quantity(row.value, row.unit)} per token`;
      },
    });
    return chart === null ? [] : [chart];
  });
}
