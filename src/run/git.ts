import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { RunRecord } from '../core/record.ts';

/** The commit that a folder is at, and whether files differ from it; null where git cannot say. */
export async function readRevision(dir: string): Promise<RunRecord['git']> {
  const git = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('git', args, { cwd: dir, timeout: 10_000, maxBuffer: 1 << 24 })).stdout.trim();
  try {
    const commit = await git('rev-parse', 'HEAD');
    return { commit, dirty: (await git('status', '--porcelain', '--untracked-files=no')) !== '' };
  } catch {
    return null;
  }
}
