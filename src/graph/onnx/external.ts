import { realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, posix, sep, win32 } from 'node:path';
import { VersusError } from '../../core/errors.ts';
import type { ExternalRange } from './tensor.ts';

/** A file of external data that exists, lies inside the model's folder and is long enough. */
export interface ResolvedRange {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/**
 * Finds external data on disk. A location is a relative path that stays inside `folder`: no `..`, nothing absolute on any
 * system, no link that leads out, only regular files; offset and length lie within the file.
 *
 * @throws VersusError `input` that names tensor and location
 */
export function resolveExternal(folder: string, tensor: string, range: ExternalRange): ResolvedRange {
  const fail = (problem: string): never => {
    throw new VersusError('input', `external data of tensor ${tensor}: ${problem}`, {
      where: JSON.stringify(range.location.slice(0, 200)),
    });
  };
  const { location, offset, length } = range;
  const segments = location.split(/[\\/]/);
  if (location === '' || location.includes('\0')) fail('the location is not a path');
  if (
    isAbsolute(location) ||
    posix.isAbsolute(location) ||
    win32.isAbsolute(location) ||
    /^[A-Za-z]:/.test(location)
  ) {
    fail('the location is absolute; it must be relative to the model');
  }
  if (segments.includes('..')) fail("the location leaves the model's folder");
  let path: string;
  let size: number;
  try {
    const root = realpathSync(folder);
    path = realpathSync(join(root, location));
    if (!path.startsWith(root.endsWith(sep) ? root : root + sep))
      fail("the location leaves the model's folder by a link");
    const stat = statSync(path);
    if (!stat.isFile()) fail('the location is not a regular file');
    size = stat.size;
  } catch (error) {
    if (error instanceof VersusError) throw error;
    return fail('the file is missing or not readable');
  }
  if (offset + length > size) fail(`bytes ${offset} to ${offset + length} of a file of ${size}`);
  return { path, offset, length };
}
