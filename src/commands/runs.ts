import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { VersusError } from '../core/errors.ts';
import { nearest } from '../core/names.ts';
import type { RunInfo, Summary } from '../core/report.ts';
import { readRecords } from '../run/read-records.ts';
import { summarise } from '../stats/summarise.ts';

const RECORDS = 'records.jsonl';

/** The records file that a run's id, folder or file names; the newest run when nothing is named. */
export function findRecords(reports: string, named?: string): string {
  const runs = join(reports, 'runs');
  const ids = existsSync(runs)
    ? readdirSync(runs)
        .filter((id) => existsSync(join(runs, id, RECORDS)))
        .sort()
    : [];
  if (named === undefined) {
    const newest = ids.at(-1);
    if (newest) return join(runs, newest, RECORDS);
    throw new VersusError('usage', `there is no run in ${runs} yet`, { next: "measure one: 'versus run'" });
  }
  for (const candidate of [join(runs, named, RECORDS), join(resolve(named), RECORDS), resolve(named)]) {
    if (existsSync(candidate) && statSync(candidate).isFile()) return candidate;
  }
  const near = nearest(named, ids);
  throw new VersusError('usage', `there is no run '${named}'`, {
    where: runs,
    next: near.length ? `did you mean ${near.join(' or ')}?` : `runs: ${ids.slice(-5).join(', ') || 'none'}`,
  });
}

export interface ReadRun {
  readonly records: string;
  readonly dir: string;
  readonly info: RunInfo;
  readonly rows: Summary[];
}

/** A run's records as summaries. Lines that could not be read are said in `info.warnings`. */
export async function readRun(records: string): Promise<ReadRun> {
  const warnings: string[] = [];
  const lines = readRecords(records, (warning) => {
    if (warnings.length < 100) warnings.push(warning.replace(dirname(records), basename(dirname(records))));
  });
  const { info, rows } = await summarise(lines, warnings);
  return { records, dir: dirname(records), info, rows };
}
