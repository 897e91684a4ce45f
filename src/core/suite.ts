import type { Precision } from './backend.ts';
import type { Growth } from './growth.ts';
import type { ModelDef } from './model.ts';
import type { Workload } from './workload.ts';

/** Ordered by cost: what is in one of them is also in those after it. */
export const TIERS = ['smoke', 'overview', 'default', 'release'] as const;
export type Tier = (typeof TIERS)[number];

/** One contender of a suite. */
export interface Arm {
  readonly name: string;
  readonly model: ModelDef;
  /** What it stands for in the charts: `CNN`, `transformer`, `VLM`, `LLM`. */
  readonly group?: string;
  /** From which tier on it takes part; `default` when left out. */
  readonly tier?: Tier;
  /** Up to which tier it takes part, where a dearer arm says the same better from the next one on; all when left out. */
  readonly until?: Tier;
  /** Left to the backends that are asked for everything: on others it would say again what another arm says. */
  readonly mainBackendsOnly?: true;
  /**
   * What a backend must have (`Backend.openAutograd`); others are never asked. A backend that has it is asked for the arm and for
   * what it is contrasted with, however little else of the suite it is asked for.
   */
  readonly needs?: 'autograd';
  /**
   * What it sets in the params of every workload, over those of the use: how it differs from other arms with the same model.
   * Plain JSON; it is recorded.
   */
  readonly params?: Readonly<Record<string, unknown>>;
  /**
   * The most rounds, of timing and of memory, that profiles below `release` give it: for what a run costs too much of to be asked
   * as often as the rest. Fewer than six give no interval, and the report says so.
   */
  readonly rounds?: number;
}

/** A workload as a suite uses it. */
export interface Use<P = unknown> {
  readonly workload: Workload<P>;
  readonly params: P;
  readonly batches: readonly { readonly size: number; readonly tier?: Tier }[];
  /** Names of the arms that it applies to; all when left out. */
  readonly arms?: readonly string[];
}

/** A question, its contenders and how it is asked. */
export interface Suite {
  readonly name: string;
  /** In words, as the report prints it. */
  readonly question: string;
  readonly arms: readonly Arm[];
  // biome-ignore lint/suspicious/noExplicitAny: each use has params of its own workload's type
  readonly uses: readonly Use<any>[];
  /** Runs that name nothing ask it for its tier `overview` alone (`Profile.unnamed`); without this, for all of the profile's. */
  readonly overview?: true;
  /** fp32 when left out, or what the user names on the command line. */
  readonly precisions?: readonly Precision[];
  /** Metrics that the report leads with, most important first. */
  readonly headline: readonly string[];
  /** Pairs of arms whose ratio the report states; the first against all others when left out. */
  readonly contrasts?: readonly (readonly [string, string])[];
  /** Where arms are contenders at several sizes: which are whose, so that the report fits how costs grow. */
  readonly growth?: Growth;
}
