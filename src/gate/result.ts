/**
 * - `ok`: no change beyond the tolerance; `improved`: certainly better by more than the tolerance;
 * - `suspected`: certainly worse in this run, not yet measured again; `regression`: worse in a second measurement too,
 *   or an exact metric that changed;
 * - `inconclusive`: could be either, the reason says what would decide it;
 * - `invalid`: valid in the baseline, not now; `missing`: in the baseline, not in this run; `new`: not in the baseline.
 */
export type GateVerdict =
  | 'ok'
  | 'improved'
  | 'suspected'
  | 'regression'
  | 'inconclusive'
  | 'invalid'
  | 'missing'
  | 'new';

export interface GateRow {
  readonly case_id: string;
  readonly suite: string;
  readonly arm: string;
  readonly metric: string;
  readonly unit: string;
  readonly better: 'lower' | 'higher' | 'none';
  readonly verdict: GateVerdict;
  /** In words. */
  readonly reason: string;
  readonly base: number | null;
  readonly head: number | null;
  /** Relative worsening, positive is worse: head ÷ base − 1, or base ÷ head − 1 where higher is better. */
  readonly change: number | null;
  /** 95% interval of `change`. */
  readonly lo: number | null;
  readonly hi: number | null;
  readonly p: number | null;
  readonly p_adjusted: number | null;
  readonly tolerance: number;
  /** Per-round values of the baseline: a second measurement is compared with the same ones. */
  readonly base_values: readonly number[];
}

export interface GateResult {
  readonly baseline_run: string;
  readonly run: string;
  /** False: timings were not compared. */
  readonly same_hardware: boolean;
  readonly alpha: number;
  readonly min_rounds: number;
  readonly rows: readonly GateRow[];
  /** Sentences that concern the whole result. */
  readonly notes: readonly string[];
}

/** How many rows have each verdict. */
export function countVerdicts(result: GateResult): Partial<Record<GateVerdict, number>> {
  const counts: Partial<Record<GateVerdict, number>> = {};
  for (const { verdict } of result.rows) counts[verdict] = (counts[verdict] ?? 0) + 1;
  return counts;
}

/**
 * 1 when something regressed; else 3 when a row is invalid or missing, or nothing at all was held against the baseline;
 * else 4 when `strict` and a row is inconclusive or still only suspected; else 0.
 */
export function exitCodeOf(result: GateResult, options: { readonly strict: boolean }): 0 | 1 | 3 | 4 {
  const counts = countVerdicts(result);
  if (counts.regression) return 1;
  if (counts.invalid || counts.missing || result.rows.every((r) => r.verdict === 'new')) return 3;
  if (options.strict && (counts.inconclusive || counts.suspected)) return 4;
  return 0;
}
