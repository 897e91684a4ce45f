import type { Summary } from '../core/report.ts';
import type { LearningPoint } from '../core/workload.ts';
import { medianInterval } from '../stats/interval.ts';
import { median } from '../stats/order.ts';
import { ROUNDS_FOR_INTERVAL, summariseRounds } from '../stats/rounds.ts';
import { mainPlace } from './charts/place.ts';
import { groupBy, headline, isRanked, place, type SuiteView } from './view.ts';

type Ranked = Summary & { readonly value: number };

/** What one arm made of ever more images, under the conditions that all curves of a finding share. */
export interface LearningCurve {
  readonly arm: string;
  /** Fewest images first: the row with the value and the interval over seeds at that number of images. */
  readonly points: readonly { readonly images: number; readonly row: Ranked }[];
}

/**
 * How an arm stands to another at a number of images: `behind`, `ahead` where the 95% interval of the median difference over
 * pairs of seeds excludes 0, else `level`; `unknown` where the seeds are too few for an interval.
 */
export interface Standing {
  readonly images: number;
  readonly standing: 'behind' | 'level' | 'ahead' | 'unknown';
  /** Median over seeds of how much better it is, in the metric's unit; negative where it is worse. */
  readonly difference: number;
  readonly interval: { readonly lo: number; readonly hi: number } | null;
}

/** Whether and where one arm catches up with another. */
export interface Race {
  readonly first: string;
  readonly second: string;
  /** Of `second` to `first`, fewest images first. */
  readonly standings: readonly Standing[];
  readonly seeds: number;
}

/** The curves of one metric of a suite, and its contrasts. */
export interface Learning {
  readonly metric: string;
  readonly unit: string;
  readonly better: Summary['better'];
  readonly workload: string;
  readonly place: string;
  readonly batch: number;
  readonly curves: readonly LearningCurve[];
  readonly races: readonly Race[];
}

/** What a suite's scores say of learning from ever more images, per headline metric; empty where nothing was learnt so. */
export function learningOf(view: SuiteView): Learning[] {
  return headline(view).flatMap((metric) => {
    const all = view.rows.filter((row) => row.metric === metric && row.learning?.length);
    return [...groupBy(all, (row) => row.workload).values()].flatMap((rows) => {
      const main = mainPlace(rows);
      if (main === null) return [];
      const here = rows
        .filter((row) => place(row) === main.place && row.batch === main.batch)
        .filter(isRanked);
      const { unit, better, workload } = here[0]!;
      const byArm = new Map(here.map((row) => [row.arm, row]));
      const races = view.info.contrasts.flatMap(([a, b]) => {
        const [first, second] = [byArm.get(a), byArm.get(b)];
        return first && second ? [race(first, second)] : [];
      });
      const curves = here.map((row) => ({ arm: row.arm, points: row.learning!.map((p) => pointOf(row, p)) }));
      return [{ ...{ metric, unit, better, workload }, ...main, curves, races }];
    });
  });
}

function pointOf(row: Ranked, { images, values }: LearningPoint): LearningCurve['points'][number] {
  const summary = summariseRounds(values);
  return { images, row: { ...row, ...summary, values, rounds: values.length, value: summary.value! } };
}

/** Seeds are pairs: the i-th of both arms had the same images, and all were judged on the same ones. */
function race(first: Ranked, second: Ranked): Race {
  const sign = second.better === 'lower' ? -1 : 1;
  const theirs = new Map(first.learning!.map(({ images, values }) => [images, values]));
  const standings = second.learning!.flatMap(({ images, values }): Standing[] => {
    const others = theirs.get(images);
    if (others?.length !== values.length) return [];
    const differences = values.map((value, seed) => sign * (value - others[seed]!));
    const interval = values.length < ROUNDS_FOR_INTERVAL ? null : medianInterval(differences);
    return [{ images, difference: median(differences), interval, standing: standingOf(interval) }];
  });
  return { first: first.arm, second: second.arm, standings, seeds: second.values.length };
}

function standingOf(interval: Standing['interval']): Standing['standing'] {
  if (interval === null) return 'unknown';
  if (interval.hi < 0) return 'behind';
  return interval.lo > 0 ? 'ahead' : 'level';
}

/**
 * The fewest images from which on, at every larger number that was tried, `second` is not surely behind: null where it is behind
 * at the most images, or where that is not known.
 */
export function caughtUpAt({ standings }: Race): number | null {
  if (standings.some(({ standing }) => standing === 'unknown')) return null;
  const last = standings.findLastIndex(({ standing }) => standing === 'behind');
  return standings[last + 1]?.images ?? null;
}
