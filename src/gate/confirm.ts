import type { Summary } from '../core/report.ts';
import { describeChange, weigh } from './evidence.ts';
import type { GateResult, GateRow } from './result.ts';

/** The cells that have to be measured again, in fresh processes, before anything fails. */
export function needsRemeasure(result: GateResult): string[] {
  return [...new Set(result.rows.filter((r) => r.verdict === 'suspected').map((r) => r.case_id))];
}

/**
 * Settles what was suspected with the rows of a second measurement of the same cells: a `regression` where it exceeds
 * the tolerance again, with an interval that excludes it and p below α (Holm over what was suspected); `ok` where it
 * does not exceed it; else `inconclusive`. All other rows stay as they are.
 */
export function confirm(result: GateResult, remeasured: readonly Summary[]): GateResult {
  const again = new Map(remeasured.map((row) => [JSON.stringify([row.case_id, row.metric]), row]));
  const pairs = result.rows
    .filter((row) => row.verdict === 'suspected')
    .map((row) => ({ row, second: again.get(JSON.stringify([row.case_id, row.metric])) }));
  const usable = pairs.filter(
    ({ second }) => second?.status === 'ok' && second.values.length >= result.min_rounds,
  );
  const evidence = weigh(
    usable.map(({ row, second }) => ({
      case_id: row.case_id,
      better: row.better,
      base: row.base_values,
      head: second!.values,
    })),
  );
  const settled = new Map<GateRow, GateRow>(
    pairs.map(({ row, second }) => [
      row,
      { ...row, verdict: 'inconclusive', reason: unusable(second, result) },
    ]),
  );
  usable.forEach(({ row }, i) => {
    const { change, lo, hi, p_adjusted } = evidence[i]!;
    if (change === null || lo === null || hi === null) return;
    const first = describeChange(row.change!, row.lo!, row.hi!);
    const second = describeChange(change, lo, hi);
    const verdict =
      change > row.tolerance && lo > row.tolerance && p_adjusted < result.alpha
        ? 'regression'
        : change <= row.tolerance
          ? 'ok'
          : 'inconclusive';
    const agreement = verdict === 'regression' ? 'confirmed by' : 'not confirmed by';
    settled.set(row, { ...row, verdict, reason: `${first}, ${agreement} a second measurement: ${second}` });
  });
  return { ...result, rows: result.rows.map((row) => settled.get(row) ?? row) };
}

function unusable(second: Summary | undefined, result: GateResult): string {
  const head = 'suspected, but the second measurement';
  if (second === undefined) return `${head} has no such row`;
  if (second.status !== 'ok') {
    return `${head} is ${second.status}${second.reason === null ? '' : `: ${second.reason}`}`;
  }
  return `${head} has ${second.values.length} rounds, needs ≥ ${result.min_rounds}`;
}
