import { type BigIntStats, fstatSync } from 'node:fs';
import { type FileHandle, realpath, stat } from 'node:fs/promises';

/** Clocks of some file systems (FAT, HFS+, old network shares) tick once in two seconds. */
export const COARSE_TICK_MS = 2000;
/** Others take the kernel's: 10 ms where that is slowest. */
const FINE_TICK_MS = 20;

/** Which file this is and when it was last changed, without a look at its content. */
export interface FileState {
  /** The path without links. */
  readonly real: string;
  /**
   * Path without links, device, inode, size, modification and change time. A write in place with the old size and the
   * old modification time put back still moves the change time, which nobody can set.
   */
  readonly text: string;
  readonly size: number;
  /** Milliseconds since the epoch at which content, name or attributes changed last. */
  readonly changedMs: number;
  /** How long from now a further write could go unnoticed, because the file system's clock might not tick between; ms. */
  readonly unsettledMs: number;
}

/** @throws what `stat` throws */
export async function fileState(path: string): Promise<FileState> {
  const real = await realpath(path);
  return describe(real, await stat(real, { bigint: true }));
}

/** State of the file behind a handle, whatever stands at its path by now. @param real the path when it was opened */
export async function handleState(handle: FileHandle, real: string): Promise<FileState> {
  return describe(real, await handle.stat({ bigint: true }));
}

/** The same at once, for a look between two reads. */
export function descriptorState(fd: number, real: string): FileState {
  return describe(real, fstatSync(fd, { bigint: true }));
}

function describe(real: string, s: BigIntStats): FileState {
  const changedMs = Number(s.mtimeMs > s.ctimeMs ? s.mtimeMs : s.ctimeMs);
  const tick = s.ctimeNs % 1_000_000n === 0n ? COARSE_TICK_MS : FINE_TICK_MS;
  const age = Date.now() - Number(s.ctimeMs);
  return {
    real,
    text: JSON.stringify([real, ...[s.dev, s.ino, s.size, s.mtimeNs, s.ctimeNs].map(String)]),
    size: Number(s.size),
    changedMs,
    // A change time well ahead of this clock is another clock's: it moves with the next write all the same.
    unsettledMs: age > -tick && age < tick ? tick - age : 0,
  };
}
