import type { CaseRecord, Cell, EndRecord, PeakRecord, RunRecord, Status } from './record.ts';
import type { LearningPoint } from './workload.ts';

/** The columns of the long CSV, in this order. */
export const COLUMNS = [
  'schema_version',
  'run_id',
  'suite',
  'case_id',
  'arm',
  'model',
  'backend',
  'device',
  'precision',
  'batch',
  'phase',
  'metric',
  'unit',
  'better',
  'n',
  'rounds',
  'value',
  'ci_lo',
  'ci_hi',
  'ci_method',
  'status',
  'reason',
  'model_sha256',
] as const;

/** One row of the long CSV: a metric of a cell, with its interval. `value` is null where there is none (see `status`, `reason`). */
export interface Summary {
  readonly schema_version: number;
  readonly run_id: string;
  readonly suite: string;
  readonly case_id: string;
  readonly arm: string;
  readonly model: string;
  readonly backend: string;
  readonly device: string | null;
  readonly precision: string;
  readonly batch: number;
  /** `steady`, `cold`, `memory`, `quality`, `static`. */
  readonly phase: string;
  readonly metric: string;
  readonly unit: string;
  readonly better: 'lower' | 'higher' | 'none';
  /** Samples behind the value. */
  readonly n: number;
  /** Processes behind the value. */
  readonly rounds: number;
  readonly value: number | null;
  readonly ci_lo: number | null;
  readonly ci_hi: number | null;
  readonly ci_method: string | null;
  readonly status: Status;
  readonly reason: string | null;
  readonly model_sha256: string | null;
  /** Not CSV columns: what comparison and charts need. */
  readonly workload: string;
  readonly group: string | null;
  readonly assume: 'nothing' | 'exact';
  /** One value per round, in round order; empty where the metric has no rounds. */
  readonly values: readonly number[];
  /** Per-sample correctness where the metric is an accuracy. */
  readonly correct?: readonly boolean[];
  /** Of a score of what was learnt from ever more images by several seeds: its values by seed at each number of images. */
  readonly learning?: readonly LearningPoint[];
  /** How a score came to its value, e.g. the loss of every training step. */
  readonly curve?: readonly number[];
}

/**
 * A statement about two arms, or one arm on two backends, on one metric of otherwise equal cells. Ratios are B ÷ A.
 * Where backends are compared, `backend` names both (`onnxruntime-cpu / tfjs-wasm`).
 */
export interface Comparison {
  readonly suite: string;
  readonly workload: string;
  readonly metric: string;
  readonly unit: string;
  readonly better: 'lower' | 'higher' | 'none';
  readonly backend: string;
  readonly precision: string;
  readonly batch: number;
  readonly a: Side;
  readonly b: Side;
  readonly ratio: number | null;
  readonly ci_lo: number | null;
  readonly ci_hi: number | null;
  readonly method: string;
  /** Exact Mann–Whitney (or McNemar), Holm-corrected over the comparisons of the set. */
  readonly p: number | null;
  readonly p_adjusted: number | null;
  /** `a` or `b` is better, `same` (exact metrics), `unsure` (interval contains 1), `none` (nothing to compare). */
  readonly verdict: 'a' | 'b' | 'same' | 'unsure' | 'none';
  /** Warnings that travel with the result ("need >= 6 rounds for a 95% interval"). */
  readonly notes: readonly string[];
}
export interface Side {
  readonly case_id: string;
  readonly arm: string;
  readonly backend: string;
  readonly value: number | null;
  readonly rounds: number;
  readonly status: Status;
}

/** A run without its samples: what reporters get. */
export interface RunInfo {
  readonly run: RunRecord;
  readonly end: EndRecord | null;
  readonly peaks: readonly PeakRecord[];
  /** Per cell: the check pass, failures and processes, without samples. */
  readonly cells: readonly CellInfo[];
  /** Lines that could not be read, as sentences. */
  readonly warnings: readonly string[];
}

export interface CellInfo extends Cell {
  readonly status: Status;
  readonly reason: string | null;
  readonly device: CaseRecord['device'];
  readonly options: CaseRecord['options'];
  readonly parity: CaseRecord['parity'];
  readonly placement: CaseRecord['placement'];
  readonly facts: CaseRecord['facts'];
  readonly model_sha256: string | null;
  /** How many processes ended in which status. */
  readonly processes: Readonly<Partial<Record<Status, number>>>;
  /** Headline timing of each round in time order, ms per repetition, bounded to the last few thousand: the distribution strip. */
  readonly strip: readonly { readonly round: number; readonly ms: readonly number[] }[];
}

export interface ReportFile {
  /** Relative to the report folder, no `..`. */
  readonly file: string;
  readonly body: string | Uint8Array;
}

export interface ReportInput {
  readonly info: RunInfo;
  readonly rows: readonly Summary[];
  /** Pairs of arms on one backend. */
  readonly comparisons: readonly Comparison[];
  /** Pairs of backends that both have a valid value of an arm. */
  readonly acrossBackends: readonly Comparison[];
}

/** Records in, files out; touches no disk. */
export interface Reporter {
  /** As `--format` names it: csv, png, svg, html, md, junit, gab. */
  readonly name: string;
  render(input: ReportInput): ReportFile[] | Promise<ReportFile[]>;
}
