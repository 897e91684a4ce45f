import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';

const Remembered = z.object({ fingerprint: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });

/** Folder of the cache that remembers hashes. */
export const HASHES = 'hashes';
/** A file changed so recently could change again within the clock's tick, unnoticed. */
const SETTLED_MS = 2000;

/**
 * SHA-256 of a file's content, hex. With `cacheDir` the hash of an unchanged file (same path, size, inode, modification and
 * change time) is remembered, so that gigabytes are read once.
 */
export async function hashFile(path: string, cacheDir?: string): Promise<string> {
  const real = await realpath(path);
  const before = await fingerprintOf(real);
  if (cacheDir !== undefined) {
    const known = await recall(cacheDir, before.text);
    if (known) return known;
  }
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(real, { highWaterMark: 4 << 20 })) hash.update(chunk as Buffer);
  const sha256 = hash.digest('hex');
  const settled = Date.now() - before.modifiedMs > SETTLED_MS;
  if (cacheDir !== undefined && settled && (await fingerprintOf(real)).text === before.text) {
    await remember(cacheDir, before.text, sha256);
  }
  return sha256;
}

/** A hash that is costly to compute and stays the same while `fingerprint` does. */
export async function remembered(
  cacheDir: string,
  fingerprint: string,
  compute: () => Promise<string>,
): Promise<string> {
  const known = await recall(cacheDir, fingerprint);
  if (known) return known;
  const sha256 = await compute();
  await remember(cacheDir, fingerprint, sha256);
  return sha256;
}

async function fingerprintOf(path: string): Promise<{ text: string; modifiedMs: number }> {
  const s = await stat(path, { bigint: true });
  return {
    text: [path, s.dev, s.ino, s.size, s.mtimeNs, s.ctimeNs].join(':'),
    modifiedMs: Number(s.mtimeMs > s.ctimeMs ? s.mtimeMs : s.ctimeMs),
  };
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
