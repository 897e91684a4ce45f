import type { Summary } from '../core/report.ts';
import { hodgesLehmannRatio } from '../stats/hodges-lehmann.ts';
import { mannWhitney, smallestP } from '../stats/ranks.ts';
import { holm } from '../stats/tests.ts';

/** Rounds of a baseline against rounds of now. */
export interface Sides {
  readonly case_id: string;
  readonly better: Summary['better'];
  readonly base: readonly number[];
  readonly head: readonly number[];
}

/** What the rounds say about one row. `change` and its interval are relative worsenings: positive is worse. */
export interface Evidence {
  readonly change: number | null;
  readonly lo: number | null;
  readonly hi: number | null;
  readonly p: number;
  readonly p_adjusted: number;
  /** The smallest corrected p that so many rounds could reach in this family. */
  readonly reachable: number;
  /** Distinct tests of the family. */
  readonly tests: number;
}

/**
 * Hodges–Lehmann interval and exact Mann–Whitney p of every row, Holm-corrected over all of them. Rows of one case whose
 * rounds rank alike (a rate is the inverse of a duration) are one and the same test and count once.
 */
export function weigh(rows: readonly Sides[]): Evidence[] {
  const tests = rows.map((row) => mannWhitney(row.base, row.head).p);
  const signatures = rows.map((row) => `${row.case_id}\n${rankSignature(row.base, row.head)}`);
  const distinct = new Map<string, number>();
  signatures.forEach((signature, i) => {
    if (!distinct.has(signature)) distinct.set(signature, tests[i]!);
  });
  const corrected = holm([...distinct.values()]);
  const adjusted = new Map([...distinct.keys()].map((signature, i) => [signature, corrected[i]!]));
  return rows.map((row, i) => {
    const { base, head } = row;
    // Swapping the sides inverts the ratio, so that above 1 is always worse.
    const worse = row.better === 'higher' ? hodgesLehmannRatio(head, base) : hodgesLehmannRatio(base, head);
    return {
      change: worse === null ? null : worse.ratio - 1,
      lo: worse?.interval == null ? null : worse.interval.lo - 1,
      hi: worse?.interval == null ? null : worse.interval.hi - 1,
      p: tests[i]!,
      p_adjusted: adjusted.get(signatures[i]!)!,
      reachable: Math.min(1, distinct.size * smallestP(base.length, head.length)),
      tests: distinct.size,
    };
  });
}

/** The order of all rounds by value, the same for a series and its inverse. */
function rankSignature(base: readonly number[], head: readonly number[]): string {
  const all = [...base, ...head];
  const order = all.map((_, i) => i).sort((i, j) => all[i]! - all[j]! || i - j);
  const up = order.join();
  const down = order.reverse().join();
  return up < down ? up : down;
}

/** Rounds on both sides from which on `tests` comparisons can reach α. */
export function roundsNeeded(tests: number, alpha: number): number {
  let n = 4;
  while (n < 40 && tests * smallestP(n, n) >= alpha) n++;
  return n;
}

export const percent = (share: number) => `${(100 * share).toFixed(1)}%`;

/** `8.1% worse (95%: 6.0% to 9.9%)`; a gain is said as such, its interval in the same direction. */
export function describeChange(change: number, lo: number, hi: number): string {
  return change >= 0
    ? `${percent(change)} worse (95%: ${percent(lo)} to ${percent(hi)})`
    : `${percent(-change)} better (95%: ${percent(-hi)} to ${percent(-lo)})`;
}
