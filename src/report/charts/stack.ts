import type { Summary } from '../../core/report.ts';
import { metricLabel, plural, quantity, shorten, uniqueNames } from '../format.ts';
import { isRanked } from '../view.ts';
import { type Draft, heightFor, labelRoom, nameAxis, numberAxis, options } from './chart.ts';
import { tip } from './tip.ts';
import { axisUnit } from './units.ts';

const MOST_ARMS = 14;

/** One bar per arm, made of parts that add up. */
export interface Stack {
  readonly name: string;
  readonly title: string;
  readonly subtitle: readonly string[];
  readonly rank: number;
  readonly axis: string;
  readonly unit: string;
  readonly parts: readonly { readonly metric: string; readonly label?: string; readonly fill: string }[];
  /** Rows of the parts, by arm. */
  readonly arms: ReadonlyMap<string, readonly Summary[]>;
  /** Written behind the sum. */
  readonly more?: (arm: string) => string | null;
}

/** A stacked bar chart, smallest sum first; null when no arm has a valid part. */
export function stackChart(stack: Stack): Draft | null {
  const bars = [...stack.arms]
    .map(([arm, rows]) => {
      const parts = stack.parts.map(
        ({ metric }) => rows.find((row) => row.metric === metric && isRanked(row)) ?? null,
      );
      return { arm, parts, sum: parts.reduce((total, row) => total + (row?.value ?? 0), 0) };
    })
    .filter(({ sum }) => sum > 0)
    .sort((a, b) => a.sum - b.sum);
  if (bars.length === 0) return null;
  const shown = bars.slice(0, MOST_ARMS);
  const name = uniqueNames();
  const labels = shown.map(({ arm }) => name(shorten(arm, 32)));
  const unit = axisUnit(
    shown.map(({ sum }) => sum),
    stack.unit,
  );
  const used = stack.parts
    .map((part, i) => ({ ...part, i }))
    .filter(({ i }) => shown.some(({ parts }) => parts[i]));
  const datasets = used.map(({ metric, label, fill, i }) => ({
    label: label ?? metricLabel(metric),
    backgroundColor: fill,
    maxBarThickness: 30,
    data: shown.map(({ arm, parts, sum }, at) => {
      const row = parts[i];
      const last = parts.findLastIndex((part) => part !== null) === i;
      const more = last ? stack.more?.(arm) : null;
      return {
        x: row ? row.value! / unit.divisor : null,
        y: labels[at]!,
        ...(row ? { inside: quantity(row.value, row.unit), tip: tip(row) } : {}),
        ...(last ? { label: quantity(sum, stack.unit) + (more ? `, ${more}` : '') } : {}),
      };
    }),
  }));
  const subtitle = [
    ...stack.subtitle,
    ...(bars.length > shown.length
      ? [`The smallest ${shown.length} of ${plural(bars.length, 'arm')}; all of them are in the tables.`]
      : []),
  ];
  return {
    name: stack.name,
    title: stack.title,
    subtitle,
    rank: stack.rank,
    height: heightFor(shown.length + 1, subtitle.length),
    config: {
      type: 'bar',
      data: { labels, datasets },
      options: options(stack.title, subtitle, {
        indexAxis: 'y',
        layout: labelRoom(stack.more ? 210 : undefined),
        scales: {
          x: numberAxis(`${stack.axis} [${unit.name}]`, {
            stacked: true,
            beginAtZero: true,
            grace: '3%',
          }),
          y: nameAxis({ stacked: true }),
        },
      }),
    },
  };
}
