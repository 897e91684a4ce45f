import type { AutogradOptions, AutogradSession } from './autograd.ts';
import type { ValueInfo } from './graph.ts';
import type { Artifact, ModelDef } from './model.ts';
import type { DType, Tensor, Tensors } from './tensor.ts';

/**
 * How a model is stored and computed.
 * - `fp32`, `fp16`: weights and activations.
 * - `int8`, `int4`: weights of matrix products in blocks of 32 whole numbers with a float32 scale each, everything else in
 *   float32 (see `transform/quantise.ts`). A runtime may round the activations of `int8` products to 8 bits.
 */
export const PRECISIONS = ['fp32', 'fp16', 'int8', 'int4'] as const;
export type Precision = (typeof PRECISIONS)[number];

export interface Device {
  readonly kind: 'cpu' | 'gpu';
  /** As the driver or the kernel names it, e.g. `AMD EPYC 7763` or `llvmpipe (LLVM 19.1.7, 256 bits)`. */
  readonly name: string;
  readonly driver: string | null;
  /** A GPU emulated on the CPU: fit to prove correctness, never ranked for speed. */
  readonly software: boolean;
}

export type Availability =
  | {
      readonly available: true;
      readonly version: string;
      readonly device: Device;
      readonly precisions: readonly Precision[];
    }
  | {
      readonly available: false;
      readonly version: string | null;
      /** Why not, in one sentence. */
      readonly reason: string;
      /** The one command or step that would make it so; null when nothing would on this machine. */
      readonly fix: string | null;
    };

/** Session options that every backend understands or ignores; those used are written into the record. */
export interface OpenOptions {
  readonly precision: Precision;
  /** Intra-op threads; the backend's default when left out. */
  readonly threads?: number;
  /** Graph optimisation level of the runtime. `disabled` is what parity references run with. */
  readonly optimisation?: 'disabled' | 'basic' | 'extended' | 'all';
  /** Memory arena of the CPU provider. */
  readonly arena?: boolean;
  /** Prove placement: run slower, record which device executed each node and how long it took. */
  readonly prove?: boolean;
  /** Passed to the runtime unchanged. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** Which device executed which share of the nodes that ran and of their time, and how that is known. */
export interface Placement {
  /** Executed node counts by device or provider name. */
  readonly nodes: Readonly<Record<string, number>>;
  /**
   * Share of the nodes, 0..1, that ran on the device that was asked for. What the runtime keeps on the host
   * on purpose (shape arithmetic; ids, positions and masks) is in `nodes`, but counts neither here nor among the strays.
   */
  readonly share: number;
  /** Milliseconds by device or provider name over all runs; absent where the runtime does not time nodes. */
  readonly times?: Readonly<Record<string, number>> | null;
  /** Share of that time, 0..1, that was spent on the device that was asked for; host work done on purpose counts as elsewhere. */
  readonly share_of_time?: number | null;
  /** Evidence: `profile` (per-node provider in the runtime's profile), `strict` (runtime refused to fall back), `single` (only one device exists). */
  readonly method: 'profile' | 'strict' | 'single';
  /** Operators that ran elsewhere. */
  readonly strays: readonly string[];
}

/** What a node of the graph that really ran, after the runtime's own optimisation, cost. */
export interface NodeTime {
  /** The runtime's name of it: that of a node of the graph where they are the same, or made from such names. */
  readonly name: string;
  /** Operator as the runtime ran it, e.g. `Conv` or `FusedConv`. */
  readonly op: string;
  /** Names of the nodes of the given graph that it computes, where the backend knows; else found by name. */
  readonly of?: readonly string[];
  /** Device or provider that ran it, as in `Placement.nodes`. */
  readonly device: string;
  /** Milliseconds of each execution, in the order of the runs. */
  readonly ms: readonly number[];
  /** Shapes of the last execution; empty where unknown. */
  readonly inputs: readonly (readonly number[])[];
  readonly outputs: readonly (readonly number[])[];
  /** Bytes of both, where the runtime says; only weights that it repacked may be missing. */
  readonly bytes?: number;
  /** Multiply–accumulates of one execution, where the backend knows: of an operator that it made of several, for example. */
  readonly macs?: number;
}

/** Bytes that crossed between the caller and a session since it was opened: tensors fed, put, returned and read. */
export interface Traffic {
  readonly to_device: number;
  readonly to_host: number;
  /** Bytes that residents of the session hold now. */
  readonly resident: number;
}

/** What every open session has, however it is run. */
export interface Opened {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** Known after at least one run of a session opened with `prove`; null when the runtime cannot tell. */
  placement(): Promise<Placement | null>;
  /**
   * Times of all nodes over the runs of a session opened with `prove`, in the order of execution; null when nothing ran or
   * the runtime cannot tell. Asking for it or for `placement` may end the recording: later runs need not be in it.
   */
  profile?(): Promise<readonly NodeTime[] | null>;
  traffic?(): Traffic;
  /** The options that were in force, for the record. */
  readonly options: Readonly<Record<string, string | number | boolean | null>>;
  /** Frees everything, residents included. Twice is harmless. */
  close(): Promise<void>;
}

export interface Session extends Opened {
  /** Results are written into tensors that the caller gives, where it gives some. */
  readonly writesInto?: true;
  /**
   * Runs the graph; resolves when the results are readable on the host. `fetch` limits which outputs are computed.
   *
   * @param into tensors by output, of its type and shape, that become the results where the session `writesInto` such; one that
   *   is fed, too, is overwritten while the graph runs
   */
  run(feeds: Tensors, fetch?: readonly string[], into?: Tensors): Promise<Tensors>;
}

/**
 * A tensor that stays on the device that computed it, until it is disposed of or the session that made it is closed. Any
 * resident session of the same backend takes it among its feeds, as often as one likes; feeding does not consume it.
 */
export interface Resident {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Name of the backend whose sessions take it. */
  readonly backend: string;
  /** False once it was disposed of or its session was closed; using it then is an `input` error. */
  readonly alive: boolean;
  /** Frees its memory. Twice is harmless. */
  dispose(): void;
}
export type Residents = Record<string, Resident>;
export type Feeds = Record<string, Tensor | Resident>;

/**
 * A session whose state stays on the device between runs: a KV cache, or the weights and moments of a training step. Which
 * outputs stay is fixed when it is opened, since runtimes bind outputs to places then.
 */
export interface ResidentSession extends Opened {
  /** Outputs that stay on the device. */
  readonly keep: readonly string[];
  /** Results are written over donated residents; elsewhere donating only frees them after the run. */
  readonly overwrites: boolean;
  /**
   * Runs the graph; resolves when the outputs that do not stay are readable. The caller owns what is kept and disposes of it.
   *
   * @param donated residents by kept output, of its type and shape: each is used up by the run, and the output may lie in its
   *   memory. One that is fed, too, may be overwritten while the graph runs: right only where every node that reads it
   *   runs before the one that makes the output, or is that node, element by element.
   * @throws VersusError `input` for feeds that do not fit, and for residents that are disposed of or another backend's
   */
  run(
    feeds: Feeds,
    fetch?: readonly string[],
    donated?: Readonly<Residents>,
  ): Promise<{ readonly host: Tensors; readonly kept: Residents }>;
  /** A tensor brought to the device. May share the host's memory on host devices: don't write into it afterwards. */
  put(tensor: Tensor): Promise<Resident>;
  /** A resident's elements on the host; it stays. The array may be the device's own on host devices: don't write into it. */
  read(resident: Resident): Promise<Tensor>;
  traffic(): Traffic;
}

/** How a backend wants training steps. */
export interface TrainingTraits {
  /** It computes onnxruntime's own operators, too. */
  readonly microsoft?: boolean;
  /** It is onnxruntime's cpu, which has kernels that others lack: Scan, places of maxima. */
  readonly processor?: boolean;
  /** It has no BatchNormalization in training mode. */
  readonly fixedBatchNorm?: boolean;
  /** Options with which a step is opened; what a caller names has the last word. */
  readonly open?: Partial<OpenOptions>;
  /** Options beside them for a step that computes something twice on purpose, which the runtime would else merge again. */
  readonly recomputing?: Partial<OpenOptions>;
}

/** A runtime on a device. Everything heavy (native modules, probing) happens inside `probe` and `open`, never on import. */
export interface Backend {
  readonly name: string;
  /** It exists to check others and is too slow to race: measured only where it is named. */
  readonly oracle?: boolean;
  /**
   * A further runtime beside the main ones: where it computes on the processor, profiles below `release` race it on the smaller
   * models alone (src/run/breadth.ts), unless it is named.
   */
  readonly secondary?: boolean;
  /** Standard operators and default options where it is left out. */
  readonly training?: TrainingTraits;
  probe(): Promise<Availability>;
  /**
   * @throws VersusError `unsupported` (operator, precision or opset not supported; names the node) or `infrastructure`.
   */
  open(artifact: Artifact, options: OpenOptions): Promise<Session>;
  /**
   * As `open`, with the outputs named in `keep` staying on the device. Absent where the backend has no such thing: callers
   * then move state through the host (`core/through-host.ts` is a session that does).
   *
   * @throws VersusError as `open`; `input` when `keep` names an output that the graph lacks
   */
  openResident?(artifact: Artifact, options: OpenOptions, keep: readonly string[]): Promise<ResidentSession>;
  /**
   * A model written in the runtime's own operators, for its own autograd to train: what a user would take in place of a step graph.
   * Absent where the runtime has no autograd.
   *
   * @throws VersusError `unsupported` for models that nobody wrote so and precisions that it lacks, else as `open`
   */
  openAutograd?(model: ModelDef, given: AutogradOptions, options: OpenOptions): Promise<AutogradSession>;
}
