import { basename, dirname } from 'node:path';
import { VersusError } from '../core/errors.ts';
import { saveBaseline } from '../gate/baseline.ts';
import { type CommonOptions, contextOf, print, printJson, reportsDir } from './context.ts';
import { baselinePath } from './gate.ts';
import { addFiles } from './render.ts';
import { findRecords, readRun } from './runs.ts';

interface BaselineOptions extends CommonOptions {
  readonly baseline?: string;
}

/** `versus baseline save [RUN]`: what later runs are held against. Refuses a run without a single valid row. */
export async function baselineCommand(named: string | undefined, options: BaselineOptions): Promise<number> {
  const loaded = await contextOf(options);
  const run = await readRun(findRecords(reportsDir(loaded), named));
  const baseline = saveBaseline(run.info, run.rows);
  const valid = baseline.rows.filter((row) => row.status === 'ok' && row.value !== null).length;
  if (valid === 0) {
    throw new VersusError('input', `run ${run.info.run.run_id} has no valid row to hold anything against`, {
      where: run.records,
      next: 'save a run that measured something',
    });
  }
  const path = baselinePath(loaded, options.baseline);
  const body = `${JSON.stringify(baseline, null, 1)}\n`;
  await addFiles(dirname(path), [{ file: basename(path), body }]);
  if (options.json) printJson({ baseline: path, run_id: baseline.run_id, rows: baseline.rows.length, valid });
  else print(`${path}: ${valid} rows of run ${baseline.run_id}`);
  return 0;
}
