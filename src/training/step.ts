import { VersusError } from '../core/errors.ts';
import type { Graph, Node, Param, ValueInfo } from '../core/graph.ts';
import { GraphBuilder } from '../graph/builder.ts';
import { inferTypes } from '../graph/infer.ts';
import { dropDead } from '../transform/drop-dead.ts';
import { addGradients } from '../transform/gradient/index.ts';
import { leastPeak } from '../transform/least-peak.ts';
import { lower, type Target } from '../transform/lower/index.ts';
import { inBlocks } from '../transform/optimiser/blocks.ts';
import {
  addOptimiser,
  type Gradients,
  type OptimiserSpec,
  type StateTensor,
} from '../transform/optimiser/index.ts';
import { ownProducts } from '../transform/own-products.ts';
import { toHalf } from '../transform/precision.ts';
import { recogniseActivations } from '../transform/recognise-activation.ts';
import { recogniseNorms } from '../transform/recognise-norm.ts';
import { recogniseSoftmax } from '../transform/recognise-softmax.ts';
import { tidy } from '../transform/tidy.ts';
import type { Forward } from './forward/index.ts';
import { orderedUpdates } from './in-place.ts';
import { turned } from './layout.ts';

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
}

/**
 * Forward, backward and update of one batch as one graph. Every output of the state may be written over its own input while
 * the graph runs: all that reads the old numbers comes before what makes the new ones. The order of the nodes is one of low peak
 * memory.
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
  const { graph: laidOut, transposed } = options.target?.microsoft
    ? turned(open, new Set(trained.map((p) => p.name)))
    : { graph: open, transposed: new Set<string>() };
  const half = options.precision === 'fp16';
  const whole = await recognised(half ? toHalf(laidOut, (node) => staysWide(node, moved)) : laidOut);
  const g = GraphBuilder.over(whole, inferTypes(whole, {}).types);
  const names = trained.map((p) => p.name);
  const lossScale = half ? g.input('loss_scale', 'float32', []) : undefined;
  const seeds = new Map([[loss, lossScale ?? g.scalar(1)]]);
  const gradients = addGradients(g, seeds, names, { places: options.target?.processor ?? false });
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
  const state = [...update.state, ...running].map(
    (s): StateTensor => (transposed.has(s.of) ? { ...s, transposed: true } : s),
  );
  const lowered = lower(dropDead(g.build()), options.target);
  const made = dropDead(options.target?.microsoft ? ownProducts(tidy(lowered)) : tidy(lowered));
  const ordered = leastPeak(orderedUpdates(made, state), new Set(state.map((s) => s.output)));
  const final = options.target?.processor ? inBlocks(ordered, state) : { graph: ordered, state };
  return {
    graph: final.graph,
    inputs: forward.inputs,
    scalars: [...update.scalars, ...(lossScale ? ['loss_scale'] : [])],
    state: final.state,
    params,
    loss,
    ...(update.norm && { norm: update.norm }),
    ...(update.finite && { finite: update.finite }),
  };
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
