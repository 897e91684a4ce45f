import type { Summary } from '../../core/report.ts';
import { groupBy, isRanked, place, unique } from '../view.ts';

/** Conditions that hold for a whole chart. */
export interface Place {
  /** Backend and precision as the reader sees them. */
  readonly place: string;
  readonly batch: number;
}

/** Where most arms have a valid value: a backend and precision, and there the smallest batch. Null when nothing is valid. */
export function mainPlace(rows: readonly Summary[]): Place | null {
  const arms = [...groupBy(rows.filter(isRanked), place)].map(
    ([name, mine]) => [name, unique(mine.map((row) => row.arm)).length, mine] as const,
  );
  const best = arms.reduce<(typeof arms)[number] | null>((a, b) => (a === null || b[1] > a[1] ? b : a), null);
  if (best === null) return null;
  return { place: best[0], batch: Math.min(...unique(best[2].map((row) => row.batch))) };
}

export const atPlace = (rows: readonly Summary[], where: Place): Summary[] =>
  rows.filter((row) => place(row) === where.place && row.batch === where.batch);
