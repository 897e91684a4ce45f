import type { Comparison, Summary } from '../core/report.ts';
import { mainPlace } from './charts/place.ts';
import { metricLabel, printable, quantity } from './format.ts';
import { type Gap, gapsOf } from './gaps.ts';
import { peersOf } from './growth.ts';
import { type GrowthStatement, growthStatements } from './growth-text.ts';
import { type LearningStatement, learningStatements } from './learning-text.ts';
import { type Certainty, type Phrase, type Statement, statement } from './statement.ts';
import {
  byMerit,
  groupBy,
  headline,
  isRanked,
  leadingModel,
  place,
  type Slice,
  type SuiteView,
  slices,
  unique,
} from './view.ts';

const MOST_STATEMENTS = 12;

/** What a report says about one metric of a suite under the conditions where it says most. */
export interface Lead {
  readonly metric: string;
  readonly slice: Slice;
  /** `batch 1, onnxruntime-cpu`. */
  readonly where: string;
  /** Valid arms, best first. */
  readonly ranking: readonly (Summary & { readonly value: number })[];
  readonly statements: readonly Statement[];
}

export interface Answer {
  readonly view: SuiteView;
  readonly leads: readonly Lead[];
  /** The most telling statements: the first pair of arms on every headline metric, then the other pairs. */
  readonly statements: readonly Statement[];
  readonly gaps: readonly Gap[];
  /** How costs grow, where the suite's arms are contenders at several sizes. */
  readonly growth: readonly GrowthStatement[];
  /** Where one arm catches up with another, where they learnt from ever more images. */
  readonly learning: readonly LearningStatement[];
}

/** The answer to a suite's question, from the comparisons alone. */
export function answerOf(view: SuiteView): Answer {
  const peers = peersOf(view);
  const leads = headline(view).flatMap((metric) =>
    slices(view, metric).flatMap((slice) => leadOf(view, slice, peers) ?? []),
  );
  const pairs = groupBy(
    leads.flatMap((lead) => lead.statements),
    ({ comparison }) => `${comparison.a.arm}\n${comparison.b.arm}`,
  );
  return {
    view,
    leads,
    statements: [...pairs.values()].flat().slice(0, MOST_STATEMENTS),
    gaps: gapsOf(view),
    growth: growthStatements(view),
    learning: learningStatements(view),
  };
}

/** Where arms have several sizes, only those of one size are ranked; where they are settings of models, those of one model. */
function leadOf(view: SuiteView, slice: Slice, peers: ReturnType<typeof peersOf>): Lead | null {
  const model = leadingModel(view);
  const main = mainPlace(slice.rows);
  if (main === null) return null;
  const rows = slice.rows.filter(
    (row) =>
      place(row) === main.place &&
      (peers === null || peers.arms.has(row.arm)) &&
      (model === null || row.model === model),
  );
  const comparisons = view.comparisons.filter(
    (c) =>
      c.metric === slice.metric &&
      c.workload === slice.workload &&
      c.batch === slice.batch &&
      place(c) === main.place &&
      (peers === null || peers.arms.has(c.a.arm)),
  );
  return {
    metric: slice.metric,
    slice,
    where: `${model === null ? '' : `${printable(model)}, `}${several(view) ? `${printable(slice.workload)}, ` : ''}${peers ? `${peers.size}, ` : ''}batch ${slice.batch}, ${printable(main.place)}`,
    ranking: rows.filter(isRanked).sort(byMerit(slice.better)),
    statements: comparisons.map(statement),
  };
}

const several = (view: SuiteView): boolean => unique(view.rows.map((row) => row.workload)).length > 1;

/** What the answer's first sentence rests on; null where nothing is compared. */
export const foremost = ({
  growth,
  learning,
  statements,
}: Answer): { readonly text: Phrase; readonly certainty: Certainty; readonly because: string } | null =>
  growth[0] ?? learning[0] ?? statements[0] ?? null;

/**
 * The answer's first sentence: how the first headline metric grows, or the best arm on it and how it stands to its opponent.
 */
export function verdictOf(answer: Answer): Phrase {
  const first = foremost(answer);
  if (first) return first.text;
  const lead = answer.leads[0];
  if (!lead) return ['No valid result.'];
  if (lead.ranking.length === 1) {
    const values = answer.leads
      .filter((other) => other.ranking.length === 1)
      .map(
        ({ metric, ranking, slice }) => `${metricLabel(metric)} ${quantity(ranking[0]!.value, slice.unit)}`,
      );
    return [
      'Only ',
      { name: lead.ranking[0]!.arm },
      ` was measured, so nothing is compared: ${unique(values).join(', ')}`,
    ];
  }
  return [
    { name: lead.ranking[0]!.arm },
    ` measured best on ${metricLabel(lead.metric)}, but no pair of arms was compared`,
  ];
}

/** Arms of a metric in order, with their values: `resnet-18 23.9 ms, deit-s-16 48.6 ms`. */
export function rankingOf(lead: Lead, most = 6): Phrase {
  const shown = lead.ranking.slice(0, most);
  const phrase: (string | { name: string })[] = shown.flatMap((row, i) => [
    ...(i > 0 ? [', '] : []),
    { name: row.arm },
    ` ${quantity(row.value, row.unit)}`,
  ]);
  if (lead.ranking.length > most) phrase.push(` and ${lead.ranking.length - most} more`);
  return phrase;
}

/** Comparisons on headline metrics under all conditions, those of the answer first. */
export function comparisonsOf(view: SuiteView): readonly Comparison[] {
  const order = new Map(headline(view).map((metric, i) => [metric, i]));
  return view.comparisons
    .filter(({ metric }) => order.has(metric))
    .sort((a, b) => order.get(a.metric)! - order.get(b.metric)!);
}
