import { mkdir, statfs } from 'node:fs/promises';
import { VersusError } from '../core/errors.ts';

/** Left free for everything else that a run writes. */
export const DISK_RESERVE = 256 << 20;

export async function freeBytes(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
}

/** @throws VersusError `infrastructure` when a folder's disk has no room for so many bytes more */
export async function requireSpace(dir: string, bytes: number): Promise<void> {
  await mkdir(dir, { recursive: true });
  const free = await freeBytes(dir);
  if (free < bytes + DISK_RESERVE) throw tooLittle(dir, bytes + DISK_RESERVE, free);
}

export function tooLittle(dir: string, needed: number, free: number): VersusError {
  const gb = (n: number) => `${(n / 1e9).toFixed(1)} GB`;
  return new VersusError('infrastructure', `too little disk space: ${gb(needed)} needed, ${gb(free)} free`, {
    where: dir,
    next: 'free some space (versus cache clean), or set cache.dir in bench.config.ts to a larger disk',
  });
}
