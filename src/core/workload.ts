import type { AutogradOptions, AutogradSession } from './autograd.ts';
import type { OpenOptions, ResidentSession, Session, TrainingTraits } from './backend.ts';
import type { Dataset } from './dataset.ts';
import type { ModelDef } from './model.ts';
import type { Pass } from './record.ts';
import type { Tensors } from './tensor.ts';

/** One timed piece of work. The runner owns the clock and calls `run` exactly once. */
export interface Step {
  /** `infer`, `prefill`, `decode`, `vision`, `preprocess` … */
  readonly phase: string;
  /** How many images, tokens or texts this step processes; rates are items per second. */
  readonly items: number;
  run(): Promise<unknown>;
}

/** A quality figure over fixed samples, e.g. top-1. */
export interface Score {
  readonly metric: string;
  readonly value: number;
  readonly n: number;
  /** Of a value that is no share of `n`, 95%, and how it was computed; a share gets Wilson's. */
  readonly interval?: { readonly lo: number; readonly hi: number; readonly method: string };
  /** Per-sample correctness in sample order, so that two arms can be compared on the same samples (McNemar). */
  readonly correct?: readonly boolean[];
  /**
   * Of what is learnt anew by several seeds from ever more images: the values by seed, smallest number of images first. The score
   * is then of the largest number, `value` the median over its seeds, and `n` what each was judged on.
   */
  readonly learning?: readonly LearningPoint[];
  /** How it came to that, e.g. the loss of every training step; finite numbers. */
  readonly curve?: readonly number[];
}

/** What came of learning from so many images. */
export interface LearningPoint {
  readonly images: number;
  /** One per seed, in the order of the seeds, which is the same for all arms: i-th values are pairs. */
  readonly values: readonly number[];
}

/** What a workload has at hand inside its worker. */
export interface Job<P = unknown> {
  readonly model: ModelDef;
  /** What `Workload.derive` made of the model, where there is such a thing: its graphs are those that open. */
  readonly built?: ModelDef;
  readonly params: P;
  readonly batch: number;
  /** Draws inputs; equal for every backend and round of a case, so that outputs can be compared. */
  readonly seed: number;
  /** Opens a graph of the model on the case's backend; its time is booked as `load`. */
  open(graphName: string): Promise<Session>;
  /**
   * As `open`, with the outputs that `keep` picks staying on the backend's device where it has such a thing, else moved through
   * the host. Absent where a job knows only the host.
   */
  openResident?(
    graphName: string,
    keep: (output: string) => boolean,
    options?: Partial<OpenOptions>,
  ): Promise<ResidentSession>;
  /** The model, trained by the backend's own autograd; absent where it has none. Its time is booked as `load`, too. */
  openAutograd?(given: AutogradOptions): Promise<AutogradSession>;
  /** A prepared dataset by name. */
  dataset(name: string): Promise<Dataset>;
  /** False when weights are seeded: quality is then not worth computing. */
  readonly trained: boolean;
  /** What this process is for: in `memory`, nothing should be opened that the measured work does not need. */
  readonly pass?: Pass | 'peak';
}

/** A workload that is ready to run. */
export interface Activity {
  /**
   * One repetition as a sequence of steps (`infer`; or `prefill` and then many `decode`). The generator prepares between
   * yields, untimed: loading a batch, sampling a token, rearranging a cache.
   */
  steps(repetition: number): AsyncGenerator<Step, void>;
  /** Outputs on fixed inputs at the shapes that are timed, for parity. Names are stable across backends. */
  outputs(): Promise<Tensors>;
  /**
   * Quality over fixed samples, untimed; absent when there is nothing to score.
   * @param stage told ahead of each part of a long scoring: every stage has the case's whole time limit
   */
  scores?(stage?: (name: string) => void): Promise<Score[]>;
  /**
   * What is exactly known of the case, by metric (`fact`) or in place of what is counted of the built graphs (`macs`, `nodes`,
   * `weight_bytes`).
   */
  facts?(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/**
 * How a number of a record becomes a metric.
 * - `duration`: milliseconds per repetition, summed over `phases` (TTFT = preprocess + vision + prefill);
 * - `step`: milliseconds per step of `phases` (TPOT);
 * - `rate`: items per second over `phases`;
 * - `score`: a quality score of that name;
 * - `fact`: an exact property that the workload tells by that name;
 * - `flops`: achieved GFLOP/s = 2 × MACs of the case per repetition / `duration`.
 */
export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly better: 'lower' | 'higher';
  /** `nothing`: noisy, order statistics over rounds; `exact`: deterministic, any change is a change. */
  readonly assume: 'nothing' | 'exact';
  readonly of: 'duration' | 'step' | 'rate' | 'score' | 'flops' | 'fact';
  readonly phases?: readonly string[];
  /** Of a `duration`: phases of the same repetition whose time is taken off, so that what one adds to another can be told. */
  readonly minus?: readonly string[];
  /** Of a `rate`: the fact that says how many of what it counts an item has (tokens of a sample). */
  readonly per?: string;
  /** Of a `score`: it means something of seeded weights, too, such as a loss. */
  readonly seeded?: true;
}

/** What a case is, before anything of it is built. */
export interface Given<P = unknown> {
  readonly model: ModelDef;
  readonly params: P;
  readonly batch: number;
  /** How the case's backend wants training steps. */
  readonly training: TrainingTraits;
}

export interface Workload<P = unknown> {
  readonly name: string;
  readonly metrics: readonly Metric[];
  /** The model that is built and opened in place of the arm's, where the work has graphs of its own (a training step). */
  derive?(given: Given<P>): Promise<ModelDef>;
  /** Multiply–accumulates of one repetition, null when unknown; graph name → MACs is given at the case's shapes. */
  macs?(params: P, batch: number, model: ModelDef): number | null | Promise<number | null>;
  open(job: Job<P>): Promise<Activity>;
}
