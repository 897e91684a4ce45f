import type { ValueInfo } from './graph.ts';
import type { Artifact } from './model.ts';
import type { Tensors } from './tensor.ts';

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
  /** Prove placement: run slower, record which device executed each node. */
  readonly prove?: boolean;
  /** Passed to the runtime unchanged. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** Which device executed which share of the nodes that ran, and how that is known. */
export interface Placement {
  /** Executed node counts by device or provider name. */
  readonly nodes: Readonly<Record<string, number>>;
  /**
   * Share of the nodes, 0..1, that ran on the device that was asked for. What the runtime keeps on the host
   * on purpose (shape arithmetic; ids, positions and masks) is in `nodes`, but counts neither here nor among the strays.
   */
  readonly share: number;
  /** Evidence: `profile` (per-node provider in the runtime's profile), `strict` (runtime refused to fall back), `single` (only one device exists). */
  readonly method: 'profile' | 'strict' | 'single';
  /** Operators that ran elsewhere. */
  readonly strays: readonly string[];
}

export interface Session {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** Runs the graph; resolves when the results are readable on the host. `fetch` limits which outputs are computed. */
  run(feeds: Tensors, fetch?: readonly string[]): Promise<Tensors>;
  /** Known after at least one run of a session opened with `prove`; null when the runtime cannot tell. */
  placement(): Promise<Placement | null>;
  /** The options that were in force, for the record. */
  readonly options: Readonly<Record<string, string | number | boolean | null>>;
  close(): Promise<void>;
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
  probe(): Promise<Availability>;
  /**
   * @throws VersusError `unsupported` (operator, precision or opset not supported; names the node) or `infrastructure`.
   */
  open(artifact: Artifact, options: OpenOptions): Promise<Session>;
}
