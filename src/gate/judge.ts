import type { GateConfig } from '../core/config.ts';
import type { Status } from '../core/record.ts';
import type { RunInfo, Summary } from '../core/report.ts';
import type { Baseline, BaselineRow } from './baseline.ts';
import { confirm } from './confirm.ts';
import { describeChange, type Evidence, percent, roundsNeeded, weigh } from './evidence.ts';
import type { GateResult, GateRow } from './result.ts';

/** A cell that ended like this in the baseline too is as it was, and is not gated. */
const STANDING: ReadonlySet<Status> = new Set(['unsupported', 'unavailable', 'correctness-only']);

/**
 * Holds a run against a baseline, row by row. Gated are the exact metrics and qualities (at tolerance 0), the steady
 * metrics, and whatever else (memory, cold phases) `tolerance` names. A noisy metric is `suspected` only where the change
 * exceeds the tolerance, its 95% interval excludes the tolerance, and the Holm-corrected exact p is below α; it becomes a
 * `regression` when a second measurement in fresh processes agrees (see {@link confirm}).
 *
 * @param options.remeasured rows of such a second measurement, where there already is one
 */
export function judge(
  baseline: Baseline,
  info: RunInfo,
  rows: readonly Summary[],
  config: GateConfig,
  options: { readonly remeasured?: readonly Summary[] } = {},
): GateResult {
  const { environment } = info.run;
  const same = environment.fingerprint === baseline.environment.fingerprint;
  const keyOf = (r: { case_id: string; metric: string }) => JSON.stringify([r.case_id, r.metric]);
  const now = new Map(rows.map((row) => [keyOf(row), row]));
  const before = new Map(baseline.rows.map((row) => [keyOf(row), row]));
  const judged: GateRow[] = [];
  const noisy: { base: BaselineRow; head: Summary }[] = [];
  for (const [key, base] of before) {
    if (!gated(base, config)) continue;
    const head = now.get(key);
    const known = head === undefined ? missing(base) : settled(base, head, config, same);
    if (known === 'noisy') noisy.push({ base, head: head! });
    else if (known !== null) judged.push(known);
  }
  for (const [key, head] of now) {
    if (before.has(key) || !gated(head, config) || head.value === null) continue;
    judged.push(rowOf(head, { verdict: 'new', reason: 'not in the baseline', head: head.value }));
  }
  const evidence = weigh(
    noisy.map(({ base, head }) => ({
      case_id: base.case_id,
      better: base.better,
      base: base.values,
      head: head.values,
    })),
  );
  noisy.forEach(({ base, head }, i) => {
    judged.push(decide(base, head, evidence[i]!, config));
  });
  const { cpu, cores } = baseline.environment;
  const hardware = `the baseline was measured on other hardware (${cpu}, ${cores} cores): only exact metrics can be judged`;
  const result: GateResult = {
    baseline_run: baseline.run_id,
    run: info.run.run_id,
    same_hardware: same,
    alpha: config.alpha,
    min_rounds: config.minRounds,
    rows: judged,
    notes: [...(same ? [] : [hardware]), ...(judged.length === 0 ? ['no row could be gated'] : [])],
  };
  return options.remeasured === undefined ? result : confirm(result, options.remeasured);
}

function gated(row: BaselineRow | Summary, config: GateConfig): boolean {
  if (Object.hasOwn(config.tolerance, row.metric)) return true;
  if (row.metric === 'peak_share' || /_p9[059]$/.test(row.metric)) return false;
  return row.phase === 'steady' || row.phase === 'static' || row.phase === 'quality';
}

function toleranceOf(row: BaselineRow | Summary, config: GateConfig): number {
  const { tolerance } = config;
  if (row.assume === 'exact' || row.phase === 'quality') return 0;
  return (Object.hasOwn(tolerance, row.metric) ? tolerance[row.metric] : tolerance.default) ?? 0;
}

function rowOf(
  row: BaselineRow | Summary,
  fields: Partial<GateRow> & Pick<GateRow, 'verdict' | 'reason'>,
): GateRow {
  const { case_id, suite, arm, metric, unit, better } = row;
  const empty = { base: null, head: null, change: null, lo: null, hi: null, p: null, p_adjusted: null };
  return { case_id, suite, arm, metric, unit, better, ...empty, tolerance: 0, base_values: [], ...fields };
}

function missing(base: BaselineRow): GateRow | null {
  if (base.value === null) return null;
  return rowOf(base, {
    verdict: 'missing',
    reason: 'in the baseline, but not in this run',
    base: base.value,
  });
}

/** What needs no statistics: a row, null where there is nothing to judge, or 'noisy' where statistics must decide. */
function settled(
  base: BaselineRow,
  head: Summary,
  config: GateConfig,
  same: boolean,
): GateRow | null | 'noisy' {
  const figures = { base: base.value, head: head.value, tolerance: toleranceOf(base, config) };
  const row = (verdict: GateRow['verdict'], reason: string) => rowOf(base, { ...figures, verdict, reason });
  const why = head.reason === null ? '' : `: ${head.reason}`;
  if (head.status !== 'ok') {
    if (head.status === base.status && STANDING.has(head.status)) return null;
    return row('invalid', `${head.status}${why}`);
  }
  if (head.value === null) return base.value === null ? null : row('missing', `no value any more${why}`);
  if (base.value === null) return row('new', `no value in the baseline: ${base.reason ?? base.status}`);
  if (base.assume === 'exact' || base.phase === 'quality') return judgeExact(base, head.value, row);
  if (!same) return row('inconclusive', 'measured on other hardware than the baseline');
  const fewest = Math.min(base.values.length, head.values.length);
  if (fewest < config.minRounds) {
    const reason = `needs ≥ ${config.minRounds} rounds on both sides, has ${base.values.length} and ${head.values.length}`;
    return row('inconclusive', reason);
  }
  return 'noisy';
}

function judgeExact(
  base: BaselineRow,
  head: number,
  row: (verdict: GateRow['verdict'], reason: string) => GateRow,
): GateRow {
  if (base.value === head) return row('ok', 'unchanged');
  const reason = `changed from ${base.value} to ${head}; this metric is exact`;
  const better =
    base.better === 'higher' ? head > base.value! : base.better === 'lower' && head < base.value!;
  return row(better ? 'improved' : 'regression', reason);
}

function decide(base: BaselineRow, head: Summary, evidence: Evidence, config: GateConfig): GateRow {
  const tolerance = toleranceOf(base, config);
  const { reachable, tests, ...figures } = evidence;
  const row = (verdict: GateRow['verdict'], reason: string): GateRow =>
    rowOf(base, {
      ...{ base: base.value, head: head.value, base_values: base.values, tolerance, verdict, reason },
      ...figures,
    });
  const { change, lo, hi, p_adjusted } = figures;
  if (change === null || lo === null || hi === null)
    return row('inconclusive', 'a ratio needs positive values');
  const said = describeChange(change, lo, hi);
  const limit = percent(tolerance);
  // Better by more than the tolerance, on the same scale: a speed-up of 5% undoes a slowdown of 5%.
  const gain = 1 / (1 + tolerance) - 1;
  if (change <= tolerance && change >= gain) return row('ok', `${said}, within ${limit}`);
  const excluded = change > 0 ? lo > tolerance : hi < gain;
  if (!excluded) {
    return change < 0
      ? row('ok', `${said}: not worse`)
      : row(
          'inconclusive',
          `${said}: beyond ${limit}, but the interval does not exclude it; measure more rounds`,
        );
  }
  if (p_adjusted >= config.alpha) {
    if (change < 0) return row('ok', `${said}: not worse`);
    const reason =
      reachable >= config.alpha
        ? `${said}: beyond ${limit}, but so few rounds cannot reach α over ${tests} tests; needs ≥ ${roundsNeeded(tests, config.alpha)} rounds`
        : `${said}: beyond ${limit}, but corrected p = ${p_adjusted.toPrecision(2)} ≥ ${config.alpha}`;
    return row('inconclusive', reason);
  }
  if (change < 0) return row('improved', `${said}, beyond ${limit}`);
  return row('suspected', `${said}, beyond ${limit}; not yet measured again`);
}
