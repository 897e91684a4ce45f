import type { Code } from '../code/index.mjs';
import type { Availability } from '../core/backend.ts';
import type { Profile } from '../core/config.ts';
import type { ErrorKind } from '../core/errors.ts';
import type { Case, CaseRecord, ColdPhases, PhaseSamples } from '../core/record.ts';

/** What a worker needs to find its plugins: they are values in modules, so only the way to them can be sent. */
export interface ConfigAddress {
  /** Absolute path of the config file. */
  readonly path: string;
  /** The same and the worker as JavaScript; none: from their sources. */
  readonly code?: Code | null;
}

/** One process's work. */
export type Task =
  | { readonly kind: 'probe'; readonly config: ConfigAddress; readonly backends: readonly string[] }
  /** Which of these backends open what the case's own does not. */
  | {
      readonly kind: 'support';
      readonly config: ConfigAddress;
      readonly case: Case;
      readonly backends: readonly string[];
    }
  | {
      readonly kind: 'peak';
      readonly config: ConfigAddress;
      readonly profile: Profile;
      readonly backend: string;
      readonly precision: string;
    }
  | {
      readonly kind: 'case';
      readonly config: ConfigAddress;
      readonly profile: Profile;
      readonly case: Case;
      /** Where the reference pass writes and the check pass reads the reference outputs. */
      readonly reference: string;
      /** Quality is worth the time (`Plan.unscored`). */
      readonly score: boolean;
    };

/** Everything that a worker may find out, in pieces, as soon as it is known. */
export type Findings = Pick<
  CaseRecord,
  'options' | 'model_sha256' | 'parity' | 'placement' | 'traffic' | 'facts' | 'scores'
> & {
  readonly cold: Partial<ColdPhases>;
  /** Set when the case ran to its end but does not count. */
  readonly invalid: string | null;
  /** Of a peak task. */
  readonly gflops: number | null;
};

/** An error on its way from the worker. */
export interface WorkerError {
  readonly kind: ErrorKind | null;
  readonly code: string | null;
  readonly message: string;
  readonly where: string | null;
  readonly next: string | null;
}

export type ToWorker =
  | { readonly type: 'task'; readonly task: Task }
  /** The parent has seen `ready`: begin. */
  | { readonly type: 'go' }
  /** The parent has what it needs: leave. */
  | { readonly type: 'leave' };

export type FromWorker =
  /** The config is loaded and nothing is opened: the memory baseline. */
  | { readonly type: 'ready' }
  /** A new stage begins; each has the case's whole time limit. */
  | { readonly type: 'stage'; readonly name: string }
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'probed'; readonly backend: string; readonly availability: Availability }
  | { readonly type: 'supports'; readonly backend: string }
  | { readonly type: 'found'; readonly findings: Partial<Findings> }
  /** Samples since the last message of this type. */
  | { readonly type: 'samples'; readonly samples: readonly PhaseSamples[] }
  | { readonly type: 'done' }
  | { readonly type: 'error'; readonly error: WorkerError };
