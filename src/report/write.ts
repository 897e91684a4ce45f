import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { reasonOf, VersusError } from '../core/errors.ts';
import type { ReportFile } from '../core/report.ts';

/**
 * Writes `files` as the whole content of the folder `dir`: into a new folder beside it, which then takes its place, so
 * that a reader sees the old report or the new one, never half of one. What the folder held before is removed.
 * @throws VersusError `input` for a file name that leaves the folder or appears twice; `infrastructure` when the disk refuses.
 */
export async function writeReport(dir: string, files: readonly ReportFile[]): Promise<void> {
  const target = resolve(dir);
  checkNames(target, files);
  const parent = dirname(target);
  const mark = `${process.pid}-${randomUUID().slice(0, 8)}`;
  const fresh = join(parent, `.${basename(target)}.new-${mark}`);
  const old = join(parent, `.${basename(target)}.old-${mark}`);
  try {
    await mkdir(fresh, { recursive: true });
    for (const { file, body } of files) {
      const path = join(fresh, file);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, body);
    }
    await swap(fresh, target, old);
  } catch (error) {
    throw new VersusError('infrastructure', `The report could not be written: ${reasonOf(error)}`, {
      where: target,
      next: 'Free space or make the folder writable, then run `versus report`; the records are untouched.',
      cause: error,
    });
  } finally {
    // What cannot be cleaned away must not hide why it came to that.
    await rm(fresh, { recursive: true, force: true }).catch(() => undefined);
  }
}

const MOST_ATTEMPTS = 50;

/** Two renames: POSIX cannot exchange two folders in one. Another writer may slip in between, then it is tried again. */
async function swap(fresh: string, target: string, old: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const had = await moveAway(target, old);
    try {
      await rename(fresh, target);
      if (had) await rm(old, { recursive: true, force: true });
      return;
    } catch (error) {
      if (had) await restore(old, target);
      const { code } = error as NodeJS.ErrnoException;
      const raced = code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'EPERM';
      if (!raced || attempt === MOST_ATTEMPTS) throw error;
      await setTimeout(Math.random() * 5 * Math.min(attempt, 10));
    }
  }
}

/** Whether there was something to move. */
async function moveAway(target: string, old: string): Promise<boolean> {
  try {
    await rename(target, old);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Puts the old report back, unless another writer's new one already stands there. */
async function restore(old: string, target: string): Promise<void> {
  await rename(old, target).catch(() => rm(old, { recursive: true, force: true }));
}

function checkNames(target: string, files: readonly ReportFile[]): void {
  const seen = new Set<string>();
  for (const { file } of files) {
    const path = resolve(target, file);
    const inside = path.startsWith(target + sep) && !file.includes('\\') && !file.includes('\0');
    if (!inside || file.split('/').includes('..')) {
      throw new VersusError(
        'input',
        `A reporter asked for a file outside the report folder: ${JSON.stringify(file)}`,
        {
          where: target,
          next: 'Reporters name files relative to the report folder, without "..".',
        },
      );
    }
    if (seen.has(path.toLowerCase())) {
      throw new VersusError('input', `Two report files have the same name: ${JSON.stringify(file)}`, {
        where: target,
        next: 'Rename one of the suites or leave one of the reporters out.',
      });
    }
    seen.add(path.toLowerCase());
  }
}
