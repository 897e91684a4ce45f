import { resolve } from 'node:path';
import { type CommonOptions, contextOf, print, printJson, reportsDir, say } from './context.ts';
import { addFiles, chooseReporters, publish, renderRun } from './render.ts';
import { findRecords, readRun } from './runs.ts';

interface ReportOptions extends CommonOptions {
  readonly format?: readonly string[];
  readonly out?: string;
}

/** `versus report [RUN]`: everything again from the records; nothing is measured. */
export async function reportCommand(named: string | undefined, options: ReportOptions): Promise<number> {
  const loaded = await contextOf(options);
  const reports = reportsDir(loaded);
  const reporters = chooseReporters(loaded.config, options.format);
  const run = await readRun(findRecords(reports, named));
  for (const warning of run.info.warnings) say(`! ${warning}`);
  let written: string[];
  if (options.out !== undefined) {
    const files = await renderRun(run, reporters);
    const out = resolve(options.out);
    await addFiles(out, files);
    written = files.map(({ file }) => resolve(out, file));
  } else if (options.format?.length) {
    written = await addFiles(resolve(reports, 'latest'), await renderRun(run, reporters));
  } else {
    written = await publish(reports, run, reporters);
  }
  if (options.json) printJson({ run_id: run.info.run.run_id, records: run.records, reports: written });
  else for (const path of written) print(path);
  return 0;
}
