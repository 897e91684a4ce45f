import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { VersusError } from '../core/errors.ts';
import { lockOrWait } from './build-lock.ts';
import { isLeased, type Manifest, measureEntry, useEntry, writeManifest } from './cache-entry.ts';
import { DISK_RESERVE, freeBytes, requireSpace } from './disk.ts';
import { HASHES } from './file-hash.ts';
import { OWNER, ownerLives } from './owner.ts';
import { writeFailure } from './safetensors-writer.ts';

/** An entry used more recently than this stays: the next round of the same run will want it. */
const RECENT_MS = 3600_000;
/** Folder of what comes from the hub, see hub/snapshot.ts. */
export const DOWNLOADS = 'hub';
/** A half-built folder or a lock that nobody wrote to for so long has lost its builder. */
const ABANDONED_MS = 3600_000;

const ENTRY = /^[0-9a-f]{16}$/;
const BUILDING = /^\.building-(.+)-[0-9a-f]{8}$/;
const LOCK = /^\.lock-[0-9a-f]{16}$/;
const TRASH = /^\.trash-/;

export interface CacheStatus {
  readonly entries: number;
  /** Including what an interrupted build left behind. */
  readonly bytes: number;
  /** Bytes of what `hub(…)` downloaded; they don't count towards the limit. */
  readonly downloads: number;
}

/** What the artifact cache in a folder holds; zeros when the folder doesn't exist. */
export async function cacheStatus(cacheDir: string): Promise<CacheStatus> {
  let entries = 0;
  let bytes = 0;
  for (const name of await namesIn(cacheDir)) {
    if (!ENTRY.test(name) && !BUILDING.test(name)) continue;
    if (ENTRY.test(name)) entries++;
    bytes += (await measure(join(cacheDir, name)))?.bytes ?? 0;
  }
  return { entries, bytes, downloads: await bytesBelow(join(cacheDir, DOWNLOADS)) };
}

async function bytesBelow(dir: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(dir, { recursive: true }).catch(() => [])) {
    const found = await stat(join(dir, name)).catch(() => null);
    if (found?.isFile()) bytes += found.size;
  }
  return bytes;
}

/**
 * Removes every entry that no running process uses, remembered file hashes, downloads, and what interrupted builds left
 * behind.
 */
export async function cleanCache(cacheDir: string): Promise<CacheStatus> {
  await sweep(cacheDir);
  for (const name of await namesIn(cacheDir)) {
    if (ENTRY.test(name)) await discard(cacheDir, name, true);
  }
  for (const folder of [HASHES, DOWNLOADS]) {
    await rm(join(cacheDir, folder), { recursive: true, force: true });
  }
  return cacheStatus(cacheDir);
}

/** Removes the entries used longest ago until the rest takes at most `maxBytes`; those in use or used lately stay. */
async function evict(cacheDir: string, maxBytes: number): Promise<void> {
  await sweep(cacheDir);
  const entries: { name: string; bytes: number; lastUsed: number }[] = [];
  for (const name of await namesIn(cacheDir)) {
    const size = ENTRY.test(name) ? await measure(join(cacheDir, name)) : null;
    if (size) entries.push({ name, ...size });
  }
  entries.sort((a, b) => a.lastUsed - b.lastUsed);
  let total = entries.reduce((sum, e) => sum + e.bytes, 0);
  for (const { name, bytes, lastUsed } of entries) {
    if (total <= maxBytes || Date.now() - lastUsed < RECENT_MS) return;
    if (await discard(cacheDir, name, true)) total -= bytes;
  }
}

export interface Addition {
  /** Identity of the content, 64 hex digits. */
  readonly key: string;
  /** What it will take on the disk. */
  readonly bytes: number;
  readonly maxBytes: number;
  /** Writes all files into an empty folder, durably, and says what they are. */
  build(dir: string): Promise<Manifest>;
  /** Called while another process builds the same entry. */
  waiting(): void;
}

/**
 * The entry of a key: found, awaited from another process, or built. It appears whole or not at all: files are written and
 * synced in a folder of their own, which is then renamed.
 * @returns the entry's folder and manifest
 * @throws VersusError `infrastructure` when the disk is too small or cannot be written
 */
export async function obtain(
  cacheDir: string,
  { key, bytes, maxBytes, build, waiting }: Addition,
): Promise<{ dir: string; manifest: Manifest }> {
  const name = key.slice(0, 16);
  const dir = join(cacheDir, name);
  const known = await useEntry(dir, key);
  if (known) return { dir, manifest: known };
  try {
    await mkdir(cacheDir, { recursive: true });
    const lock = await lockOrWait(join(cacheDir, `.lock-${name}`), () => useEntry(dir, key), waiting);
    if ('found' in lock) return { dir, manifest: lock.found };
    try {
      // Between the first look and the lock another process may have finished.
      const late = await useEntry(dir, key);
      if (late) return { dir, manifest: late };
      await makeRoom(cacheDir, bytes);
      const temporary = join(cacheDir, `.building-${OWNER}-${randomBytes(4).toString('hex')}`);
      await mkdir(temporary);
      try {
        const manifest = await build(temporary);
        await writeManifest(temporary, manifest);
        await publish(cacheDir, temporary, name, key);
      } finally {
        await rm(temporary, { recursive: true, force: true });
      }
    } finally {
      await lock.release();
    }
  } catch (error) {
    throw writeFailure(cacheDir, error);
  }
  const manifest = await useEntry(dir, key);
  if (!manifest) {
    throw new VersusError('infrastructure', 'a cache entry vanished right after it was written', {
      where: dir,
      next: 'check what else removes files there',
    });
  }
  await evict(cacheDir, maxBytes);
  return { dir, manifest };
}

/** Renames a finished folder into place. Where a whole entry stands already, that one wins; a damaged one is replaced. */
async function publish(cacheDir: string, temporary: string, name: string, key: string): Promise<void> {
  const dir = join(cacheDir, name);
  await syncFolder(temporary);
  try {
    await rename(temporary, dir);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'EPERM') throw error;
    if (await useEntry(dir, key)) return;
    await discard(cacheDir, name, false);
    await rename(temporary, dir);
  }
  await syncFolder(cacheDir);
}

/** Makes a rename durable. Not every platform can open a folder for that. */
async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, 'r').catch(() => null);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/** Moves an entry out of sight in one step and then deletes it; false when a process has it in use. */
async function discard(cacheDir: string, name: string, unlessLeased: boolean): Promise<boolean> {
  const dir = join(cacheDir, name);
  const trash = join(cacheDir, `.trash-${randomBytes(8).toString('hex')}`);
  try {
    if (unlessLeased && (await isLeased(dir))) return false;
    await rename(dir, trash);
    if (unlessLeased && (await isLeased(trash))) {
      // Leased between the look and the rename.
      await rename(trash, dir);
      return false;
    }
  } catch (error) {
    // Another process discarded it first, or put a new one in its place.
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  await rm(trash, { recursive: true, force: true });
  return true;
}

/** Removes what processes that were killed left behind. */
async function sweep(cacheDir: string): Promise<void> {
  for (const name of await namesIn(cacheDir)) {
    const path = join(cacheDir, name);
    const builder = BUILDING.exec(name)?.[1];
    let gone = TRASH.test(name) || (builder !== undefined && ownerLives(builder) === false);
    if (!gone && (builder !== undefined || LOCK.test(name))) {
      // A folder that is just made is empty, or holds nothing but a link to old weights.
      const made = (await stat(path).catch(() => null))?.mtimeMs;
      const files = builder === undefined ? 0 : ((await measure(path))?.lastUsed ?? 0);
      const written = made === undefined ? undefined : Math.max(made, files);
      gone = written !== undefined && Date.now() - written > ABANDONED_MS;
    }
    if (gone) await rm(path, { recursive: true, force: true });
  }
}

/** @throws VersusError `infrastructure` when even an emptied cache leaves too little space. */
async function makeRoom(cacheDir: string, bytes: number): Promise<void> {
  const missing = bytes + DISK_RESERVE - (await freeBytes(cacheDir));
  if (missing > 0) {
    const { bytes: cached } = await cacheStatus(cacheDir);
    // What would not be enough anyway costs no entry.
    if (cached >= missing) await evict(cacheDir, cached - missing);
  }
  await requireSpace(cacheDir, bytes);
}

async function measure(dir: string): Promise<{ bytes: number; lastUsed: number } | null> {
  return measureEntry(dir).catch(() => null);
}

async function namesIn(dir: string): Promise<string[]> {
  return readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw writeFailure(dir, error);
  });
}
