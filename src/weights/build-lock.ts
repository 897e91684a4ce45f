import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { OWNER, ownerLives } from './owner.ts';

const HEARTBEAT_MS = 5_000;
const STALE_MS = 30_000;
const POLL_MS = 100;

/**
 * Lets one process build while others wait for what it builds. It saves work and nothing else: whoever breaks or misses it
 * builds a second time and the renames still leave one whole result.
 *
 * @param ready asked after every wait; the first value that isn't null ends the waiting
 * @returns that value, or the release function of a lock that is now ours
 */
export async function lockOrWait<T>(
  path: string,
  ready: () => Promise<T | null>,
  waiting: () => void,
): Promise<{ found: T } | { release: () => Promise<void> }> {
  for (;;) {
    try {
      await writeFile(path, OWNER, { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (await isStale(path)) {
      await rm(path, { force: true });
      continue;
    }
    waiting();
    await sleep(POLL_MS);
    const found = await ready();
    if (found !== null) return { found };
  }
  const beat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, HEARTBEAT_MS);
  beat.unref();
  return {
    release: async () => {
      clearInterval(beat);
      await rm(path, { force: true });
    },
  };
}

async function isStale(path: string): Promise<boolean> {
  try {
    const [owner, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    return ownerLives(owner) === false || Date.now() - mtimeMs > STALE_MS;
  } catch {
    // It was released meanwhile.
    return false;
  }
}
