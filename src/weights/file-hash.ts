import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { COARSE_TICK_MS, fileState } from './file-state.ts';

const Remembered = z.object({ fingerprint: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });

/** Folder of the cache that remembers hashes. */
export const HASHES = 'hashes';
const PIECE_BYTES = 1 << 20;

/**
 * SHA-256 of a file's content, hex. With `cacheDir` the hash of an unchanged file (same path, size, inode, modification and
 * change time) is remembered, so that gigabytes are read once.
 */
export async function hashFile(path: string, cacheDir?: string): Promise<string> {
  const before = await fileState(path);
  if (cacheDir !== undefined) {
    const known = await recall(cacheDir, before.text);
    if (known) return known;
  }
  const sha256 = await digestOf(path);
  // A file changed so recently could change again within the clock's tick, unnoticed.
  const settled = Date.now() - before.changedMs > COARSE_TICK_MS;
  if (cacheDir !== undefined && settled && (await fileState(path)).text === before.text) {
    await remember(cacheDir, before.text, sha256);
  }
  return sha256;
}

/** Reads one piece while the one before is hashed. */
async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(path, 'r');
  try {
    const buffers = [Buffer.allocUnsafe(PIECE_BYTES), Buffer.allocUnsafe(PIECE_BYTES)];
    const readAt = (at: number, turn: number) => handle.read(buffers[turn % 2]!, 0, PIECE_BYTES, at);
    let { bytesRead } = await readAt(0, 0);
    for (let at = bytesRead, turn = 1; bytesRead > 0; turn++) {
      const next = readAt(at, turn);
      hash.update(buffers[(turn - 1) % 2]!.subarray(0, bytesRead));
      ({ bytesRead } = await next);
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}

function memoOf(cacheDir: string, fingerprint: string): string {
  const name = createHash('sha256').update(fingerprint).digest('hex').slice(0, 32);
  return join(cacheDir, HASHES, `${name}.json`);
}

async function recall(cacheDir: string, fingerprint: string): Promise<string | null> {
  try {
    const known = Remembered.parse(JSON.parse(await readFile(memoOf(cacheDir, fingerprint), 'utf8')));
    return known.fingerprint === fingerprint ? known.sha256 : null;
  } catch {
    return null;
  }
}

/** A cache that can't be written costs time, never the result. */
async function remember(cacheDir: string, fingerprint: string, sha256: string): Promise<void> {
  const memo = memoOf(cacheDir, fingerprint);
  const temporary = `${memo}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await mkdir(dirname(memo), { recursive: true });
    await writeFile(temporary, JSON.stringify({ fingerprint, sha256 }));
    await rename(temporary, memo);
  } catch {
    await rm(temporary, { force: true }).catch(() => {});
  }
}
