import type { ReportInput } from '../../core/report.ts';
import { learningOf } from '../learning.ts';
import { suiteViews } from '../view.ts';
import { type SheetCell, sheet } from './sheet.ts';

const HEADER = [
  ...['suite', 'workload', 'metric', 'unit', 'place', 'batch', 'arm'],
  ...['images', 'seeds', 'value', 'ci_lo', 'ci_hi', 'ci_method', 'values'],
] as const;

/**
 * One line per arm, metric and number of training images: the median over seeds with its interval, and the value of every seed.
 * null where no suite of the run learns from ever more images.
 */
export function learningSheet(input: ReportInput): string | null {
  const lines = suiteViews(input).flatMap((view) =>
    learningOf(view).flatMap(({ metric, unit, workload, place, batch, curves }) =>
      curves.flatMap(({ arm, points }) =>
        points.map(({ images, row }): SheetCell[] => [
          ...[view.info.name, workload, metric, unit, place, batch, arm, images, row.rounds],
          ...[row.value, row.ci_lo, row.ci_hi, row.ci_method, row.values.join(' ')],
        ]),
      ),
    ),
  );
  return lines.length === 0 ? null : sheet(HEADER, lines);
}
