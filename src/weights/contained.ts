import { realpath } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { VersusError } from '../core/errors.ts';

/**
 * The real path of a file that lies in a folder by a name from outside (an index, a listing). A link may not lead out of
 * the folder, except from a snapshot of the Hugging Face cache to the blobs beside it
 * (`<repository>/snapshots/<commit>/x → ../../blobs/<hash>`), which is how that cache stores every file.
 * @throws VersusError `input` when it leads elsewhere; a file that isn't there is left for the reader to report
 */
export async function contained(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  let root: string;
  let real: string;
  try {
    root = await realpath(folder);
    real = await realpath(path);
  } catch {
    return path;
  }
  if (real.startsWith(root.endsWith(sep) ? root : root + sep)) return path;
  const snapshots = snapshotsAbove(root);
  if (snapshots !== null && real.startsWith(join(dirname(snapshots), 'blobs') + sep)) return path;
  throw new VersusError('input', `${JSON.stringify(name)} is a link that leads out of its folder`, {
    where: folder,
    next: 'put the file itself there',
  });
}

/** The `snapshots` folder that a folder of the Hugging Face cache lies in, at most two levels up. */
function snapshotsAbove(root: string): string | null {
  let at = root;
  for (let up = 0; up < 3; up++, at = dirname(at)) {
    if (basename(at) === 'snapshots') return at;
  }
  return null;
}
