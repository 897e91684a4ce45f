import { VersusError } from '../core/errors.ts';
import type { Graph, Param, ValueInfo } from '../core/graph.ts';
import { GraphBuilder } from '../graph/builder.ts';
import { inferTypes } from '../graph/infer.ts';
import { dropDead } from '../transform/drop-dead.ts';
import { addGradients } from '../transform/gradient/index.ts';
import { lowerBatchNorm } from '../transform/lower/batchnorm.ts';
import { lower, type Target } from '../transform/lower/index.ts';
import {
  addOptimiser,
  type Gradients,
  type OptimiserSpec,
  type StateTensor,
} from '../transform/optimiser/index.ts';
import { recogniseActivations } from '../transform/recognise-activation.ts';
import { recogniseNorms } from '../transform/recognise-norm.ts';
import { recogniseSoftmax } from '../transform/recognise-softmax.ts';
import type { Forward } from './forward/index.ts';
import { orderedUpdates } from './in-place.ts';

export interface StepOptions extends Pick<Gradients, 'clipNorm' | 'microBatches'> {
  /** Names of the parameters that train; the others are frozen and stay in the graph. */
  readonly trainable: ReadonlySet<string>;
  readonly optimiser: OptimiserSpec;
  /** What the backend computes besides the standard operators. */
  readonly target?: Target;
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
}

/**
 * Forward, backward and update of one batch as one graph. Every output of the state may be written over its own input while
 * the graph runs: all that reads the old numbers comes before what makes the new ones.
 *
 * @throws VersusError `usage` when nothing trains, `unsupported` naming operator and node where a gradient is missing
 */
export async function trainingStep(forward: Forward, options: StepOptions): Promise<TrainingStep> {
  const { graph, loss, buffers } = forward;
  const trained = graph.params.filter((p) => options.trainable.has(p.name));
  if (trained.length === 0) {
    throw new VersusError('usage', 'no parameter of the graph trains', {
      where: `graph ${graph.name}`,
      next: 'choose a scope or targets that cover a parameter which the loss depends on',
    });
  }
  const params = graph.params.filter((p) => options.trainable.has(p.name) || buffers.has(p.name));
  const moved = new Set(params.map((p) => p.name));
  const kept = new Set([loss, ...buffers.values()]);
  const open: Graph = dropDead({
    ...graph,
    inputs: [...graph.inputs, ...params.map(({ name, dtype, shape }) => ({ name, dtype, shape }))],
    params: graph.params.filter((p) => !moved.has(p.name)),
    outputs: graph.outputs.filter((o) => kept.has(o.name)),
  });
  const whole = await recognised(open);
  const g = GraphBuilder.over(whole, inferTypes(whole, {}).types);
  const names = trained.map((p) => p.name);
  const gradients = addGradients(g, new Map([[loss, g.scalar(1)]]), names);
  const { clipNorm, microBatches } = options;
  const update = addOptimiser(
    g,
    names.map((name) => ({ name, value: g.value(name), gradient: gradients.get(name)! })),
    options.optimiser,
    { ...(clipNorm !== undefined && { clipNorm }), ...(microBatches !== undefined && { microBatches }) },
  );
  const running = params
    .filter((p) => buffers.has(p.name))
    .map(
      ({ name, dtype, shape }): StateTensor => ({
        ...{ input: name, output: buffers.get(name)!, dtype, shape, of: name, holds: 'buffer' },
      }),
    );
  const state = [...update.state, ...running];
  const made = await lowered(g.build(), options.target);
  return {
    graph: orderedUpdates(made, state),
    inputs: forward.inputs,
    scalars: update.scalars,
    state,
    params,
    loss,
    ...(update.norm && { norm: update.norm }),
  };
}

/** The graph in what the target computes. */
async function lowered(graph: Graph, target?: Target): Promise<Graph> {
  const made = lower(dropDead(graph), target);
  return dropDead(target?.fixedBatchNorm ? await lowerBatchNorm(made) : made);
}

/** Patterns as the operators that they are: the gradient of one operator is far cheaper than those of its pieces. */
async function recognised(graph: Graph): Promise<Graph> {
  let made = graph;
  for (const pass of [recogniseNorms, recogniseActivations, recogniseSoftmax]) made = await pass(made);
  return dropDead(made);
}
