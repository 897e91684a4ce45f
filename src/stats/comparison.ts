import type { Comparison, Side, Summary } from '../core/report.ts';
import { pairedBootstrapRatio } from './bootstrap.ts';
import { hodgesLehmannRatio, pairedRatio, type RatioEstimate } from './hodges-lehmann.ts';
import { mannWhitney } from './ranks.ts';
import { ROUNDS_FOR_INTERVAL } from './rounds.ts';
import { holm, mcnemar } from './tests.ts';

export interface PairOptions {
  /** Round i of both sides ran interleaved in one run. */
  readonly paired: boolean;
  /** Why timings and memory of the two must not be compared; else null. */
  readonly incomparable?: string | null;
}

type Finding = Pick<
  Comparison,
  'ratio' | 'ci_lo' | 'ci_hi' | 'method' | 'p' | 'p_adjusted' | 'verdict' | 'notes'
>;

const NOTHING: Finding = {
  ratio: null,
  ci_lo: null,
  ci_hi: null,
  method: 'none',
  p: null,
  p_adjusted: null,
  verdict: 'none',
  notes: [],
};

/**
 * The statement about two rows of one metric, B ÷ A, before Holm's correction (see {@link adjust}). A verdict is given
 * only where both sides are valid, the 95% interval excludes 1, and both have at least 6 rounds.
 */
export function comparePair(a: Summary, b: Summary, options: PairOptions): Comparison {
  return {
    suite: a.suite,
    workload: a.workload,
    metric: a.metric,
    unit: a.unit,
    better: a.better,
    backend: a.backend,
    precision: a.precision,
    batch: a.batch,
    a: sideOf(a),
    b: sideOf(b),
    ...find(a, b, options),
  };
}

function sideOf(row: Summary): Side {
  const { case_id, arm, backend, value, rounds, status } = row;
  return { case_id, arm, backend, value, rounds, status };
}

function find(a: Summary, b: Summary, options: PairOptions): Finding {
  const notes = [invalid('A', a), invalid('B', b)].filter((n) => n !== null);
  if (notes.length > 0) return { ...NOTHING, notes };
  if (a.correct !== undefined && b.correct !== undefined && a.correct.length === b.correct.length) {
    return compareCorrect(a, b, a.correct, b.correct);
  }
  if (a.assume === 'exact' && b.assume === 'exact') return compareExact(a, b);
  if (options.incomparable) return { ...NOTHING, notes: [options.incomparable] };
  return compareNoisy(a, b, options.paired);
}

function invalid(name: string, row: Summary): string | null {
  if (row.status !== 'ok') return `${name} is ${row.status}${row.reason === null ? '' : `: ${row.reason}`}`;
  return row.value === null ? `${name} has no value: ${row.reason ?? 'unknown'}` : null;
}

function compareExact(a: Summary, b: Summary): Finding {
  const ratio = a.value === 0 ? null : b.value! / a.value!;
  const verdict = a.value === b.value ? 'same' : towards(a.better, b.value! > a.value!);
  return { ...NOTHING, ratio, method: 'exact', verdict };
}

/**
 * Accuracies on the same samples: exact McNemar test; Wald interval of the ratio of paired proportions, whose log has
 * variance (b + c) ÷ (n₁·n₂), b and c being the discordant counts. Source: Desu and Raghavarao, "Nonparametric
 * Statistical Methods for Complete and Censored Data" (2004); Agresti, 3rd ed., section 11.1.
 */
function compareCorrect(
  a: Summary,
  b: Summary,
  correctA: readonly boolean[],
  correctB: readonly boolean[],
): Finding {
  let [onlyA, onlyB, rightA, rightB] = [0, 0, 0, 0];
  correctA.forEach((right, i) => {
    const other = correctB[i]!;
    if (right) rightA++;
    if (other) rightB++;
    if (right && !other) onlyA++;
    if (other && !right) onlyB++;
  });
  const p = mcnemar(onlyA, onlyB);
  const ratio = rightA === 0 ? null : rightB / rightA;
  const known = ratio !== null && rightB > 0;
  const spread = known ? 1.959964 * Math.sqrt((onlyA + onlyB) / (rightA * rightB)) : 0;
  const verdict = onlyA + onlyB === 0 ? 'same' : p < 0.05 ? towards(a.better, b.value! > a.value!) : 'unsure';
  const method = `McNemar, exact, n=${correctA.length}, ${onlyA}+${onlyB} discordant`;
  const interval = known
    ? { ci_lo: ratio * Math.exp(-spread), ci_hi: ratio * Math.exp(spread) }
    : { ci_lo: null, ci_hi: null };
  return { ...NOTHING, ratio, ...interval, method, p, verdict };
}

function compareNoisy(a: Summary, b: Summary, paired: boolean): Finding {
  const ratio = a.value! > 0 ? b.value! / a.value! : null;
  if (a.values.length === 0 || b.values.length === 0) {
    const notes = ['pooled over rounds: no interval, so no verdict'];
    return { ...NOTHING, ratio, verdict: 'unsure', method: 'ratio of values', notes };
  }
  const test = mannWhitney(a.values, b.values);
  const estimate = estimateRatio(a.values, b.values, paired);
  if (estimate === null) {
    const notes = ['a ratio needs positive values'];
    return { ...NOTHING, verdict: 'unsure', method: test.method, p: test.p, notes };
  }
  const { interval } = estimate;
  const fewest = Math.min(a.values.length, b.values.length);
  const few = fewest < ROUNDS_FOR_INTERVAL;
  const sure = !few && interval !== null && (interval.lo > 1 || interval.hi < 1);
  return {
    ...NOTHING,
    ratio: estimate.ratio,
    ci_lo: interval?.lo ?? null,
    ci_hi: interval?.hi ?? null,
    method: `${interval?.method ?? 'median of ratios'}; ${test.method}`,
    p: test.p,
    verdict: sure ? towards(a.better, estimate.ratio > 1) : 'unsure',
    notes: few ? [`need >= ${ROUNDS_FOR_INTERVAL} rounds for a 95% interval, have ${fewest}`] : [],
  };
}

/** Interleaved rounds in pairs (a bootstrap where they are too few for ranks), else two independent samples. */
function estimateRatio(a: readonly number[], b: readonly number[], paired: boolean): RatioEstimate | null {
  if (!paired || a.length !== b.length) return hodgesLehmannRatio(a, b);
  return a.length < ROUNDS_FOR_INTERVAL
    ? (pairedBootstrapRatio(a, b) ?? hodgesLehmannRatio(a, b))
    : pairedRatio(a, b);
}

function towards(better: Summary['better'], bIsLarger: boolean): Comparison['verdict'] {
  if (better === 'none') return 'none';
  return bIsLarger === (better === 'higher') ? 'b' : 'a';
}

/**
 * Adds Holm-adjusted p-values. A set is one metric of one suite over all its pairs, backends and batches: the metrics of
 * a case are functions of the same timings, so correcting across them would count one question several times.
 * Verdicts rest on each comparison's own interval; where the corrected p does not support one, a note says so.
 */
export function adjust(comparisons: readonly Comparison[]): Comparison[] {
  const sets = new Map<string, number[]>();
  comparisons.forEach(({ suite, metric, p }, i) => {
    if (p === null) return;
    const key = JSON.stringify([suite, metric]);
    const set = sets.get(key);
    if (set) set.push(i);
    else sets.set(key, [i]);
  });
  const adjusted = [...comparisons];
  for (const set of sets.values()) {
    const ps = holm(set.map((i) => comparisons[i]!.p!));
    set.forEach((index, k) => {
      const comparison = comparisons[index]!;
      const p_adjusted = ps[k]!;
      const notes = [...comparison.notes, ...doubt(comparison, p_adjusted, set.length)];
      adjusted[index] = { ...comparison, p_adjusted, notes };
    });
  }
  return adjusted;
}

/** What a reader of the p-value should know where the interval decided and the p-value would not have. */
function doubt({ verdict, p }: Comparison, adjusted: number, size: number): string[] {
  if ((verdict !== 'a' && verdict !== 'b') || adjusted < 0.05) return [];
  return p! < 0.05
    ? [`p = ${adjusted.toPrecision(2)} when corrected for ${size} comparisons`]
    : [`decided by rounds in pairs; as independent samples they do not differ (p = ${p!.toPrecision(2)})`];
}
