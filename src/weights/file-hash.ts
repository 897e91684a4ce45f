import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, realpath, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const Remembered = z.object({ fingerprint: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });

/** A file changed so recently could change again within the clock's tick, unnoticed. */
const SETTLED_MS = 2000;

/**
 * SHA-256 of a file's content, hex. With `cacheDir` the hash of an unchanged file (same path, size, inode, modification and
 * change time) is remembered, so that gigabytes are read once.
 */
export async function hashFile(path: string, cacheDir?: string): Promise<string> {
  const real = await realpath(path);
  const before = await fingerprintOf(real);
  const memo =
    cacheDir === undefined
      ? null
      : join(cacheDir, 'hashes', `${createHash('sha256').update(real).digest('hex').slice(0, 32)}.json`);
  if (memo) {
    const known = await recall(memo);
    if (known?.fingerprint === before.text) return known.sha256;
  }
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(real, { highWaterMark: 4 << 20 })) hash.update(chunk as Buffer);
  const sha256 = hash.digest('hex');
  const settled = Date.now() - before.modifiedMs > SETTLED_MS;
  if (memo && settled && (await fingerprintOf(real)).text === before.text) {
    await remember(memo, { fingerprint: before.text, sha256 });
  }
  return sha256;
}

async function fingerprintOf(path: string): Promise<{ text: string; modifiedMs: number }> {
  const s = await stat(path, { bigint: true });
  return {
    text: [s.dev, s.ino, s.size, s.mtimeNs, s.ctimeNs].join(':'),
    modifiedMs: Number(s.mtimeMs > s.ctimeMs ? s.mtimeMs : s.ctimeMs),
  };
}

async function recall(memo: string): Promise<z.infer<typeof Remembered> | null> {
  try {
    return Remembered.parse(JSON.parse(await readFile(memo, 'utf8')));
  } catch {
    return null;
  }
}

async function remember(memo: string, value: z.infer<typeof Remembered>): Promise<void> {
  const temporary = `${memo}.${process.pid}-${randomBytes(4).toString('hex')}`;
  await mkdir(join(memo, '..'), { recursive: true });
  await writeFile(temporary, JSON.stringify(value));
  await rename(temporary, memo);
}
