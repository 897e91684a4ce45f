import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Config } from '../core/config.ts';
import { reasonOf, VersusError } from '../core/errors.ts';
import { unknownName } from '../core/names.ts';
import type { Reporter, ReportFile, ReportInput } from '../core/report.ts';
import { runReporters } from '../gate/reporters.ts';
import { reporters as builtIn } from '../report/index.ts';
import { writeReport } from '../report/write.ts';
import { compareArms, compareBackends } from '../stats/compare.ts';
import type { ReadRun } from './runs.ts';

/** Built-in reporters and the config's; a config's reporter takes the place of a built-in one of the same name. */
function reportersOf(config: Config): Reporter[] {
  const byName = new Map([...builtIn, ...runReporters].map((reporter) => [reporter.name, reporter]));
  for (const reporter of config.reporters) byName.set(reporter.name, reporter);
  return [...byName.values()];
}

/** The reporters that `--format` names, all when it names none. */
export function chooseReporters(config: Config, formats: readonly string[] | undefined): Reporter[] {
  const all = reportersOf(config);
  if (!formats?.length) return all;
  return formats.map((format) => {
    const reporter = all.find((candidate) => candidate.name === format);
    if (!reporter)
      throw unknownName(
        'format',
        format,
        all.map((candidate) => candidate.name),
      );
    return reporter;
  });
}

/** What reporters get of a run. */
export function reportInput({ info, rows }: ReadRun): ReportInput {
  return {
    info,
    rows,
    comparisons: compareArms(info, rows),
    acrossBackends: compareBackends(info, rows),
  };
}

/** Every file of the report; a pure function of the run's records. */
export async function renderRun(run: ReadRun, reporters: readonly Reporter[]): Promise<ReportFile[]> {
  const input = reportInput(run);
  const files: ReportFile[] = [];
  for (const reporter of reporters) files.push(...(await reporter.render(input)));
  return files;
}

/** Adds files to a folder that holds others too (a run's own); each appears whole or not at all. @throws VersusError `infrastructure`. */
export async function addFiles(dir: string, files: readonly ReportFile[]): Promise<string[]> {
  const written: string[] = [];
  for (const { file, body } of files) {
    const path = join(dir, file);
    const fresh = `${path}.${randomUUID().slice(0, 8)}.tmp`;
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(fresh, body);
      await rename(fresh, path);
    } catch (error) {
      await rm(fresh, { force: true }).catch(() => undefined);
      throw new VersusError('infrastructure', `a file could not be written: ${reasonOf(error)}`, {
        where: path,
        next: 'free space or make the folder writable, then run it again; the records are untouched',
        cause: error,
      });
    }
    written.push(path);
  }
  return written;
}

/** Writes a run's report beside its records and as `latest`. Returns the paths in `latest`. */
export async function publish(
  reports: string,
  run: ReadRun,
  reporters: readonly Reporter[],
): Promise<string[]> {
  const files = await renderRun(run, reporters);
  await addFiles(run.dir, files);
  const latest = join(reports, 'latest');
  await writeReport(latest, files);
  return files.map(({ file }) => join(latest, file));
}
