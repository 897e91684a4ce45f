import type { Graph, Param, ValueInfo } from '../core/graph.ts';
import { dropDead } from '../transform/drop-dead.ts';
import { leastPeak } from '../transform/least-peak.ts';
import { lower, type Target } from '../transform/lower/index.ts';
import {
  addOptimiser,
  type Gradients,
  type OptimiserSpec,
  type StateTensor,
} from '../transform/optimiser/index.ts';
import { differentiated, opened } from './differentiate.ts';
import type { Forward } from './forward/index.ts';
import { orderedUpdates } from './in-place.ts';

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
}

/** One training step as a graph: a batch, scalars and the state go in, the loss and the next state come out. */
export interface TrainingStep {
  readonly graph: Graph;
  /** What a batch feeds. */
  readonly inputs: readonly ValueInfo[];
  /** Inputs of one float32 number that change with every step. */
  readonly scalars: readonly string[];
  readonly state: readonly StateTensor[];
  /** The parameters behind the weights and buffers of the state, for whoever draws or loads their numbers. */
  readonly params: readonly Param[];
  /** Output: a float32 scalar, of the weights before the step. */
  readonly loss: string;
  /** Output: the gradients' norm ahead of clipping, where it is computed. */
  readonly norm?: string;
  /** Output: 1 where the step was taken, 0 where a gradient overflowed; with a scaled loss. */
  readonly finite?: string;
}

/**
 * Forward, backward and update of one batch as one graph. Every output of the state may be written over its own input while
 * the graph runs: all that reads the old numbers comes before what makes the new ones. The order of the nodes is one of low peak
 * memory.
 *
 * @throws VersusError `usage` when nothing trains, `unsupported` naming operator and node where a gradient is missing
 */
export async function trainingStep(forward: Forward, options: StepOptions): Promise<TrainingStep> {
  const { loss, buffers } = forward;
  const half = options.precision === 'fp16';
  const open = await opened(forward, options.trainable, new Set([loss, ...buffers.values()]), half);
  const { params, trained: names } = open;
  const { g, gradients, lossScale } = differentiated(open, loss, half);
  const { clipNorm, microBatches } = options;
  const update = addOptimiser(
    g,
    names.map((name) => ({ name, value: g.value(name), gradient: gradients.get(name)! })),
    options.optimiser,
    {
      ...(clipNorm !== undefined && { clipNorm }),
      ...(microBatches !== undefined && { microBatches }),
      ...(lossScale && { lossScale }),
    },
  );
  const running = params
    .filter((p) => buffers.has(p.name))
    .map(
      ({ name, dtype, shape }): StateTensor => ({
        ...{ input: name, output: buffers.get(name)!, dtype, shape, of: name, holds: 'buffer' },
      }),
    );
  const state = [...update.state, ...running];
  const made = dropDead(lower(dropDead(g.build()), options.target));
  return {
    graph: leastPeak(orderedUpdates(made, state), new Set(state.map((s) => s.output))),
    inputs: forward.inputs,
    scalars: [...update.scalars, ...(lossScale ? ['loss_scale'] : [])],
    state,
    params,
    loss,
    ...(update.norm && { norm: update.norm }),
    ...(update.finite && { finite: update.finite }),
  };
}
