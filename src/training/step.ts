import { VersusError } from '../core/errors.ts';
import type { Graph, Node, Param, ValueInfo } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { inferTypes } from '../graph/infer.ts';
import { dropDead } from '../transform/drop-dead.ts';
import { addGradients } from '../transform/gradient/index.ts';
import { leastPeak } from '../transform/least-peak.ts';
import { lower, type Target } from '../transform/lower/index.ts';
import {
  addAccumulation,
  addOptimiser,
  type Gradients,
  type OptimiserSpec,
  type StateTensor,
} from '../transform/optimiser/index.ts';
import { toHalf } from '../transform/precision.ts';
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
  /** What all micro-batches of a step but the last go through, where it has several. */
  readonly accumulation?: Accumulation;
}

/** Forward and backward of a micro-batch, whose gradients are added to those before it; nothing is updated. */
export interface Accumulation {
  /** Fed a batch as the step is; gives its loss. */
  readonly graph: Graph;
  /** What it changes: sums of gradients, and buffers. */
  readonly state: readonly StateTensor[];
  /** Inputs that it reads and leaves as they are: the weights. */
  readonly reads: readonly string[];
  /** Those of the step's scalars that it reads. */
  readonly scalars: readonly string[];
}

/**
 * Forward, backward and update of one batch as one graph. Every output of the state may be written over its own input while
 * the graph runs: all that reads the old numbers comes before what makes the new ones. The order of the nodes is one of low peak
 * memory.
 *
 * @throws VersusError `usage` when nothing trains, `unsupported` naming operator and node where a gradient is missing
 */
export async function trainingStep(forward: Forward, options: StepOptions): Promise<TrainingStep> {
  const { g, trained, params, running, lossScale } = await backwardOf(forward, options);
  const { clipNorm, microBatches = 1 } = options;
  const update = addOptimiser(g, trained, options.optimiser, {
    ...(clipNorm !== undefined && { clipNorm }),
    ...(microBatches > 1 && { microBatches }),
    ...(lossScale && { lossScale }),
  });
  const state = [...update.state, ...running];
  return {
    graph: finished(g, state, options),
    inputs: forward.inputs,
    scalars: [...update.scalars, ...(lossScale ? [lossScale.name] : [])],
    state,
    params,
    loss: forward.loss,
    ...(update.norm && { norm: update.norm }),
    ...(update.finite && { finite: update.finite }),
    ...(microBatches > 1 && { accumulation: await accumulation(forward, options) }),
  };
}

async function accumulation(forward: Forward, options: StepOptions): Promise<Accumulation> {
  const { g, trained, params, running, lossScale } = await backwardOf(forward, options);
  const state = [...addAccumulation(g, trained), ...running];
  const changed = new Set(state.map((s) => s.input));
  const reads = params.map((p) => p.name).filter((name) => !changed.has(name));
  const scalars = lossScale ? [lossScale.name] : [];
  return { graph: finished(g, state, options), state, reads, scalars };
}

/** In the backend's own operators and in an order of low peak memory, with every state updated after its last reader. */
function finished(g: GraphBuilder, state: readonly StateTensor[], { target }: StepOptions): Graph {
  const made = dropDead(lower(dropDead(g.build()), target));
  return leastPeak(orderedUpdates(made, state), new Set(state.map((s) => s.output)));
}

interface Backward {
  /** Goes on behind loss and gradients. */
  readonly g: GraphBuilder;
  readonly trained: readonly { readonly name: string; readonly value: Value; readonly gradient: Value }[];
  /** What trains, and buffers that change. */
  readonly params: readonly Param[];
  readonly running: readonly StateTensor[];
  /** What the loss was multiplied with. */
  readonly lossScale: Value | undefined;
}

async function backwardOf(
  { graph, loss, buffers }: Forward,
  { trainable, precision }: StepOptions,
): Promise<Backward> {
  const names = graph.params.filter((p) => trainable.has(p.name)).map((p) => p.name);
  if (names.length === 0) {
    throw new VersusError('usage', 'no parameter of the graph trains', {
      where: `graph ${graph.name}`,
      next: 'choose a scope or targets that cover a parameter which the loss depends on',
    });
  }
  const params = graph.params.filter((p) => trainable.has(p.name) || buffers.has(p.name));
  const moved = new Set(params.map((p) => p.name));
  const open = withInputs(graph, params, [loss, ...buffers.values()]);
  const half = precision === 'fp16';
  const whole = await recognised(half ? toHalf(open, (node) => staysWide(node, moved)) : open);
  const g = GraphBuilder.over(whole, inferTypes(whole, {}).types);
  const lossScale = half ? g.input('loss_scale', 'float32', []) : undefined;
  const gradients = addGradients(g, new Map([[loss, lossScale ?? g.scalar(1)]]), names);
  const running = params
    .filter((p) => buffers.has(p.name))
    .map(
      ({ name, dtype, shape }): StateTensor => ({
        ...{ input: name, output: buffers.get(name)!, dtype, shape, of: name, holds: 'buffer' },
      }),
    );
  const trained = names.map((name) => ({ name, value: g.value(name), gradient: gradients.get(name)! }));
  return { g, trained, params, running, lossScale };
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

/**
 * Rows of a table that trains are added up in float32, since no runtime scatters float16; the statistics of a batch are float32
 * as in every framework.
 */
function staysWide(node: Node, trained: ReadonlySet<string>): boolean {
  return (
    (node.op === 'Gather' && trained.has(node.inputs[0]!)) ||
    (node.op === 'BatchNormalization' && node.attrs.training_mode === 1)
  );
}

/** Patterns as the operators that they are: the gradient of one operator is far cheaper than those of its pieces. */
async function recognised(graph: Graph): Promise<Graph> {
  let made = graph;
  for (const pass of [recogniseNorms, recogniseActivations, recogniseSoftmax]) made = await pass(made);
  return dropDead(made);
}
