import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { VersusError } from '../core/errors.ts';
import type { Cell } from '../core/record.ts';

/** Where a run keeps its files. */
export interface RunPaths {
  readonly id: string;
  readonly dir: string;
  readonly records: string;
  readonly lock: string;
  /** Reference outputs while the run goes on. */
  readonly parity: string;
}

/** UTC time to the second and four random characters: `20260131-101500-k3f9`. Sorts by time. */
export function newRunId(now: Date): string {
  const [day, time] = now.toISOString().replace(/[-:]/g, '').slice(0, 15).split('T');
  const letters = '0123456789abcdefghjkmnpqrstvwxyz';
  const tail = Array.from(randomBytes(4), (byte) => letters[byte % letters.length]).join('');
  return `${day}-${time}-${tail}`;
}

/** The files of a run that lies in `dir`. */
function pathsOf(dir: string): RunPaths {
  const absolute = path.resolve(dir);
  return {
    id: path.basename(absolute),
    dir: absolute,
    records: path.join(absolute, 'records.jsonl'),
    lock: path.join(absolute, 'lock'),
    parity: path.join(absolute, 'parity'),
  };
}

/** A folder of its own for a new run under `<out>/runs`. @throws VersusError `infrastructure` when it cannot be made. */
export function createRunFolder(out: string, now = new Date()): RunPaths {
  const runs = path.join(path.resolve(out), 'runs');
  try {
    fs.mkdirSync(runs, { recursive: true });
    for (;;) {
      const paths = pathsOf(path.join(runs, newRunId(now)));
      try {
        fs.mkdirSync(paths.dir);
        return paths;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  } catch (error) {
    throw new VersusError('infrastructure', 'the run’s folder cannot be made', {
      where: runs,
      next: 'Name a folder that can be written with --out.',
      cause: error,
    });
  }
}

/** The folder of a run that was named by its id or its path. @throws VersusError `usage` when there is none. */
export function findRun(out: string, run: string): RunPaths {
  const candidates = [path.join(path.resolve(out), 'runs', run), path.resolve(run)];
  const found = candidates.map(pathsOf).find((paths) => fs.existsSync(paths.records));
  if (!found) {
    throw new VersusError('usage', `there is no run ${run}`, {
      where: candidates.join(' or '),
      next: `Name one of the folders in ${path.join(path.resolve(out), 'runs')}.`,
    });
  }
  return found;
}

/**
 * File of the reference outputs that a cell is compared with. The name is safe whatever the config calls its plugins, and
 * the hash keeps apart those that would read alike (`a b` and `a_b`).
 */
export function referenceFile({ parity }: RunPaths, { case_id }: Cell): string {
  const readable = case_id.replace(/[^\w.-]+/g, '_').slice(0, 100);
  const hash = createHash('sha256').update(case_id).digest('hex').slice(0, 16);
  return path.join(parity, `${readable}-${hash}.safetensors`);
}
