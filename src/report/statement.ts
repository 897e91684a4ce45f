import type { Comparison } from '../core/report.ts';
import {
  factor,
  interval,
  isFraction,
  metricLabel,
  number,
  plural,
  printable,
  pValue,
  quantity,
} from './format.ts';
import { statusWord } from './view.ts';

/** Family-wise error rate below which the report calls a difference sure. */
const ALPHA = 0.05;

/** A sentence in which names of arms are marked, so that each format can set them off and escape them. */
export type Phrase = readonly (string | { readonly name: string })[];

/**
 * How far a difference can be trusted: `exact` (counted, not measured), `sure` (interval excludes 1 and the corrected p is
 * small), `weak` (only one of both), `unsure` (not told apart, or no interval), `none` (not compared).
 */
export type Certainty = 'exact' | 'sure' | 'weak' | 'unsure' | 'none';

/** A comparison in words. */
export interface Statement {
  readonly comparison: Comparison;
  readonly winner: string | null;
  readonly text: Phrase;
  /** By how much: `3.06×`, `1.7 points`; null where nothing can be said. */
  readonly amount: string | null;
  /** Interval of that amount: `3.02× to 3.11×`. */
  readonly range: string | null;
  readonly certainty: Certainty;
  /** Why it is as sure as it is. */
  readonly because: string;
}

/** Puts a comparison into words: who wins on what, by how much, and how sure that is. */
export function statement(comparison: Comparison): Statement {
  const { a, b, verdict, ratio } = comparison;
  const winner = verdict === 'a' ? a : verdict === 'b' ? b : null;
  const loser = verdict === 'a' ? b : a;
  const { certainty, because } = trust(comparison);
  const size = amount(comparison);
  const on = metricLabel(comparison.metric);
  const [low, high] = [a, b].map((side) => quantity(side.value, comparison.unit));
  const rest = { comparison, amount: size?.amount ?? null, range: size?.range ?? null, certainty, because };
  const how = size === null ? '' : `, ${size.amount}${size.range ? ` (95% interval ${size.range})` : ''}`;
  const names = [{ name: a.arm }, { name: b.arm }] as const;

  if (verdict === 'none' || ratio === null) {
    return {
      ...rest,
      winner: null,
      text: ['Not compared on ', `${on}: `, names[0], ' and ', names[1], ` (${because})`],
    };
  }
  if (verdict === 'same') {
    return { ...rest, winner: null, text: [names[0], ' and ', names[1], ` are equal on ${on}: ${low}`] };
  }
  if (winner === null && comparison.better === 'none') {
    const text = [names[1], ` has ${factor(ratio)} the ${on} of `, names[0], `: ${high} against ${low}`];
    return { ...rest, winner: null, text };
  }
  if (winner === null) {
    const text = [
      'No sure difference between ',
      names[0],
      ' and ',
      names[1],
      ` on ${on}: ${low} against ${high}${how}`,
    ];
    return { ...rest, winner: null, text };
  }
  const [best, other] = winner === a ? [low, high] : [high, low];
  const text = [
    { name: winner.arm },
    ' beats ',
    { name: loser.arm },
    ` on ${on}: ${best} against ${other}${how}`,
  ];
  return { ...rest, winner: winner.arm, text };
}

/** The ratio, turned so that it is at least 1, with its interval; fractions differ by percentage points instead. */
function amount({
  a,
  b,
  unit,
  ratio,
  ci_lo,
  ci_hi,
}: Comparison): { amount: string; range: string | null } | null {
  if (ratio === null || !Number.isFinite(ratio) || ratio <= 0) return null;
  if (isFraction(unit) && a.value !== null && b.value !== null) {
    return { amount: `${number(Math.abs(b.value - a.value) * 100)} points`, range: null };
  }
  const turn = ratio < 1;
  const ends = [ci_lo, ci_hi].map((end) => (end === null || !turn ? end : 1 / end));
  const [lo, hi] = turn ? [ends[1]!, ends[0]!] : [ends[0]!, ends[1]!];
  return {
    amount: factor(turn ? 1 / ratio : ratio),
    range: lo === null || hi === null || !Number.isFinite(hi) ? null : `${factor(lo)} to ${factor(hi)}`,
  };
}

function trust(comparison: Comparison): { certainty: Certainty; because: string } {
  const { a, b, verdict, method, ci_lo, ci_hi, p_adjusted, ratio } = comparison;
  const notes = comparison.notes.map(printable);
  const say = (certainty: Certainty, ...reasons: readonly string[]) => ({
    certainty,
    because: [...new Set([...reasons, ...notes])].filter(Boolean).join('; '),
  });
  if (verdict === 'none' || ratio === null) {
    const bad = [a, b].filter((side) => side.status !== 'ok');
    if (bad.length > 0)
      return say('none', ...bad.map((side) => `${printable(side.arm)}: ${statusWord(side.status)}`));
    return say('none', notes.length > 0 ? '' : 'no value to compare');
  }
  if (verdict === 'same' || method === 'exact') return say('exact', 'counted, not measured');
  const rounds = Math.min(a.rounds, b.rounds);
  const p = p_adjusted === null ? '' : pValue(p_adjusted);
  const bounded = ci_lo !== null && ci_hi !== null;
  if (verdict === 'unsure') {
    if (!bounded && p === '') return say('unsure', `${plural(rounds, 'round')}: no interval`);
    return say('unsure', bounded ? 'the interval contains 1' : '', p);
  }
  if (!bounded && p_adjusted === null) return say('unsure', `${plural(rounds, 'round')}: no interval`);
  if (p_adjusted !== null && p_adjusted > ALPHA)
    return say('weak', `${p} after correction for many comparisons`);
  return say(bounded || p_adjusted !== null ? 'sure' : 'weak', plural(rounds, 'round'), p);
}

/** `3.02 to 3.11 ms` or why there is none, for tables. */
export const spread = (row: { ci_lo: number | null; ci_hi: number | null; unit: string }): string | null =>
  interval(row.ci_lo, row.ci_hi, row.unit);
