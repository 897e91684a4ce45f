import type { ReportInput } from '../../core/report.ts';
import { SIZES_FOR_EXPONENT } from '../../stats/power-law.ts';
import { growthOf } from '../growth.ts';
import { suiteViews } from '../view.ts';
import { type SheetCell, sheet } from './sheet.ts';

const HEADER = [
  'suite',
  'workload',
  'metric',
  'unit',
  'place',
  'batch',
  'contender',
  'of',
  'exponent',
  'ci_lo',
  'ci_hi',
  'ci_method',
  'factor',
  'exponent_small_end',
  'exponent_large_end',
  'farthest_from_fit',
  'size_unit',
  'sizes',
  'sizes_without_value',
  'note',
] as const;

/**
 * One line per contender and metric that a suite fits over sizes: value ≈ factor · of ^ exponent, where `of` is a size to the
 * power that its suite says (pixels = edge²), and `farthest_from_fit` the largest factor between a value and the fit.
 * null where no suite of the run fits anything.
 */
export function growthSheet(input: ReportInput): string | null {
  const lines = suiteViews(input).flatMap((view) =>
    growthOf(view).flatMap(({ metric, unit, workload, place, batch, growth, curves }) =>
      curves.map(({ line, points, missing, fit, note }): SheetCell[] => [
        ...[view.info.name, workload, metric, unit, place, batch, line, growth.of],
        ...(fit === null
          ? [null, null, null, `none: an exponent needs ${SIZES_FOR_EXPONENT} sizes`, null, null, null, null]
          : [fit.exponent, fit.ci_lo, fit.ci_hi, fit.ci_method, fit.factor, ...fit.ends, fit.departure]),
        growth.unit,
        points.map(({ size }) => size).join(' '),
        missing.join(' '),
        note,
      ]),
    ),
  );
  return lines.length === 0 ? null : sheet(HEADER, lines);
}
