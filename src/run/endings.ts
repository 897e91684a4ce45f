import { oneLine } from '../core/errors.ts';
import type { Status } from '../core/record.ts';
import type { WorkerError } from './protocol.ts';

/** What the parent saw of a process that has ended. */
export interface Observed {
  /** The worker said that it was done. */
  readonly done: boolean;
  readonly error: WorkerError | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Why we killed it ourselves, if we did. */
  readonly killed: 'timeout' | 'cancelled' | null;
  readonly timeoutMs: number;
  /** What it was doing, as it last said. */
  readonly stage: string;
  /** End of what it wrote to stderr and stdout. */
  readonly output: string;
  /** Processes that the kernel killed for memory meanwhile; null when that cannot be read. */
  readonly oomKills: number | null;
}

export interface Verdict {
  readonly status: Extract<
    Status,
    'ok' | 'unsupported' | 'failed' | 'timeout' | 'crashed' | 'oom' | 'cancelled'
  >;
  readonly reason: string | null;
}

/** How allocators say that there is no memory: V8, libstdc++, onnxruntime's arena, array buffers, worker threads. */
const OUT_OF_MEMORY =
  /bad_alloc|bad allocation|out of memory|failed to allocate memory|Array buffer allocation failed|ERR_WORKER_OUT_OF_MEMORY|ENOMEM/i;

/** Turns the end of a process into a status and a reason that a person can act on. */
export function judge(seen: Observed): Verdict {
  if (seen.killed === 'cancelled') return { status: 'cancelled', reason: `stopped while ${seen.stage}` };
  if (seen.killed === 'timeout') {
    return {
      status: 'timeout',
      reason: `killed after ${seconds(seen.timeoutMs)} without coming to an end while ${seen.stage}`,
    };
  }
  if (seen.done) return { status: 'ok', reason: null };
  if (seen.error) return judgeError(seen.error, seen.stage);
  if (OUT_OF_MEMORY.test(seen.output)) {
    return { status: 'oom', reason: withOutput(`out of memory while ${seen.stage}`, seen.output) };
  }
  if (seen.signal === 'SIGKILL') return { status: 'oom', reason: killedReason(seen) };
  if (seen.signal !== null) {
    return { status: 'crashed', reason: withOutput(`${seen.signal} while ${seen.stage}`, seen.output) };
  }
  return {
    status: 'crashed',
    reason: withOutput(
      `the process ended by itself (exit code ${seen.exitCode}) while ${seen.stage}`,
      seen.output,
    ),
  };
}

function judgeError(error: WorkerError, stage: string): Verdict {
  const place = error.where ? ` (${error.where})` : '';
  const text = `${error.message}${place}${error.next ? `; next: ${error.next}` : ''}`;
  if (error.kind === 'unsupported') return { status: 'unsupported', reason: oneLine(text) };
  if (OUT_OF_MEMORY.test(error.message) || (error.code !== null && OUT_OF_MEMORY.test(error.code))) {
    return { status: 'oom', reason: oneLine(`out of memory while ${stage}: ${text}`) };
  }
  return { status: 'failed', reason: oneLine(text) };
}

function killedReason({ stage, oomKills }: Observed): string {
  if (oomKills === null) return `killed by the system while ${stage}, most likely out of memory`;
  if (oomKills > 0) return `killed by the system while ${stage}: out of memory`;
  return `killed (SIGKILL) while ${stage}, most likely out of memory, though the kernel counted no such kill`;
}

const seconds = (ms: number): string => `${Number((ms / 1000).toPrecision(3))} s`;

/** Stack frames and rulers that Node and V8 print below the line that matters. */
const NOISE = /^(at |\d+: |-{3,}|<--- |#)/;

/** The last lines that say something, bounded: they go into every report. */
function withOutput(reason: string, output: string): string {
  const lines = output
    .split('\n')
    .map(oneLine)
    .filter((line) => line !== '' && !NOISE.test(line));
  const tail = lines.slice(-3).join(' | ').slice(-500);
  return tail === '' ? reason : `${reason}: ${tail}`;
}
