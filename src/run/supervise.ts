import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { reasonOf } from '../core/errors.ts';
import type { MemorySample, PhaseSamples } from '../core/record.ts';
import { judge, type Verdict } from './endings.ts';
import { oomKillCounter } from './oom.ts';
import type { Findings, FromWorker, Task, ToWorker, WorkerError } from './protocol.ts';
import { SampleStore } from './samples.ts';
import { Tail } from './tail.ts';
import type { MemoryTracker } from './trackers/memory.ts';

export interface Supervision {
  readonly timeoutMs: number;
  /** Ends the worker in good order: SIGTERM, then SIGKILL. */
  readonly signal?: AbortSignal | undefined;
  /** Ends it at once. */
  readonly hardSignal?: AbortSignal | undefined;
  readonly track?: ((pid: number) => MemoryTracker) | undefined;
  readonly onMessage?: ((message: FromWorker) => void) | undefined;
}

export interface Ending extends Verdict {
  readonly findings: Partial<Findings>;
  /** Whatever was measured, also when the worker then died. */
  readonly samples: readonly PhaseSamples[];
  readonly memory: MemorySample | null;
  readonly started: string;
  /** fork → ready. */
  readonly spawnMs: number | null;
  readonly wallMs: number;
  readonly stage: string;
}

/** How long a worker may take to leave once it was told to. */
const GRACE_MS = 3000;
const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));

/** Runs one task in a process of its own and says how it ended. Never throws for what the worker does. */
export async function supervise(task: Task, options: Supervision): Promise<Ending> {
  const started = new Date().toISOString();
  const t0 = performance.now();
  const oomBefore = oomKillCounter();
  const output = new Tail();
  const samples = new SampleStore();
  let findings: Partial<Findings> = {};
  let stage = 'starting';
  let spawnMs: number | null = null;
  let killed: 'timeout' | 'cancelled' | null = null;
  let error: WorkerError | null = null;
  let done = false;

  const child = startWorker(task.config.code?.worker);
  const tracker = child.pid !== undefined ? options.track?.(child.pid) : undefined;
  let stopped: Promise<MemorySample> | undefined;
  const stopTracker = (): Promise<MemorySample> | undefined => {
    stopped ??= tracker?.stop();
    return stopped;
  };
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => output.push(chunk));

  const limit = new Clock(options.timeoutMs, () => {
    killed ??= 'timeout';
    killGroup(child, 'SIGKILL');
  });
  const grace = new Clock(GRACE_MS, () => killGroup(child, 'SIGKILL'));
  const cancel = (): void => {
    killed ??= 'cancelled';
    killGroup(child, 'SIGTERM');
    grace.restart();
  };
  const cancelHard = (): void => {
    killed ??= 'cancelled';
    killGroup(child, 'SIGKILL');
  };

  const finish = async (): Promise<void> => {
    limit.stop();
    await stopTracker();
    send(child, { type: 'leave' });
    grace.restart();
  };
  const receive = (message: FromWorker): void => {
    options.onMessage?.(message);
    switch (message.type) {
      case 'ready':
        spawnMs = performance.now() - t0;
        tracker?.markBaseline();
        send(child, { type: 'go' });
        break;
      case 'stage':
        stage = message.name;
        limit.restart();
        break;
      case 'found':
        findings = { ...findings, ...message.findings, cold: { ...findings.cold, ...message.findings.cold } };
        break;
      case 'samples':
        samples.add(message.samples);
        break;
      case 'done':
      case 'error':
        // The first word counts: what goes wrong after it belongs to closing down.
        if (done || error) break;
        if (message.type === 'error') error = message.error;
        else done = true;
        void finish();
        break;
    }
  };
  child.on('message', (message) => {
    try {
      receive(message as FromWorker);
    } catch (problem) {
      // A plugin that talks over our channel costs its own case, not the run.
      receive({ type: 'error', error: intruder(problem) });
    }
  });
  options.signal?.addEventListener('abort', cancel);
  options.hardSignal?.addEventListener('abort', cancelHard);
  limit.restart();
  send(child, { type: 'task', task });
  if (options.signal?.aborted) cancel();

  const { exitCode, signal } = await ended(child, (problem) => output.push(Buffer.from(`${problem}\n`)));
  limit.stop();
  grace.stop();
  options.signal?.removeEventListener('abort', cancel);
  options.hardSignal?.removeEventListener('abort', cancelHard);
  // Whatever the worker itself started goes with it.
  killGroup(child, 'SIGKILL');
  const memory = (await stopTracker()) ?? null;

  const oomAfter = oomKillCounter();
  const verdict = judge({
    done,
    error,
    exitCode,
    signal,
    // A worker that was done before it was killed has said all there is.
    killed: done ? null : killed,
    timeoutMs: options.timeoutMs,
    stage,
    output: output.text(),
    oomKills: oomBefore === null || oomAfter === null ? null : oomAfter - oomBefore,
  });
  return {
    ...verdict,
    findings,
    samples: samples.all(),
    memory,
    started,
    spawnMs,
    wallMs: performance.now() - t0,
    stage,
  };
}

function intruder(problem: unknown): WorkerError {
  const message = `the worker sent what is no message of ours: ${reasonOf(problem)}`;
  return { kind: null, code: null, message, where: null, next: 'A plugin must not use process.send.' };
}

function startWorker(code: string | undefined): ChildProcess {
  return fork(code ?? WORKER, [], {
    // A group of its own: the terminal's Ctrl-C reaches only us, and we can end all that the worker started.
    detached: true,
    execArgv: code ? [] : ['--import', new URL('../loader.mjs', import.meta.url).href],
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}

function send(child: ChildProcess, message: ToWorker): void {
  // A worker that has died meanwhile is noticed by its exit.
  if (child.connected) child.send(message, () => {});
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    child.kill(signal);
  }
}

interface Exit {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** Resolves when the process is gone and its output is read, or soon after when something else holds the pipes open. */
function ended(child: ChildProcess, onError: (problem: string) => void): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('error', (problem) => {
      onError(`the worker could not be run: ${problem.message}`);
      if (child.pid === undefined) resolve({ exitCode: null, signal: null });
    });
    child.once('exit', (exitCode, signal) => {
      const late = setTimeout(() => resolve({ exitCode, signal }), 500);
      child.once('close', () => {
        clearTimeout(late);
        resolve({ exitCode, signal });
      });
    });
  });
}

/** A timeout that can be started again. */
class Clock {
  readonly #ms: number;
  readonly #onEnd: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, onEnd: () => void) {
    this.#ms = ms;
    this.#onEnd = onEnd;
  }

  restart(): void {
    this.stop();
    this.#timer = setTimeout(this.#onEnd, this.#ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
