import type { Device, Placement, Traffic } from './backend.ts';
import type { Growth } from './growth.ts';
import type { Metric, Score } from './workload.ts';

/** Version of the record lines and of the CSV columns. */
export const SCHEMA_VERSION = 1;

/**
 * What became of a case. `ok` is valid; `invalid` disagrees with the reference or ran partly elsewhere; `correctness-only`
 * ran on a software adapter, so parity holds but speed means nothing; the others say how it failed.
 */
export const STATUSES = [
  'ok',
  'invalid',
  'correctness-only',
  'unsupported',
  'unavailable',
  'failed',
  'timeout',
  'crashed',
  'oom',
  'cancelled',
] as const;
export type Status = (typeof STATUSES)[number];

/**
 * - `reference`: writes the reference outputs of a cell; - `check`: parity and placement, once per cell before any timing;
 * - `speed`: one round of timing; - `memory`: one process watched from outside, nothing timed.
 */
export const PASSES = ['reference', 'check', 'speed', 'memory'] as const;
export type Pass = (typeof PASSES)[number];

/** What is measured: suite × workload × arm × backend × precision × batch. Plain JSON. */
export interface Cell {
  /** `suite/workload/arm/backend/precision/bBATCH`; stable across runs, so that runs can be compared. */
  readonly case_id: string;
  readonly suite: string;
  readonly workload: string;
  readonly arm: string;
  readonly group: string | null;
  readonly model: string;
  readonly backend: string;
  readonly precision: string;
  readonly batch: number;
  /** The arm's own params as JSON; left out where it has none. */
  readonly settings?: string;
}

/** A cell in one pass and round: one process. */
export interface Case extends Cell {
  readonly pass: Pass;
  /** 0-based. */
  readonly round: number;
}

/** Timed steps of one phase in time order. `rep[i]` is the repetition that step i belongs to. */
export interface PhaseSamples {
  readonly phase: string;
  /** Milliseconds. */
  readonly ms: readonly number[];
  readonly items: readonly number[];
  readonly rep: readonly number[];
}

/** Bytes; null where it could not be known, never 0. */
export interface MemorySample {
  /** Resident set when the worker was ready and had opened nothing. */
  readonly baseline_rss: number | null;
  readonly peak_rss: number | null;
  /** peak − baseline. */
  readonly difference_rss: number | null;
  /** The GPU's memory of this process, by nvidia-smi. */
  readonly peak_gpu: number | null;
  /** Where the figures came from: `proc` (/proc, every 10 ms, and VmHWM), `ps`. */
  readonly method: string;
  readonly interval_ms: number;
  readonly observations: number;
}

export interface Parity {
  readonly agrees: boolean;
  readonly tolerance: number;
  /** Largest |a − b| ÷ max(1, max |reference|) over all outputs. */
  readonly max_rel: number;
  readonly max_abs: number;
  readonly cosine: number;
  /** The output that differs most. */
  readonly worst: string;
  /** Share of rows whose largest logit agrees, where an output is called logits; else null. */
  readonly top1: number | null;
  readonly reference: string;
}

/** Exact properties of a cell's model. */
export interface Facts {
  readonly parameters: number | null;
  /** Of one repetition. */
  readonly macs: number | null;
  readonly nodes: number | null;
  readonly weight_bytes: number | null;
  readonly weights: string | null;
  readonly trained: boolean;
  /** Height in pixels of the images that it was fed; left out or null for models without images. */
  readonly image_size?: number | null;
  /** What the workload itself counts, by metric. */
  readonly told?: Readonly<Record<string, number>>;
}

/** Cold phases in milliseconds, null where not reached. */
export interface ColdPhases {
  /** fork → worker ready. */
  readonly spawn: number | null;
  /** Artifact generated (or found in the cache). */
  readonly build: number | null;
  /** Sessions opened. */
  readonly load: number | null;
  /** First repetition. */
  readonly first: number | null;
}

/** First line of records.jsonl. */
export interface RunRecord {
  readonly type: 'run';
  readonly schema_version: number;
  readonly run_id: string;
  readonly started: string;
  readonly versus: string;
  readonly profile: string;
  readonly argv: readonly string[];
  readonly git: { readonly commit: string; readonly dirty: boolean } | null;
  readonly environment: Environment;
  /** Every planned cell, so that a report can say what is missing. */
  readonly plan: readonly Cell[];
  readonly rounds: number;
  readonly suites: readonly SuiteInfo[];
  /** Backends that could have taken part, as they were found; left out by versions before it was recorded. */
  readonly backends?: readonly ProbedBackend[];
}

/** What became of asking a backend whether it runs here. */
export interface ProbedBackend {
  readonly name: string;
  readonly available: boolean;
  readonly version: string | null;
  readonly device: Device | null;
  /** Why it is not available, and the step that would make it so. */
  readonly reason: string | null;
  readonly fix: string | null;
}

/** What a report needs to know of a suite, so that it can be rebuilt without the config. */
export interface SuiteInfo {
  readonly name: string;
  readonly question: string;
  readonly headline: readonly string[];
  readonly contrasts: readonly (readonly [string, string])[];
  /** Metrics by workload name. */
  readonly metrics: Readonly<Record<string, readonly Metric[]>>;
  /** Of arms that need something of a backend: the backends of the config that have it, by arm. */
  readonly only?: Readonly<Record<string, readonly string[]>>;
  /** Which arms are one contender at several sizes; left out where there are none. */
  readonly growth?: Growth;
}

export interface Environment {
  readonly os: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memory_bytes: number;
  readonly node: string;
  readonly gpus: readonly string[];
  /** Equal fingerprints mean that timings may be compared. */
  readonly fingerprint: string;
  /** Things that make timings unsure: load at start, CPU governor, running on battery, a virtual machine. */
  readonly warnings: readonly string[];
}

/** One process: appended when it ends, however it ends. */
export interface CaseRecord extends Case {
  readonly type: 'case';
  readonly schema_version: number;
  readonly run_id: string;
  readonly status: Status;
  readonly reason: string | null;
  readonly device: Device | null;
  readonly backend_version: string | null;
  readonly options: Readonly<Record<string, string | number | boolean | null>> | null;
  readonly model_sha256: string | null;
  readonly started: string;
  readonly wall_ms: number;
  readonly cold: ColdPhases;
  readonly samples: readonly PhaseSamples[];
  readonly memory: MemorySample | null;
  readonly parity: Parity | null;
  readonly placement: Placement | null;
  /** Bytes between host and sessions while the check's outputs were computed; left out or null where nobody counted. */
  readonly traffic?: Traffic | null;
  readonly facts: Facts | null;
  readonly scores: readonly Score[];
}

/** Achieved peak of a backend on this machine, in GFLOP/s. */
export interface PeakRecord {
  readonly type: 'peak';
  readonly schema_version: number;
  readonly run_id: string;
  readonly backend: string;
  readonly precision: string;
  readonly gflops: number | null;
  readonly reason: string | null;
}

/** Last line of a run that came to its end, or was stopped in good order. */
export interface EndRecord {
  readonly type: 'end';
  readonly schema_version: number;
  readonly run_id: string;
  readonly finished: string;
  readonly outcome: 'complete' | 'interrupted' | 'stopped';
  readonly reason: string | null;
}

export type RecordLine = RunRecord | CaseRecord | PeakRecord | EndRecord;
