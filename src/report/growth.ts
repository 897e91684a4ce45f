import type { Growth } from '../core/growth.ts';
import type { Summary } from '../core/report.ts';
import {
  exponentDifference,
  type Growth as GrowthFit,
  growth,
  SIZES_FOR_EXPONENT,
} from '../stats/power-law.ts';
import { ROUNDS_FOR_INTERVAL } from '../stats/rounds.ts';
import { mainPlace } from './charts/place.ts';
import { exponentText, plural, printable } from './format.ts';
import type { Certainty } from './statement.ts';
import { groupBy, headline, isRanked, place, type SuiteView } from './view.ts';

type Ranked = Summary & { readonly value: number };

/** One contender's cost over its sizes. */
export interface Curve {
  readonly line: string;
  /** What it stands for: `CNN`. */
  readonly group: string | null;
  /** Valid values, smallest size first. */
  readonly points: readonly { readonly size: number; readonly row: Ranked }[];
  /** Sizes that were asked for and have no valid value. */
  readonly missing: readonly number[];
  /** null with fewer than three sizes. */
  readonly fit: GrowthFit | null;
  readonly note: string | null;
}

/** How one metric grows, contender by contender, under equal conditions. */
export interface Finding {
  readonly metric: string;
  readonly unit: string;
  readonly workload: string;
  /** Backend and precision. */
  readonly place: string;
  readonly batch: number;
  readonly growth: Growth;
  /** Steepest first; those without an exponent last. */
  readonly curves: readonly Curve[];
  /** Whether the steepest is steeper than the next. */
  readonly certainty: Certainty;
  readonly because: string;
}

/** How each headline metric of a suite grows, per workload and place; empty where its arms are not contenders at several sizes. */
export function growthOf(view: SuiteView): Finding[] {
  const { growth: spec } = view.info;
  if (spec === undefined) return [];
  return headline(view).flatMap((metric) => {
    const all = view.rows.filter((row) => row.metric === metric);
    return [...groupBy(all, (row) => row.workload).values()].flatMap((rows) => {
      const main = mainPlace(rows);
      if (main === null) return [];
      const here = groupBy(
        rows.filter((row) => row.batch === main.batch),
        place,
      );
      // What is counted is the same on every backend.
      const others =
        rows[0]!.assume === 'exact' ? [] : [...here.keys()].filter((name) => name !== main.place);
      return [main.place, ...others].flatMap((where) => finding(spec, here.get(where)!) ?? []);
    });
  });
}

function finding(spec: Growth, rows: readonly Summary[]): Finding | null {
  const curves = spec.lines
    .flatMap((line) => curve(spec, line, rows) ?? [])
    .sort((a, b) => (b.fit?.exponent ?? -Infinity) - (a.fit?.exponent ?? -Infinity));
  if (!curves.some(({ points }) => points.length > 0)) return null;
  const { metric, unit, workload, batch } = rows[0]!;
  return {
    ...{ metric, unit, workload, batch, curves, growth: spec, place: place(rows[0]!) },
    ...trust(curves),
  };
}

/** null where none of the line's arms was planned here. */
function curve(spec: Growth, line: Growth['lines'][number], rows: readonly Summary[]): Curve | null {
  const byArm = new Map(rows.map((row) => [row.arm, row]));
  const asked = line.points
    .flatMap(({ arm, size }) => {
      const row = byArm.get(arm);
      return row === undefined ? [] : [{ size, row }];
    })
    .sort((a, b) => a.size - b.size);
  if (asked.length === 0) return null;
  const valid = ({ row }: { row: Summary }): boolean => isRanked(row) && row.value > 0;
  const points = asked.filter(valid) as { size: number; row: Ranked }[];
  const fit = growth(
    points.map(({ size }) => size ** spec.dimensions),
    points.map(({ row }) => (row.values.length > 0 ? row.values : [row.value])),
    points[0]?.row.assume === 'exact',
  );
  const missing = asked.filter((point) => !valid(point)).map(({ size }) => size);
  const { group } = asked[0]!.row;
  return { line: line.name, group, points, missing, fit, note: line.note ?? null };
}

type Trust = Pick<Finding, 'certainty' | 'because'>;

function trust(curves: readonly Curve[]): Trust {
  const fitted = curves.filter(isFitted);
  const [first, second] = fitted;
  if (first === undefined)
    return { certainty: 'none', because: `an exponent needs ${SIZES_FOR_EXPONENT} sizes` };
  if (first.fit.ci_method === 'exact') return { certainty: 'exact', because: 'counted, not measured' };
  const rounds = first.fit.exponents.length;
  if (rounds < ROUNDS_FOR_INTERVAL)
    return { certainty: 'unsure', because: `${plural(rounds, 'round')}: no interval` };
  if (second === undefined) return { certainty: 'sure', because: plural(rounds, 'round') };
  const difference = exponentDifference(first.fit, second.fit);
  if (difference === null)
    return { certainty: 'unsure', because: 'the rounds of the two steepest are not pairs' };
  const { lo, hi } = difference;
  const apart = `the exponents of ${printable(first.line)} and ${printable(second.line)} differ by ${exponentText(lo)} to ${exponentText(hi)}`;
  return { certainty: lo > 0 ? 'sure' : 'unsure', because: `${plural(rounds, 'round')}; ${apart}` };
}

/** Whether there were enough sizes for an exponent. */
export const isFitted = (curve: Curve): curve is Curve & { readonly fit: GrowthFit } => curve.fit !== null;

/** Arms of the largest size that most contenders have a valid value at: those that a ranking may hold side by side. */
export function peersOf(
  view: SuiteView,
): { readonly size: string; readonly arms: ReadonlySet<string> } | null {
  const spec = view.info.growth;
  if (spec === undefined) return null;
  const valid = new Set(
    view.rows.filter((row) => isRanked(row) && row.phase === 'steady').map((row) => row.arm),
  );
  const bySize = groupBy(
    spec.lines.flatMap(({ points }) => points).filter(({ arm }) => valid.has(arm)),
    ({ size }) => size,
  );
  const [best] = [...bySize].sort(([a, mine], [b, theirs]) => theirs.length - mine.length || b - a);
  if (best === undefined) return null;
  return {
    size: `${best[0]} ${printable(spec.unit)}`,
    arms: new Set(best[1].map(({ arm }) => arm)),
  };
}
