import { VersusError } from '../core/errors.ts';
import type { Graph, Node, Param } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { inferTypes } from '../graph/infer.ts';
import { dropDead } from '../transform/drop-dead.ts';
import { addGradients } from '../transform/gradient/index.ts';
import type { StateTensor, Trained } from '../transform/optimiser/index.ts';
import { toHalf } from '../transform/precision.ts';
import { recogniseActivations } from '../transform/recognise-activation.ts';
import { recogniseNorms } from '../transform/recognise-norm.ts';
import { recogniseSoftmax } from '../transform/recognise-softmax.ts';
import type { Forward } from './forward/index.ts';
import { turned } from './layout.ts';
import type { StepOptions } from './step.ts';

/** Loss and gradients, before anything is done with them. */
export interface Backward {
  /** Goes on behind loss and gradients. */
  readonly g: GraphBuilder;
  readonly trained: readonly Trained[];
  /** What trains, and buffers that change. */
  readonly params: readonly Param[];
  /** Buffers as state. */
  readonly running: readonly StateTensor[];
  /** Weights that are fed transposed. */
  readonly transposed: ReadonlySet<string>;
  /** Input: what the loss is multiplied with, in float16. */
  readonly lossScale?: Value;
}

/**
 * Forward and backward as one graph under construction; what trains is fed.
 * @throws VersusError `usage` when nothing trains, `unsupported` naming operator and node where a gradient is missing
 */
export async function backwardOf(
  { graph, loss, buffers }: Forward,
  { trainable, target, precision }: StepOptions,
): Promise<Backward> {
  const names = graph.params.filter((p) => trainable.has(p.name)).map((p) => p.name);
  if (names.length === 0) {
    throw new VersusError('usage', 'no parameter of the graph trains', {
      where: `graph ${graph.name}`,
      next: 'choose a scope or targets that cover a parameter which the loss depends on',
    });
  }
  const params = graph.params.filter((p) => trainable.has(p.name) || buffers.has(p.name));
  const fed = new Set(params.map((p) => p.name));
  const open = withInputs(graph, params, [loss, ...buffers.values()]);
  const { graph: laidOut, transposed } = target?.microsoft
    ? turned(open, new Set(names))
    : { graph: open, transposed: new Set<string>() };
  const half = precision === 'fp16';
  const whole = await recognised(half ? toHalf(laidOut, (node) => staysWide(node, fed)) : laidOut);
  const g = GraphBuilder.over(whole, inferTypes(whole, {}).types);
  const lossScale = half ? g.input('loss_scale', 'float32', []) : undefined;
  const gradients = addGradients(g, new Map([[loss, lossScale ?? g.scalar(1)]]), names, {
    places: target?.processor ?? false,
  });
  const running = params
    .filter((p) => buffers.has(p.name))
    .map(
      ({ name, dtype, shape }): StateTensor => ({
        ...{ input: name, output: buffers.get(name)!, dtype, shape, of: name, holds: 'buffer' },
      }),
    );
  const trained = names.map((name) => ({ name, value: g.value(name), gradient: gradients.get(name)! }));
  return { g, trained, params, running, transposed, ...(lossScale && { lossScale }) };
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
