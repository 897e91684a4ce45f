import type { Graph, Param, ValueInfo } from '../core/graph.ts';
import { leastPeak } from '../transform/least-peak.ts';
import type { Target } from '../transform/lower/index.ts';
import { inBlocks } from '../transform/optimiser/blocks.ts';
import {
  addAccumulation,
  addOptimiser,
  type Gradients,
  type OptimiserSpec,
  type StateTensor,
} from '../transform/optimiser/index.ts';
import { recomputed } from '../transform/recompute.ts';
import { type Backward, backwardOf } from './backward.ts';
import { computedBy } from './computed-by.ts';
import type { Forward } from './forward/index.ts';
import { orderedUpdates } from './in-place.ts';
import { stepMemory } from './predict.ts';

export interface StepOptions extends Pick<Gradients, 'clipNorm' | 'microBatches'> {
  /** Names of the parameters that train; the others are frozen and stay in the graph. */
  readonly trainable: ReadonlySet<string>;
  readonly optimiser: OptimiserSpec;
  /** What the backend computes besides the standard operators. */
  readonly target?: Target;
  /**
   * `fp16`: forward and backward in float16, with the weights that train, their update and the loss in float32. The gradient is
   * that of the loss times `loss_scale`, a scalar; where it overflows the step changes nothing (Micikevicius et al., "Mixed
   * precision training", 2018).
   */
  readonly precision?: 'fp32' | 'fp16';
  /**
   * Bytes that a step may hold, state and frozen weights included (`StepMemory.total`): parts of the forward pass are computed twice
   * where that keeps within it.
   */
  readonly memoryBudget?: number;
}

/** One training step as a graph: a batch, scalars and the state go in, the loss and the next state come out. */
export interface TrainingStep {
  readonly graph: Graph;
  /** What a batch feeds. */
  readonly inputs: readonly ValueInfo[];
  /** Inputs of one float32 number that change with every step. */
  readonly scalars: readonly string[];
  /** As it is fed: for some targets otherwise than in its parameter's shape (`layout.ts` turns it back). */
  readonly state: readonly StateTensor[];
  /** The parameters behind the weights and buffers of the state, for whoever draws or loads their numbers. */
  readonly params: readonly Param[];
  /** Output: a float32 scalar, of the weights before the step. */
  readonly loss: string;
  /** Output: the gradients' norm ahead of clipping, where it is computed. */
  readonly norm?: string;
  /** Output: 1 where the step was taken, 0 where a gradient overflowed; with a scaled loss. */
  readonly finite?: string;
  /** Some of it is computed twice, to keep within a memory budget: to be opened as `openingOf` says. */
  readonly recomputes?: true;
  /** What all micro-batches of a step but the last go through, where it has several. */
  readonly accumulation?: Accumulation;
}

/** Forward and backward of a micro-batch, whose gradients are added to those before it; nothing is updated. */
export interface Accumulation {
  /** Fed a batch, weights and `scalars`; gives the step's loss. */
  readonly graph: Graph;
  /** Those of the step's scalars that it reads. */
  readonly scalars: readonly string[];
  /** What it changes: sums of gradients, and buffers. */
  readonly state: readonly StateTensor[];
  /** Inputs that it reads and leaves as they are: the weights. */
  readonly reads: readonly string[];
}

/**
 * Forward, backward and update of one batch as one graph. Every output of the state may be written over its own input while
 * the graph runs: all that reads the old numbers comes before what makes the new ones. The order of the nodes is one of low peak
 * memory.
 *
 * @throws VersusError `usage` when nothing trains or no way of computing it is within the budget, `unsupported` naming operator
 *   and node where a gradient is missing
 */
export async function trainingStep(forward: Forward, options: StepOptions): Promise<TrainingStep> {
  const backward = await backwardOf(forward, options);
  const { g, trained, params, lossScale } = backward;
  const { clipNorm, microBatches = 1, target } = options;
  const update = addOptimiser(g, trained, options.optimiser, {
    ...(clipNorm !== undefined && { clipNorm }),
    ...(microBatches > 1 && { microBatches }),
    ...(lossScale && { lossScale }),
  });
  const { graph, state, recomputes } = await finished(backward, update.state, forward.loss, options);
  const adding = microBatches > 1 ? await accumulation(forward, options) : null;
  // Micro-batches read the weights in their own shape.
  const blocks = target?.processor && microBatches === 1;
  return {
    ...(blocks ? inBlocks(graph, state) : { graph, state }),
    inputs: forward.inputs,
    scalars: [...update.scalars, ...(lossScale ? [lossScale.name] : [])],
    params,
    loss: forward.loss,
    ...(update.norm && { norm: update.norm }),
    ...(update.finite && { finite: update.finite }),
    ...((recomputes || adding?.recomputes) && { recomputes: true }),
    ...(adding && { accumulation: adding.accumulation }),
  };
}

async function accumulation(
  forward: Forward,
  options: StepOptions,
): Promise<{ accumulation: Accumulation; recomputes: boolean }> {
  const backward = await backwardOf(forward, options);
  const { g, trained, params, lossScale } = backward;
  const sums = addAccumulation(g, trained);
  const { graph, state, recomputes } = await finished(backward, sums, forward.loss, options);
  const changed = new Set(state.map((s) => s.input));
  const reads = params.map((p) => p.name).filter((name) => !changed.has(name));
  const scalars = lossScale ? [lossScale.name] : [];
  return { accumulation: { graph, state, reads, scalars }, recomputes };
}

/** What was appended, as the target computes it, in an order in which the state may be written over. */
async function finished(
  { g, running, transposed }: Backward,
  own: readonly StateTensor[],
  loss: string,
  { target, memoryBudget: bytes }: StepOptions,
): Promise<{ graph: Graph; state: readonly StateTensor[]; recomputes: boolean }> {
  const state = [...own, ...running].map(
    (s): StateTensor => (transposed.has(s.of) ? { ...s, transposed: true } : s),
  );
  const made = await computedBy(target, g.build());
  const placed = new Set(state.map((s) => s.output));
  const ordered = (graph: Graph): Graph => leastPeak(orderedUpdates(graph, state), placed);
  const bytesFor = (graph: Graph): number => stepMemory({ graph: ordered(graph), state }).total;
  if (bytes === undefined) return { graph: ordered(made), state, recomputes: false };
  const least = leastPeak(made, placed);
  const within = recomputed(least, { loss, bytes, bytesFor, placed });
  return { graph: ordered(within), state, recomputes: within !== least };
}
