import type { Case, CaseRecord, Cell, Pass, Status } from '../core/record.ts';
import { type Plan, referenceCell } from './plan.ts';

/** A backend at a precision whose peak is measured. */
export interface PeakTarget {
  readonly backend: string;
  readonly precision: string;
}

const inPass = (cells: readonly Cell[], pass: Pass, round = 0): Case[] =>
  cells.map((cell) => ({ ...cell, pass, round }));

/** Identity of a process within a run. */
export const keyOf = (c: Pick<Case, 'case_id' | 'pass' | 'round'>): string =>
  `${c.pass} ${c.round} ${c.case_id}`;

/** Cells that are run here at all. */
export function runnable(plan: Plan): Cell[] {
  return plan.cells.filter((cell) => !plan.blocked.has(cell.case_id));
}

/** Peaks come first, on the machine at rest; a software adapter has none worth knowing. */
export function peakTargets(plan: Plan): PeakTarget[] {
  const targets = runnable(plan)
    .filter((cell) => !plan.software.has(cell.backend))
    .map(({ backend, precision }) => ({ backend, precision }));
  return [...new Map(targets.map((t) => [`${t.backend} ${t.precision}`, t])).values()];
}

/** One per suite, workload, arm and batch: shared by all backends and precisions. */
export function referenceCases(plan: Plan, reference: string): Case[] {
  const cells = runnable(plan).map((cell) => referenceCell(cell, reference));
  return inPass([...new Map(cells.map((cell) => [cell.case_id, cell])).values()], 'reference');
}

export function checkCases(plan: Plan): Case[] {
  return inPass(runnable(plan), 'check');
}

/**
 * Rounds are outermost, and every other one goes backwards (A B C, C B A, …): a machine that slowly warms up or slows down
 * then meets all contenders alike.
 */
export function speedCases(cells: readonly Cell[], rounds: number, limits?: Plan['limits']): Case[] {
  return rounded(cells, 'speed', rounds, limits);
}

export function memoryCases(cells: readonly Cell[], rounds: number, limits?: Plan['limits']): Case[] {
  return rounded(cells, 'memory', rounds, limits);
}

function rounded(cells: readonly Cell[], pass: Pass, rounds: number, limits?: Plan['limits']): Case[] {
  return Array.from({ length: rounds }, (_, round) => {
    const asked = cells.filter((cell) => round < (limits?.get(cell.case_id) ?? rounds));
    return inPass(round % 2 === 0 ? asked : asked.reverse(), pass, round);
  }).flat();
}

/** Only what was checked and holds is timed. */
export function measurable(plan: Plan, checks: ReadonlyMap<string, Status>): Cell[] {
  return runnable(plan).filter((cell) => checks.get(cell.case_id) === 'ok');
}

/**
 * What became of each planned cell: its check if that was not ok, else the first of its processes that failed.
 * Cells that nothing is known of are left out.
 */
export function cellStatuses(
  plan: readonly Cell[],
  records: Iterable<Pick<CaseRecord, 'case_id' | 'pass' | 'status'>>,
): Map<string, Status> {
  const planned = new Set(plan.map((cell) => cell.case_id));
  const statuses = new Map<string, Status>();
  for (const { case_id, pass, status } of records) {
    if (pass === 'reference' || !planned.has(case_id)) continue;
    const known = statuses.get(case_id);
    if (known === undefined || known === 'ok') statuses.set(case_id, status);
  }
  return statuses;
}
