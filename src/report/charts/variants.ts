import { printable, quantity } from '../format.ts';
import { groupBy, isRanked, type SuiteView } from '../view.ts';
import type { Draft } from './chart.ts';
import { curveCharts } from './curves.ts';
import { memoryCharts } from './memory.ts';
import { colour, QUIET } from './palette.ts';
import { paretoCharts } from './pareto.ts';
import { phaseCharts } from './phases.ts';
import { atPlace, mainPlace } from './place.ts';
import { stackChart } from './stack.ts';

const MEASURED = 'difference_rss';
/** What predicted memory is made of, from what is always there to what comes and goes. */
const PARTS = [
  { metric: 'predicted_frozen', label: 'frozen weights', fill: QUIET },
  { metric: 'predicted_weights', label: 'trained weights', fill: colour(2) },
  { metric: 'predicted_optimiser', label: 'optimiser', fill: colour(3) },
  { metric: 'predicted_gradients', label: 'gradients', fill: colour(1) },
  { metric: 'predicted_activations', label: 'activations kept', fill: colour(0) },
  { metric: 'predicted_transient', label: 'on the way', fill: colour(5) },
  { metric: 'predicted_arena', label: 'gaps of the arena', fill: colour(4) },
];

/**
 * Charts of arms that are the same models in several settings, such as ways of training: a set for each model, since what
 * differs between models is not what such a suite asks. Empty where arms have no settings.
 */
export function variantCharts(view: SuiteView): Draft[] {
  if (!view.cells.some(({ settings }) => settings !== undefined)) return [];
  return [...groupBy(view.cells, ({ model }) => model)].flatMap(([model, cells], i) => {
    if (new Set(cells.map(({ arm }) => arm)).size < 2) return [];
    const own: SuiteView = {
      ...view,
      cells,
      rows: view.rows.filter((row) => row.model === model),
      comparisons: view.comparisons.filter(({ a }) => cells.some(({ arm }) => arm === a.arm)),
    };
    const drafts = [
      ...predictedCharts(own),
      ...memoryCharts(own),
      ...paretoCharts(own, MEASURED),
      ...phaseCharts(own),
      ...curveCharts(own),
    ];
    return drafts.map((draft, order) => titled(draft, model, i + order / 10));
  });
}

function titled(draft: Draft, model: string, rank: number): Draft {
  const title = `${printable(model)}: ${draft.title.charAt(0).toLowerCase()}${draft.title.slice(1)}`;
  const plugins = draft.config.options.plugins as Readonly<Record<string, unknown>>;
  const config = {
    ...draft.config,
    options: { ...draft.config.options, plugins: { ...plugins, title: { display: true, text: title } } },
  };
  return { ...draft, name: `${model}-${draft.name}`, title, config, rank };
}

/** Memory of a step as it is predicted, by what takes it, with what was measured behind it. */
function predictedCharts(view: SuiteView): Draft[] {
  const names = new Set([...PARTS.map(({ metric }) => metric), MEASURED]);
  const rows = view.rows.filter((row) => names.has(row.metric));
  const predicted = rows.filter((row) => row.metric !== MEASURED);
  return [...groupBy(predicted, (row) => row.workload)].flatMap(([workload, mine]) => {
    const where = mainPlace(mine);
    if (where === null) return [];
    const arms = groupBy(
      atPlace(
        rows.filter((row) => row.workload === workload),
        where,
      ),
      (row) => row.arm,
    );
    const chart = stackChart({
      name: `${workload}-predicted-memory`,
      title: 'Predicted memory of a training step · lower is better',
      subtitle: [
        `${printable(view.info.name)} · ${printable(workload)} · batch ${where.batch} · at its peak; what the runtime adds is in the measured figure`,
      ],
      ...{ rank: 0, axis: 'predicted peak', unit: 'B', parts: PARTS, arms },
      more: (arm) => {
        const row = arms.get(arm)?.find((r) => r.metric === MEASURED && isRanked(r));
        return row ? `measured ${quantity(row.value, row.unit)}` : null;
      },
    });
    return chart === null ? [] : [chart];
  });
}
