import type { Growth } from '../core/growth.ts';
import { type Growth as GrowthFit, SIZES_FOR_EXPONENT } from '../stats/power-law.ts';
import { ROUNDS_FOR_INTERVAL } from '../stats/rounds.ts';
import { exponentText, metricLabel, plural, printable, quantity } from './format.ts';
import { type Curve, type Finding, growthOf, isFitted } from './growth.ts';
import type { Phrase } from './statement.ts';
import type { Table, TableCell } from './table.ts';
import { type SuiteView, unique } from './view.ts';

/** `1.22 to 1.27`; null where the rounds are too few for an interval, or where it is counted. */
export const exponentRange = ({ ci_lo, ci_hi, exponents }: GrowthFit): string | null =>
  ci_lo === null || ci_hi === null || exponents.length < ROUNDS_FOR_INTERVAL
    ? null
    : `${exponentText(ci_lo)} to ${exponentText(ci_hi)}`;

/** Why an exponent has no interval: `exact`, `2 rounds: no interval`. */
export function withoutRange({ ci_method, exponents }: GrowthFit): string {
  if (ci_method === 'exact') return 'exact';
  return exponents.length === 0
    ? 'some sizes lack rounds: no interval'
    : `${plural(exponents.length, 'round')}: no interval`;
}

/** `128 to 512 px`. */
function rangeText({ points }: Pick<Curve, 'points'>, { unit }: Growth): string {
  return `${points[0]!.size} to ${points.at(-1)!.size} ${printable(unit)}`;
}

/** A finding in words. */
export interface GrowthStatement extends Finding {
  readonly text: Phrase;
}

/** What a report says of how a suite's costs grow, the first headline metric on the main backend first. */
export const growthStatements = (view: SuiteView): GrowthStatement[] =>
  growthOf(view).map((found) => ({ ...found, text: sentence(found) }));

/** Who grows most steeply and how all of them grow, over which sizes: `deit-ti-16 grows most steeply, like pixels^1.24 (95% interval 1.22 to 1.27)`. */
function sentence(found: Finding): Phrase {
  const { growth: spec, metric, curves, certainty } = found;
  const fitted = curves.filter(isFitted);
  if (fitted.length === 0) {
    const most = Math.max(...curves.map(({ points }) => points.length));
    return [
      `How ${metricLabel(metric)} grows was not fitted: an exponent needs ${SIZES_FOR_EXPONENT} sizes, of one contender at most ${most} ${most === 1 ? 'is' : 'are'} valid`,
    ];
  }
  const label = metricLabel(metric);
  const alone = fitted.length === 1;
  const ordered = !alone && certainty !== 'unsure';
  const ranges = new Set(fitted.map((curve) => rangeText(curve, spec)));
  const clauses = fitted.map((curve, i): Phrase => {
    const { fit, line } = curve;
    const range = exponentRange(fit);
    const notes = [
      range === null ? withoutRange(fit) : i === 0 ? `95% interval ${range}` : range,
      ...(ranges.size > 1 ? [`over ${rangeText(curve, spec)}`] : []),
      ...(fit.bends ? [endsText(fit)] : []),
    ];
    const verb = i > 0 || (!alone && !ordered) ? '' : ordered ? ' grows most steeply,' : ' grows';
    return [
      { name: line },
      `${verb} like ${printable(spec.of)}^${exponentText(fit.exponent)} (${notes.join('; ')})`,
    ];
  });
  const start = ordered || alone ? `On ${label} ` : `On ${label} there is no sure order of growth: `;
  const shared = ranges.size === 1 ? `; fitted over ${[...ranges][0]} ${printable(spec.size)}` : '';
  const fixed = fixedPart(found);
  return [
    start,
    ...clauses.flatMap((clause, i) => (i === 0 ? clause : [', ', ...clause])),
    `${shared}${fixed ? `; ${fixed}` : ''}`,
  ];
}

/** What of a cost does not grow, and flattens its exponents; null where nothing is known of that. */
export const fixedPart = ({ curves }: Pick<Finding, 'curves'>): string | null =>
  curves[0]?.points[0]?.row.phase === 'memory'
    ? 'it is the peak above the empty worker, in which weights, and copies of them while they are loaded, do not grow'
    : null;

const endsText = ({ ends: [low, high] }: GrowthFit): string =>
  `no single power: ${exponentText(low)} at the small end, ${exponentText(high)} at the large`;

/** What a reader has to know of the contenders' sizes, each once: `swin-t: windows of 7 × 7 tokens fill its grids`. */
export function growthNotes(findings: readonly Finding[]): string[] {
  const notes = findings.flatMap(({ curves }) =>
    curves.flatMap(({ line, note }) => (note === null ? [] : [`${printable(line)}: ${printable(note)}`])),
  );
  return unique(notes);
}

/** Every exponent with its range and how far a power law holds. */
export function growthTable(findings: readonly Finding[]): Table | null {
  const [first] = findings;
  if (first === undefined) return null;
  const { of, size } = first.growth;
  return {
    caption: `Growth: cost ∝ ${printable(of)}^exponent, fitted on logarithms over the ${printable(size)}; 1 is in proportion to the ${printable(of)}, 2 to their square`,
    columns: [
      ...['metric', 'contender', 'where', 'sizes'].map((title) => ({ title, numeric: false })),
      ...['exponent', 'small end', 'large end', 'off the fit'].map((title) => ({
        title,
        numeric: true,
      })),
    ],
    rows: findings.flatMap((found) => found.curves.map((curve) => growthRow(found, curve))),
    leftOut: 0,
  };
}

function growthRow(found: Finding, curve: Curve): TableCell[] {
  const { growth, unit } = found;
  const { fit, points } = curve;
  const nothing = { text: 'n/a', numeric: true, muted: true };
  const [low, high] = [points[0], points.at(-1)];
  return [
    { text: metricLabel(found.metric) },
    { text: printable(curve.line), ...(curve.group ? { note: printable(curve.group) } : {}) },
    { text: `${printable(found.place)}, batch ${found.batch}`, note: printable(found.workload) },
    low && high
      ? {
          text: `${plural(points.length, 'size')}, ${rangeText(curve, growth)}`,
          note: `${quantity(low.row.value, unit)} to ${quantity(high.row.value, unit)}${missingText(curve, growth)}`,
        }
      : { text: `none${missingText(curve, growth)}`, muted: true },
    ...(fit === null
      ? [{ ...nothing, note: `needs ${SIZES_FOR_EXPONENT} sizes` }, nothing, nothing, nothing]
      : [
          {
            text: exponentText(fit.exponent),
            order: fit.exponent,
            numeric: true,
            note: exponentRange(fit) ?? withoutRange(fit),
          },
          ...fit.ends.map((end) => ({ text: exponentText(end), order: end, numeric: true })),
          { text: `${((fit.departure - 1) * 100).toFixed(1)}%`, order: fit.departure, numeric: true },
        ]),
  ];
}

const missingText = ({ missing }: Curve, { unit }: Growth): string =>
  missing.length === 0 ? '' : `; no valid value at ${missing.join(', ')} ${printable(unit)}`;
