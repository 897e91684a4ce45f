import type { Cell, Pass, Status } from '../core/record.ts';
import { keyOf, type PeakTarget } from './schedule.ts';

/** What a run says while it goes on. Whoever draws it decides how. */
export type RunEvent =
  | {
      readonly type: 'planned';
      readonly runId: string;
      readonly dir: string;
      readonly cells: readonly Cell[];
    }
  | ({ readonly type: 'begin' } & Step)
  | ({
      readonly type: 'end';
      readonly status: Status;
      readonly reason: string | null;
      readonly wallMs: number;
    } & Step)
  /** What the running process is busy with, when that takes long: `writing weights 40%`. */
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'warning'; readonly text: string };

export interface Step {
  readonly phase: 'peak' | Pass;
  /** case_id, or backend and precision of a peak. */
  readonly name: string;
  readonly round: number;
  readonly done: number;
  /** Processes of the whole run; falls when a check shows that a cell isn't worth timing. */
  readonly total: number;
  /** Until the end of the run; null before anything is known. */
  readonly etaMs: number | null;
}

/** One process to come. */
export interface Upcoming {
  readonly phase: Step['phase'];
  readonly name: string;
  readonly round: number;
}

export const peakStep = ({ backend, precision }: PeakTarget): Upcoming => ({
  phase: 'peak',
  name: `${backend} ${precision}`,
  round: 0,
});

const idOf = ({ phase, name, round }: Upcoming): string =>
  phase === 'peak' ? `peak ${name}` : keyOf({ pass: phase, case_id: name, round });

/** Counts processes and guesses how long the rest takes, from how long the same and similar ones took. */
export class Progress {
  readonly #pending = new Map<string, Upcoming>();
  readonly #times = new Map<string, { sum: number; n: number }>();
  #done = 0;

  expect(steps: Iterable<Upcoming>): void {
    for (const step of steps) this.#pending.set(idOf(step), step);
  }

  drop(steps: Iterable<Upcoming>): void {
    for (const step of steps) this.#pending.delete(idOf(step));
  }

  finish(step: Upcoming, wallMs: number): void {
    this.#pending.delete(idOf(step));
    this.#done++;
    for (const key of keysOf(step)) {
      const seen = this.#times.get(key) ?? { sum: 0, n: 0 };
      this.#times.set(key, { sum: seen.sum + wallMs, n: seen.n + 1 });
    }
  }

  step({ phase, name, round }: Upcoming): Step {
    return {
      phase,
      name,
      round,
      done: this.#done,
      total: this.#done + this.#pending.size,
      etaMs: this.#remaining(),
    };
  }

  #remaining(): number | null {
    if (this.#times.size === 0) return null;
    let sum = 0;
    for (const step of this.#pending.values()) {
      const key = keysOf(step).find((candidate) => this.#times.has(candidate));
      const { sum: total, n } = this.#times.get(key ?? '')!;
      sum += total / n;
    }
    return sum;
  }
}

/** From the most to the least telling: the same cell in the same pass, the same cell, the same pass, anything. */
function keysOf({ phase, name }: Upcoming): string[] {
  return [`${phase} ${name}`, `name ${name}`, `phase ${phase}`, ''];
}
