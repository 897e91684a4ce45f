import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { VersusError } from '../../src/core/errors.ts';
import type { Known } from './backends.ts';
import type { Task } from './child.ts';
import type { Outcome } from './outcome.ts';

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));
/** As the command line has it. */
const LOADER = new URL('../../src/loader.mjs', import.meta.url).href;
/** How many tasks before a death are tried again when the last one alone does not repeat it. */
const REMEMBERED = 40;

export interface PoolOptions {
  /** A task that takes longer counts as a death; the first use of a graph on a software GPU compiles for seconds. */
  readonly timeoutMs?: number;
  /** A child is replaced after so many tasks, so that what a runtime leaks can't add up. */
  readonly tasksPerChild?: number;
}

/** All backends of a config file and whether each runs here, asked in a process of its own. */
export function askBackends(config: string): Promise<Known[]> {
  const child = fork(CHILD, [config], {
    execArgv: ['--import', LOADER],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    child.once('message', (known: Known[]) => {
      resolve(known);
      child.disconnect();
    });
    child.once('exit', (code) =>
      reject(new VersusError('infrastructure', `backends can't be probed (${code})`)),
    );
  });
}

/** Runs models on one backend in a child process, and survives the child's death. */
export class BackendProcess {
  readonly #config: string;
  readonly #backend: string;
  readonly #timeout: number;
  readonly #most: number;
  #child: ChildProcess | null = null;
  #recent: Task[] = [];
  #done = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(config: string, backend: string, options: PoolOptions = {}) {
    this.#config = config;
    this.#backend = backend;
    this.#timeout = options.timeoutMs ?? 120_000;
    this.#most = options.tasksPerChild ?? 4000;
  }

  /**
   * One model, after those that were asked for before it. A death is put to the test in a fresh process: the message says
   * whether this model alone does it or only after others.
   */
  run(task: Task): Promise<Outcome> {
    const next = this.#tail.then(() => this.#confirmed(task));
    this.#tail = next.catch(() => {});
    return next;
  }

  async close(): Promise<void> {
    await this.#tail;
    this.#stop();
  }

  async #confirmed(task: Task): Promise<Outcome> {
    if (++this.#done % this.#most === 0) this.#stop();
    const before = this.#recent;
    const outcome = await this.#once(task);
    if (outcome.is !== 'death') {
      this.#recent = [...before.slice(1 - REMEMBERED), task];
      return outcome;
    }
    const again = await this.#once(task);
    if (again.is === 'death') return again;
    // The death came late: one of the models before it is guilty, or only their sequence is.
    for (const earlier of before) {
      const alone = await this.#once(earlier);
      if (alone.is === 'death')
        return { is: 'death', message: `${alone.message} (by a model that ran before)` };
    }
    const repeated = await this.#once(task);
    return repeated.is === 'death'
      ? { is: 'death', message: `${repeated.message} (only after ${before.length} other models)` }
      : again;
  }

  async #once(task: Task): Promise<Outcome> {
    const child = this.#child ?? (await this.#start());
    return new Promise((resolve) => {
      const finish = (outcome: Outcome): void => {
        clearTimeout(timer);
        child.removeAllListeners('message').removeAllListeners('exit');
        if (outcome.is === 'death') {
          this.#stop();
          this.#recent = [];
        }
        resolve(outcome);
      };
      const timer = setTimeout(
        () => finish({ is: 'death', message: `no answer within ${this.#timeout / 1000} s` }),
        this.#timeout,
      );
      child.once('message', (outcome: Outcome) => finish(outcome));
      child.once('exit', (code, signal) =>
        finish({ is: 'death', message: `the process ended with ${signal ?? `code ${code}`}` }),
      );
      child.send(task);
    });
  }

  #start(): Promise<ChildProcess> {
    const child = fork(CHILD, [this.#config, this.#backend], {
      serialization: 'advanced',
      execArgv: ['--import', LOADER],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let stderr = '';
    child.stderr!.on('data', (text: Buffer) => {
      stderr = (stderr + text.toString()).slice(-2000);
    });
    return new Promise((resolve, reject) => {
      child.once('message', () => {
        child.removeAllListeners('exit');
        this.#child = child;
        resolve(child);
      });
      child.once('exit', (code) => {
        const why = stderr.trim() || `code ${code}`;
        reject(new VersusError('infrastructure', `the process of ${this.#backend} does not start: ${why}`));
      });
    });
  }

  #stop(): void {
    this.#child?.removeAllListeners();
    this.#child?.on('error', () => {});
    this.#child?.kill('SIGKILL');
    this.#child = null;
  }
}
