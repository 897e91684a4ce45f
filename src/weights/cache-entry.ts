import { rmSync } from 'node:fs';
import { readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { OWNER, ownerLives } from './owner.ts';

/** A lease of another host can't be asked for its process; it ends by age. */
const FOREIGN_LEASE_MS = 24 * 3600_000;
const MANIFEST = 'manifest.json';
const USED = 'used';
const LEASE = /^lease-(.+)$/;

const Manifest = z.object({
  version: z.literal(2),
  /** Identity of graphs and weights on this machine; the folder's name is its beginning. */
  key: z.string().regex(/^[0-9a-f]{64}$/),
  model: z.string(),
  precision: z.string(),
  weights: z.object({ id: z.string(), content: z.string().min(1), label: z.string(), trained: z.boolean() }),
  /** Bytes by file name. */
  files: z.record(z.string().regex(/^[^/\\]+$/), z.number().int().nonnegative()),
});
/** What a cache entry holds; written last, so that its presence says that the rest was written. */
export type Manifest = z.infer<typeof Manifest>;

export async function writeManifest(dir: string, manifest: Manifest): Promise<void> {
  await writeFile(join(dir, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`, { flush: true });
}

/**
 * Takes an entry into use: leases it for the life of this process, marks it as just used, and returns its manifest.
 * Null when there is none, it is damaged (a file is missing or has another size), or another version wrote it.
 */
export async function useEntry(dir: string, key: string): Promise<Manifest | null> {
  // Lease first, check after: an eviction that runs meanwhile sees the lease.
  await lease(dir);
  try {
    const manifest = Manifest.parse(JSON.parse(await readFile(join(dir, MANIFEST), 'utf8')));
    if (manifest.key !== key) return null;
    for (const [file, size] of Object.entries(manifest.files)) {
      if ((await stat(join(dir, file))).size !== size) return null;
    }
    return manifest;
  } catch {
    return null;
  }
}

/** Leases that this process holds. */
const held = new Set<string>();

function releaseAll(): void {
  for (const path of held) rmSync(path, { force: true });
}

async function lease(dir: string): Promise<void> {
  const path = join(dir, `lease-${OWNER}`);
  try {
    await writeFile(path, '');
    // A process that is killed doesn't get here; whoever evicts sees that it is gone.
    if (held.size === 0) process.once('exit', releaseAll);
    held.add(path);
    await writeFile(join(dir, USED), '', { flag: 'a' });
    const now = new Date();
    await utimes(join(dir, USED), now, now);
  } catch {
    // No such entry yet, or a cache that is mounted read-only: then nothing is evicted either.
  }
}

/** Whether a running process has the entry in use. Leases of processes that ended are removed. */
export async function isLeased(dir: string): Promise<boolean> {
  let leased = false;
  for (const file of await readdir(dir)) {
    const owner = LEASE.exec(file)?.[1];
    if (owner === undefined) continue;
    const path = join(dir, file);
    const lives = ownerLives(owner) ?? Date.now() - (await stat(path)).mtimeMs < FOREIGN_LEASE_MS;
    if (lives) leased = true;
    else await rm(path, { force: true });
  }
  return leased;
}

export interface EntrySize {
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly lastUsed: number;
}

/** What an entry (or what is left of one) takes on the disk, and when it was used last. */
export async function measureEntry(dir: string): Promise<EntrySize> {
  let bytes = 0;
  let newest = 0;
  let used: number | undefined;
  for (const file of await readdir(dir)) {
    const info = await stat(join(dir, file)).catch(() => null);
    if (!info) continue;
    bytes += info.size;
    newest = Math.max(newest, info.mtimeMs);
    if (file === USED) used = info.mtimeMs;
  }
  return { bytes, lastUsed: used ?? newest };
}
