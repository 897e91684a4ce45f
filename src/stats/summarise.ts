import { VersusError } from '../core/errors.ts';
import type { CaseRecord, Cell, EndRecord, PeakRecord, RecordLine, RunRecord } from '../core/record.ts';
import type { RunInfo, Summary } from '../core/report.ts';
import { CellAccumulator } from './cell.ts';
import { type RowContext, rowsOf } from './rows.ts';
import { warningsOf } from './warnings.ts';

/**
 * One pass over the lines of records.jsonl: what happened, and one row per cell and metric. Round medians are kept per
 * cell and metric, samples only in bounded digests, so memory grows with cells and rounds, not with samples.
 * Lines of several runs (shards that were merged, a run that was resumed) become one: the first run line names it.
 *
 * @param lines in file order; a run line comes first
 * @param warnings sentences that reading the lines gave rise to; read after the last line, so a reader may still add to it
 * @throws VersusError `input` when there is no run line
 */
export async function summarise(
  lines: AsyncIterable<RecordLine> | Iterable<RecordLine>,
  warnings: readonly string[] = [],
): Promise<{ info: RunInfo; rows: Summary[] }> {
  const stream = new RunAccumulator();
  for await (const line of lines) stream.add(line);
  return stream.finish(warnings);
}

class RunAccumulator {
  #run: RunRecord | null = null;
  #end: EndRecord | null = null;
  #memory = false;
  readonly #peaks: PeakRecord[] = [];
  readonly #cells = new Map<string, CellAccumulator>();
  readonly #said: string[] = [];

  add(line: RecordLine): void {
    if (line.type === 'run') this.#addRun(line);
    else if (line.type === 'case') this.#addCase(line);
    else if (line.type === 'peak') this.#peaks.push(line);
    else this.#end = line;
  }

  #addRun(run: RunRecord): void {
    const first = this.#run;
    // A run line after an end line is a resumed run, which has not ended yet.
    this.#end = null;
    if (first === null) this.#run = run;
    else {
      if (run.environment.fingerprint !== first.environment.fingerprint) {
        this.#said.push(
          `run ${run.run_id} was measured on other hardware than ${first.run_id}: timings of the two must not be compared`,
        );
      }
      const suites = [
        ...first.suites,
        ...run.suites.filter((s) => !first.suites.some((f) => f.name === s.name)),
      ];
      const planned = new Set(first.plan.map((c) => c.case_id));
      const plan = [...first.plan, ...run.plan.filter((c) => !planned.has(c.case_id))];
      this.#run = { ...first, suites, plan, rounds: Math.max(first.rounds, run.rounds) };
    }
    for (const cell of run.plan) this.#cell(cell);
  }

  #addCase(record: CaseRecord): void {
    // The reference backend's own outputs belong to no cell where that backend was not asked for.
    if (record.pass === 'reference' && !this.#cells.has(record.case_id)) return;
    if (record.pass === 'memory') this.#memory = true;
    this.#cell(record).add(record);
  }

  #cell(cell: Cell): CellAccumulator {
    const known = this.#cells.get(cell.case_id);
    if (known !== undefined) return known;
    const run = this.#run;
    if (run === null) throw noRun();
    const { case_id, suite, workload, arm, group, model, backend, precision, batch, settings } = cell;
    const metrics = run.suites.find((s) => s.name === suite)?.metrics[workload] ?? [];
    const identity = {
      ...{ case_id, suite, workload, arm, group, model, backend, precision, batch },
      ...(settings !== undefined && { settings }),
    };
    const created = new CellAccumulator(identity, metrics);
    this.#cells.set(case_id, created);
    return created;
  }

  finish(warnings: readonly string[]): { info: RunInfo; rows: Summary[] } {
    const run = this.#run;
    if (run === null) throw noRun();
    const context: RowContext = { runId: run.run_id, peaks: this.#peaks, memory: this.#memory };
    const cells = [...this.#cells.values()].map((cell) => ({ cell, info: cell.info() }));
    const rows = cells.flatMap(({ cell, info }) => rowsOf(cell, info, context));
    const infos = cells.map(({ info }) => info);
    const said = [
      ...warnings,
      ...this.#said,
      ...(this.#end === null ? ['the run has no last line: it was cut off, and what is here was kept'] : []),
      ...cells.flatMap(({ cell }) => cell.warnings()),
      ...warningsOf(rows, infos),
    ];
    return { info: { run, end: this.#end, peaks: this.#peaks, cells: infos, warnings: said }, rows };
  }
}

function noRun(): VersusError {
  return new VersusError('input', 'the records do not begin with the line that describes the run', {
    next: 'Measure again, or name another run: a folder under reports/runs.',
  });
}
