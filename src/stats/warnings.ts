import type { CellInfo, Summary } from '../core/report.ts';
import { ascending, median } from './order.ts';
import { kendallS, trend } from './tests.ts';

/** Probability under no trend below which a drift is told; small, because a run has a hundred cells. */
const TREND_P = 0.003;
/** A drift of less than this over all rounds changes no verdict. */
const TREND_CHANGE = 0.02;
/** Gap between neighbouring processes, as a share of the median, that makes their memory two groups. */
const GAP = 0.1;
/** Cells that are named before the rest is only counted. */
const NAMED = 5;

/** Sentences on what the rounds of a run say about the machine: drift over rounds and bimodal memory. */
export function warningsOf(rows: readonly Summary[], cells: readonly CellInfo[]): string[] {
  const first = new Map<string, Summary>();
  for (const row of rows) {
    if (row.phase === 'steady' && row.unit === 'ms' && !first.has(row.case_id)) first.set(row.case_id, row);
  }
  const drifts = [...first.values()].flatMap((row) => driftOf(row) ?? []);
  const memory = rows.filter((r) => r.metric === 'peak_rss').flatMap((row) => bimodality(row) ?? []);
  const partial = cells
    .filter((c) => c.status === 'ok' && c.reason !== null)
    .map((c) => `${c.case_id}: ${c.reason}`);
  return [...limited(partial), ...limited(drifts), ...limited(memory)];
}

/** A monotone trend over rounds: the machine changed while it was measured. null where there is none. */
function driftOf(row: Summary): string | null {
  const values = row.values.slice(-60);
  const n = values.length;
  // The exact p of thousands of cells takes a second; by the normal approximation most need none (variance: Kendall 1948).
  if (Math.abs(kendallS(values)) < 2 * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18)) return null;
  const { p, s, relativeSlope } = trend(values);
  const change = relativeSlope * (n - 1);
  if (p === null || p > TREND_P || Math.abs(change) < TREND_CHANGE) return null;
  const percent = (100 * Math.abs(change)).toFixed(0);
  return `${row.case_id}: ${row.metric} ${s > 0 ? 'rose' : 'fell'} by ${percent}% over ${n} rounds (p = ${p.toFixed(4)}): the machine changed while it was measured`;
}

/** Processes that need clearly different amounts of memory for the same work. null where they agree. */
function bimodality(row: Summary): string | null {
  const sorted = ascending(row.values);
  const range = sorted.at(-1)! - sorted[0]!;
  let gap = 0;
  for (let i = 1; i < sorted.length; i++) gap = Math.max(gap, sorted[i]! - sorted[i - 1]!);
  if (sorted.length < 2 || gap < GAP * median(sorted) || gap < range / 2) return null;
  const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
  return `${row.case_id}: ${row.metric} falls into two groups over ${sorted.length} processes (${mib(sorted[0]!)} to ${mib(sorted.at(-1)!)} MiB)`;
}

function limited(sentences: readonly string[]): string[] {
  if (sentences.length <= NAMED) return [...sentences];
  return [...sentences.slice(0, NAMED), `… and the same of ${sentences.length - NAMED} more cells`];
}
