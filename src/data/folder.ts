import { lstatSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { reasonOf, VersusError } from '../core/errors.ts';

export interface FoundFile {
  /** Absolute, with every link resolved. */
  readonly path: string;
  readonly bytes: number;
}

/** A folder that names from outside may not leave. */
export interface Folder {
  /** Absolute and real. */
  readonly root: string;
  /**
   * The regular file behind a relative name.
   * @throws VersusError `input`: absolute, with `..`, a link that leads out, missing, empty, or no regular file.
   */
  file(name: string): FoundFile;
}

/** @throws VersusError `input` when there is no such folder. */
export function openFolder(dir: string): Folder {
  let root: string;
  try {
    root = realpathSync(dir);
    if (!statSync(root).isDirectory()) throw new Error('not a folder');
  } catch (error) {
    throw new VersusError('input', `cannot open dataset folder: ${reasonOf(error)}`, {
      where: dir,
      next: 'check the path; relative ones start at the datasets folder',
      cause: error,
    });
  }
  const inside = (real: string) => real === root || real.startsWith(root + path.sep);
  // One lookup per folder, not per file: an ImageNet has 1.3 million files in 1,000 folders.
  const parents = new Map<string, string>();
  const parentOf = (folder: string): string => {
    const known = parents.get(folder) ?? realpathSync(folder);
    parents.set(folder, known);
    return known;
  };
  return {
    root,
    file(name) {
      const refuse = (why: string): VersusError =>
        new VersusError('input', `sample file ${JSON.stringify(name.slice(0, 200))}: ${why}`, {
          where: root,
          next: 'name a file below the dataset folder by its relative path',
        });
      if (name === '' || name.includes('\0')) throw refuse('no usable path');
      if (path.isAbsolute(name) || path.win32.isAbsolute(name)) throw refuse('absolute');
      if (name.split(/[\\/]/).includes('..')) throw refuse('leaves the folder');
      try {
        const full = path.join(root, name);
        let real = path.join(parentOf(path.dirname(full)), path.basename(full));
        let stat = lstatSync(real);
        if (stat.isSymbolicLink()) {
          real = realpathSync(real);
          stat = statSync(real);
        }
        if (!inside(real)) throw refuse('a link leads out of the folder');
        if (!stat.isFile()) throw refuse('no regular file');
        if (stat.size === 0) throw refuse('empty');
        return { path: real, bytes: stat.size };
      } catch (error) {
        if (error instanceof VersusError) throw error;
        throw refuse(reasonOf(error));
      }
    },
  };
}
