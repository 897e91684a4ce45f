import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { reasonOf, VersusError } from '../core/errors.ts';

/** A process, told apart from a later one with the same number by when it started. */
interface Owner {
  readonly pid: number;
  readonly started: string | null;
}

/** Clock ticks since boot at which a process started (field 22 of /proc/PID/stat); null where that cannot be read. */
function startOf(pid: number): string | null {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses and may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function alive({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const now = startOf(pid);
  return started === null || now === null || now === started;
}

const self = (): string =>
  JSON.stringify({ pid: process.pid, started: startOf(process.pid) } satisfies Owner);

function ownerIn(file: string): Owner | null {
  try {
    const value = JSON.parse(fs.readFileSync(file, 'utf8')) as Partial<Owner> | null;
    if (!value || !Number.isSafeInteger(value.pid) || value.pid! <= 0) return null;
    return { pid: value.pid!, started: typeof value.started === 'string' ? value.started : null };
  } catch {
    return null;
  }
}

/**
 * Makes this process the only one that writes to a run's folder.
 * @returns the function that gives the lock back.
 * @throws VersusError `usage` when another living process holds it, `infrastructure` when it cannot be written.
 */
export function lockRun(file: string): () => void {
  for (let attempt = 0; ; attempt++) {
    try {
      fs.writeFileSync(file, self(), { flag: 'wx' });
      return () => fs.rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 2) {
        throw new VersusError('infrastructure', `the run’s lock cannot be written: ${reasonOf(error)}`, {
          where: file,
          next: 'Make room on that disk, or make it writable.',
          cause: error,
        });
      }
    }
    const owner = ownerIn(file);
    if (owner && alive(owner)) {
      throw new VersusError('usage', `this run is going on in process ${owner.pid}`, {
        where: file,
        next: 'Wait until it ends, or start a run of its own.',
      });
    }
    // Left behind by a process that was killed.
    fs.rmSync(file, { force: true });
  }
}

/** A mark that a killed process left; another user's stays. */
function sweep(mark: string): void {
  try {
    fs.rmSync(mark, { force: true });
  } catch {
    // It does no harm.
  }
}

const MARK = /^versus-measuring-(\d+)\.json$/;

/**
 * Tells other runs on this machine that this process measures, and finds those that do already.
 * Only a hint: two runs at once are allowed, their timings disturb each other.
 */
export function announce(dir = os.tmpdir()): { others: number[]; end(): void } {
  const others: number[] = [];
  const mine = path.join(dir, `versus-measuring-${process.pid}.json`);
  try {
    for (const name of fs.readdirSync(dir)) {
      const pid = Number(MARK.exec(name)?.[1]);
      if (!pid || pid === process.pid) continue;
      const mark = path.join(dir, name);
      const owner = ownerIn(mark);
      if (owner?.pid === pid && alive(owner)) others.push(pid);
      else if (owner) sweep(mark);
    }
    fs.rmSync(mine, { force: true });
    fs.writeFileSync(mine, self(), { flag: 'wx' });
  } catch {
    // Without a temporary folder nobody can be warned, and nothing else is lost.
  }
  return { others, end: () => fs.rmSync(mine, { force: true }) };
}
