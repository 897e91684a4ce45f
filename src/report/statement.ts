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
  /** Who measured better, sure or not; the first where neither did. */
  readonly ahead: 'a' | 'b';
  readonly text: Phrase;
  /** By how much: `3.06×`, `1.7 points`; null where nothing can be said. */
  readonly amount: string | null;
  /** Interval of that amount: `3.02× to 3.11×`. */
  readonly range: string | null;
  readonly certainty: Certainty;
  /** Why it is as sure as it is. */
  readonly because: string;
}

/** Fewer rounds give no interval that means 95%, whatever was computed from them. */
const ROUNDS_FOR_INTERVAL = 6;

/** Puts a comparison into words: who wins on what, by how much, and how sure that is. */
export function statement(comparison: Comparison): Statement {
  const size = amount(comparison);
  const { a, b, verdict } = comparison;
  return {
    comparison,
    winner: verdict === 'a' ? a.arm : verdict === 'b' ? b.arm : null,
    ahead: aheadIn(comparison),
    text: sentence(comparison, size),
    amount: size?.amount ?? null,
    range: size?.range ?? null,
    ...trust(comparison),
  };
}

function sentence(comparison: Comparison, size: Size | null): Phrase {
  const { verdict, ratio, unit } = comparison;
  const on = metricLabel(comparison.metric);
  const [a, b] = [comparison.a, comparison.b].map((side) => ({
    name: { name: side.arm },
    value: quantity(side.value, unit),
  })) as [Named, Named];
  const how = size === null ? '' : `, ${size.amount}${size.range ? ` (95% interval ${size.range})` : ''}`;

  if (verdict === 'same') return [a.name, ' and ', b.name, ` are equal on ${on}: ${a.value}`];
  if (ratio === null && verdict !== 'a' && verdict !== 'b')
    return [`Not compared on ${on}: `, a.name, ' and ', b.name];
  if (comparison.better === 'none' && ratio !== null) {
    return [b.name, ` has ${factor(ratio)} the ${on} of `, a.name, `: ${b.value} against ${a.value}`];
  }
  if (verdict === 'a' || verdict === 'b') {
    const [best, other] = verdict === 'a' ? [a, b] : [b, a];
    return [best.name, ' beats ', other.name, ` on ${on}: ${best.value} against ${other.value}${how}`];
  }
  if (isFew(comparison) && ratio !== null) {
    const [best, other] = aheadIn(comparison) === 'a' ? [a, b] : [b, a];
    const rounds = plural(roundsOf(comparison), 'round');
    return [
      best.name,
      ' measured better than ',
      other.name,
      ` on ${on}: ${best.value} against ${other.value}${how}, but ${rounds} cannot make that sure`,
    ];
  }
  return [
    'No sure difference between ',
    a.name,
    ' and ',
    b.name,
    ` on ${on}: ${a.value} against ${b.value}${how}`,
  ];
}

interface Named {
  readonly name: { readonly name: string };
  readonly value: string;
}

interface Size {
  readonly amount: string;
  readonly range: string | null;
}

function aheadIn({ verdict, ratio, better }: Comparison): 'a' | 'b' {
  if (verdict === 'a' || verdict === 'b') return verdict;
  if (ratio === null || ratio === 1) return 'a';
  return ratio > 1 === (better === 'lower') ? 'a' : 'b';
}

const roundsOf = ({ a, b }: Comparison): number => Math.min(a.rounds, b.rounds);
const isScore = ({ method }: Comparison): boolean => method.startsWith('McNemar');
const isFew = (c: Comparison): boolean =>
  c.verdict === 'unsure' && !isScore(c) && roundsOf(c) < ROUNDS_FOR_INTERVAL;

/** The ratio, turned so that it is at least 1, with its interval; fractions differ by percentage points instead. */
function amount(comparison: Comparison): Size | null {
  const { a, b, unit, ratio, ci_lo, ci_hi } = comparison;
  if (ratio === null || !Number.isFinite(ratio) || ratio <= 0) return null;
  if (isFraction(unit) && a.value !== null && b.value !== null) {
    return { amount: `${number(Math.abs(b.value - a.value) * 100)} points`, range: null };
  }
  const turn = ratio < 1;
  const ends = [ci_lo, ci_hi].map((end) => (end === null || !turn ? end : 1 / end));
  const [lo, hi] = turn ? [ends[1]!, ends[0]!] : [ends[0]!, ends[1]!];
  const bounded = lo !== null && hi !== null && Number.isFinite(hi) && !isFew(comparison);
  return {
    amount: factor(turn ? 1 / ratio : ratio),
    range: bounded ? `${factor(lo)} to ${factor(hi)}` : null,
  };
}

function trust(comparison: Comparison): { certainty: Certainty; because: string } {
  const { a, b, verdict, method, ci_lo, ci_hi, p_adjusted, ratio } = comparison;
  const notes = comparison.notes.map(printable);
  const say = (certainty: Certainty, ...reasons: readonly string[]) => ({
    certainty,
    because: [...new Set(reasons)].filter(Boolean).join('; '),
  });
  const decided = verdict === 'a' || verdict === 'b';
  if (ratio === null && !decided && verdict !== 'same') {
    const bad = [a, b].filter((side) => side.status !== 'ok');
    if (bad.length > 0)
      return say('none', ...bad.map((side) => `${printable(side.arm)}: ${statusWord(side.status)}`));
    return say('none', ...(notes.length > 0 ? notes : ['no value to compare']));
  }
  if (method === 'exact') return say('exact', 'counted, not measured', ...notes);
  if (isFew(comparison))
    return say('unsure', `${plural(roundsOf(comparison), 'round')}: no interval`, ...notes);
  const basis = isScore(comparison) ? printable(method) : plural(roundsOf(comparison), 'round');
  const p = p_adjusted === null ? '' : pValue(p_adjusted);
  if (verdict === 'same') return say('exact', basis, ...notes);
  const bounded = ci_lo !== null && ci_hi !== null;
  if (!decided) {
    const open = bounded && ci_lo <= 1 && ci_hi >= 1 ? 'the interval contains 1' : '';
    return say('unsure', open || basis, p, ...notes);
  }
  if (!bounded && p_adjusted === null) return say('unsure', `${basis}: no interval`, ...notes);
  if (p_adjusted !== null && p_adjusted > ALPHA)
    return say('weak', basis, ...(notes.length > 0 ? notes : [`${p} after correction`]));
  return say('sure', basis, p, ...notes);
}

/** `3.02 to 3.11 ms` or why there is none, for tables. */
export const spread = (row: { ci_lo: number | null; ci_hi: number | null; unit: string }): string | null =>
  interval(row.ci_lo, row.ci_hi, row.unit);
