import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Availability, Device } from '../../core/backend.ts';
import { reasonOf } from '../../core/errors.ts';
import type { EngineName } from './engine.ts';

const CHILD = fileURLToPath(new URL('./probe-child.ts', import.meta.url));
const LOADER = new URL('../../loader.mjs', import.meta.url).href;
/** A software adapter compiles the probe's shaders in a second; a driver that hangs is cut off here. */
const TIMEOUT_MS = 60_000;

const run = promisify(execFile);
const known = new Map<EngineName, Promise<Availability>>();

/** What the child says, as one line of JSON. */
export type ProbeAnswer =
  | { readonly version: string; readonly device: Device }
  | { readonly reason: string; readonly fix: string | null };

/**
 * Proves an engine by a convolution and a product on it, in a process apart: drivers abort and hang, and tfjs keeps what it
 * loaded. The answer is kept for the life of the process.
 */
export function probe(engine: EngineName): Promise<Availability> {
  let answer = known.get(engine);
  if (!answer) {
    answer = probeApart(engine);
    known.set(engine, answer);
  }
  return answer;
}

async function probeApart(engine: EngineName): Promise<Availability> {
  const unavailable = (reason: string, fix: string | null = null): Availability => ({
    available: false,
    version: null,
    reason,
    fix,
  });
  try {
    const { stdout } = await run(process.execPath, ['--import', LOADER, CHILD, engine], {
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      maxBuffer: 4 << 20,
    });
    const answer = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as ProbeAnswer;
    if ('reason' in answer) return unavailable(answer.reason, answer.fix);
    return { available: true, ...answer, precisions: ['fp32'] };
  } catch (error) {
    return unavailable(ending(error));
  }
}

/** How the child ended: killed by a signal, out of time, or with a message. */
function ending(error: unknown): string {
  const failure = error as { killed?: boolean; signal?: string; stderr?: string };
  if (failure.killed) return `the driver did not answer within ${TIMEOUT_MS / 1000} s`;
  if (failure.signal) return `the driver crashed (${failure.signal}) while it computed a convolution`;
  return failure.stderr?.trim().split('\n').at(-1) || reasonOf(error);
}
