import { VersusError } from '../core/errors.ts';
import type { Graph, Param, ValueInfo } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { inferTypes } from '../graph/infer.ts';
import { dropDead } from '../transform/drop-dead.ts';
import { addGradients } from '../transform/gradient/index.ts';
import { lower, type Target } from '../transform/lower/index.ts';
import {
  addAccumulation,
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
  /** What all micro-batches of a step but the last go through, where it has several. */
  readonly accumulation?: Accumulation;
}

/** Forward and backward of a micro-batch, whose gradients are added to those before it; nothing is updated. */
export interface Accumulation {
  /** Fed what the step is fed, without its scalars; gives its loss. */
  readonly graph: Graph;
  /** What it changes: sums of gradients, and buffers. */
  readonly state: readonly StateTensor[];
  /** Inputs that it reads and leaves as they are: the weights. */
  readonly reads: readonly string[];
}

/**
 * Forward, backward and update of one batch as one graph. Every output of the state may be written over its own input while
 * the graph runs: all that reads the old numbers comes before what makes the new ones.
 *
 * @throws VersusError `usage` when nothing trains, `unsupported` naming operator and node where a gradient is missing
 */
export async function trainingStep(forward: Forward, options: StepOptions): Promise<TrainingStep> {
  const backward = await backwardOf(forward, options.trainable);
  const { g, trained, params, running } = backward;
  const { clipNorm, microBatches = 1 } = options;
  const update = addOptimiser(g, trained, options.optimiser, {
    ...(clipNorm !== undefined && { clipNorm }),
    ...(microBatches > 1 && { microBatches }),
  });
  const state = [...update.state, ...running];
  const made = dropDead(lower(dropDead(g.build()), options.target));
  return {
    graph: orderedUpdates(made, state),
    inputs: forward.inputs,
    scalars: update.scalars,
    state,
    params,
    loss: forward.loss,
    ...(update.norm && { norm: update.norm }),
    ...(microBatches > 1 && { accumulation: await accumulation(forward, options) }),
  };
}

async function accumulation(
  forward: Forward,
  { trainable, target }: Pick<StepOptions, 'trainable' | 'target'>,
): Promise<Accumulation> {
  const { g, trained, params, running } = await backwardOf(forward, trainable);
  const state = [...addAccumulation(g, trained), ...running];
  const graph = orderedUpdates(dropDead(lower(dropDead(g.build()), target)), state);
  const changed = new Set(state.map((s) => s.input));
  const reads = params.map((p) => p.name).filter((name) => !changed.has(name));
  return { graph, state, reads };
}

interface Backward {
  /** Goes on behind loss and gradients. */
  readonly g: GraphBuilder;
  readonly trained: readonly { readonly name: string; readonly value: Value; readonly gradient: Value }[];
  /** What trains, and buffers that change. */
  readonly params: readonly Param[];
  readonly running: readonly StateTensor[];
}

async function backwardOf(
  { graph, loss, buffers }: Forward,
  trainable: ReadonlySet<string>,
): Promise<Backward> {
  const names = graph.params.filter((p) => trainable.has(p.name)).map((p) => p.name);
  if (names.length === 0) {
    throw new VersusError('usage', 'no parameter of the graph trains', {
      where: `graph ${graph.name}`,
      next: 'choose a scope or targets that cover a parameter which the loss depends on',
    });
  }
  const params = graph.params.filter((p) => trainable.has(p.name) || buffers.has(p.name));
  const whole = await recognised(withInputs(graph, params, [loss, ...buffers.values()]));
  const g = GraphBuilder.over(whole, inferTypes(whole, {}).types);
  const gradients = addGradients(g, new Map([[loss, g.scalar(1)]]), names);
  const running = params
    .filter((p) => buffers.has(p.name))
    .map(
      ({ name, dtype, shape }): StateTensor => ({
        ...{ input: name, output: buffers.get(name)!, dtype, shape, of: name, holds: 'buffer' },
      }),
    );
  const trained = names.map((name) => ({ name, value: g.value(name), gradient: gradients.get(name)! }));
  return { g, trained, params, running };
}

/** The graph with some of its parameters fed in place of kept, down to some of its outputs. */
export function withInputs(graph: Graph, params: readonly Param[], outputs: readonly string[]): Graph {
  const moved = new Set(params.map((p) => p.name));
  return dropDead({
    ...graph,
    inputs: [...graph.inputs, ...params.map(({ name, dtype, shape }) => ({ name, dtype, shape }))],
    params: graph.params.filter((p) => !moved.has(p.name)),
    outputs: graph.outputs.filter((o) => outputs.includes(o.name)),
  });
}

/** Patterns as the operators that they are: the gradient of one operator is far cheaper than those of its pieces. */
async function recognised(graph: Graph): Promise<Graph> {
  let made = graph;
  for (const pass of [recogniseNorms, recogniseActivations, recogniseSoftmax]) made = await pass(made);
  return dropDead(made);
}
