import type { ReportInput } from '../../core/report.ts';
import { racesOf } from '../backends.ts';
import { slug, uniqueNames } from '../format.ts';
import { learningOf } from '../learning.ts';
import { headline, type SuiteView, suiteViews } from '../view.ts';
import { aloneCharts } from './alone.ts';
import { backendCharts } from './backends.ts';
import { barCharts } from './bars.ts';
import type { Chart, Draft } from './chart.ts';
import { coldCharts } from './cold.ts';
import { growthCharts } from './growth.ts';
import { learningCharts } from './learning.ts';
import { memoryCharts, STACKED_MEMORY } from './memory.ts';
import { paretoCharts } from './pareto.ts';
import { phaseCharts } from './phases.ts';
import { scalingCharts } from './scaling.ts';
import { stripCharts } from './strip.ts';
import { variantCharts } from './variants.ts';

/** Charts take most of a report's time (0.1 s each in all formats), and nobody looks at a hundred. */
const MOST_CHARTS = 28;
/** Of a run so large that its tables alone take their time. */
const MOST_CHARTS_OF_LARGE = 4;
const LARGE = 1000;

export interface ChartSet {
  readonly charts: readonly Chart[];
  /** How many charts were left out because there are too many. */
  readonly leftOut: number;
}

const made = new WeakMap<ReportInput, ChartSet>();

/** Every chart of a report, by suite, the most telling first. All formats show the same ones. */
export function chartsOf(input: ReportInput): ChartSet {
  const known = made.get(input);
  if (known) return known;
  const name = uniqueNames();
  const all: Chart[] = suiteViews(input).flatMap((view) =>
    drafts(view)
      .sort((a, b) => a.rank - b.rank)
      .map(({ name: own, ...rest }) => ({
        ...rest,
        suite: view.info.name,
        file: name(slug(view.info.name, own)),
      })),
  );
  const kept = new Set(
    [...all]
      .sort((a, b) => a.rank - b.rank)
      .slice(0, input.rows.length > LARGE ? MOST_CHARTS_OF_LARGE : MOST_CHARTS),
  );
  const set = { charts: all.filter((chart) => kept.has(chart)), leftOut: all.length - kept.size };
  made.set(input, set);
  return set;
}

function drafts(view: SuiteView): Draft[] {
  // Bars of one contender beside itself at other sizes say nothing that the lines do not say better.
  const growth = growthCharts(view);
  if (growth.length > 0) return [...growth, ...backendCharts(view), ...stripCharts(view)];
  const variants = variantCharts(view);
  if (variants.length > 0) return [...variants, ...backendCharts(view)];
  const learning = learningCharts(view);
  // What was learnt from ever more images has lines, which say more than bars of the most images.
  const drawn = new Set(learningOf(view).map(({ metric }) => metric));
  const metrics = headline(view).filter((metric) => !STACKED_MEMORY.has(metric) && !drawn.has(metric));
  const alone = aloneCharts(view, metrics);
  const rest = metrics.filter((metric) => !alone.some((chart) => chart.metrics.includes(metric)));
  return [
    ...learning,
    ...alone.map((chart) => chart.draft),
    ...rest.flatMap((metric, i) =>
      barCharts(view, metric, i === 0 && alone.length === 0 ? 0 : 3 + i / 100, raced(view, metric)),
    ),
    ...backendCharts(view),
    ...paretoCharts(view),
    ...phaseCharts(view),
    ...memoryCharts(view),
    ...scalingCharts(view),
    ...stripCharts(view),
    ...coldCharts(view),
  ];
}

/** Workloads whose backends have a chart of their own on a metric. */
const raced = (view: SuiteView, metric: string): Set<string> =>
  new Set(racesOf(view).flatMap((race) => (race.metric === metric ? [race.workload] : [])));
