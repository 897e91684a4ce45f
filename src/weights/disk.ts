import { mkdir, statfs } from 'node:fs/promises';
import { VersusError } from '../core/errors.ts';

/** Left free for everything else that a run writes. */
export const DISK_RESERVE = 256 << 20;

export async function freeBytes(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
}

const IN_THE_CACHE =
  'free some space (versus cache clean), or set cache.dir in bench.config.ts to a larger disk';

/**
 * @param next what a person does about it
 * @throws VersusError `infrastructure` when a folder's disk has no room for so many bytes more and some reserve
 */
export async function requireSpace(dir: string, bytes: number, next = IN_THE_CACHE): Promise<void> {
  await mkdir(dir, { recursive: true });
  const needed = bytes + DISK_RESERVE;
  const free = await freeBytes(dir);
  if (free >= needed) return;
  const gb = (n: number) => `${(n / 1e9).toFixed(1)} GB`;
  throw new VersusError('infrastructure', `too little disk space: ${gb(needed)} needed, ${gb(free)} free`, {
    where: dir,
    next,
  });
}
