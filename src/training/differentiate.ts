import { VersusError } from '../core/errors.ts';
import type { Graph, Node, Param } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { inferTypes } from '../graph/infer.ts';
import { dropDead } from '../transform/drop-dead.ts';
import { addGradients } from '../transform/gradient/index.ts';
import { toHalf } from '../transform/precision.ts';
import { recogniseActivations } from '../transform/recognise-activation.ts';
import { recogniseNorms } from '../transform/recognise-norm.ts';
import { recogniseSoftmax } from '../transform/recognise-softmax.ts';
import type { Forward } from './forward/index.ts';

/** A forward graph whose state is fed. */
export interface Opened {
  readonly graph: Graph;
  /** The parameters that became inputs: those that train, and buffers that a step changes. */
  readonly params: readonly Param[];
  /** Names of those that train. */
  readonly trained: readonly string[];
}

/**
 * A forward graph with what changes in training as inputs of the parameters' names, and only the given outputs.
 * @param half in float16, but for what trains
 * @throws VersusError `usage` when nothing trains
 */
export async function opened(
  { graph, buffers }: Forward,
  trainable: ReadonlySet<string>,
  outputs: ReadonlySet<string>,
  half = false,
): Promise<Opened> {
  const trained = graph.params.filter((p) => trainable.has(p.name)).map((p) => p.name);
  if (trained.length === 0) {
    throw new VersusError('usage', 'no parameter of the graph trains', {
      where: `graph ${graph.name}`,
      next: 'choose a scope or targets that cover a parameter which the loss depends on',
    });
  }
  const params = graph.params.filter((p) => trainable.has(p.name) || buffers.has(p.name));
  const moved = new Set(params.map((p) => p.name));
  const open: Graph = dropDead({
    ...graph,
    inputs: [...graph.inputs, ...params.map(({ name, dtype, shape }) => ({ name, dtype, shape }))],
    params: graph.params.filter((p) => !moved.has(p.name)),
    outputs: graph.outputs.filter((o) => outputs.has(o.name)),
  });
  const whole = half ? toHalf(open, (node) => staysWide(node, moved)) : open;
  return { graph: await recognised(whole), params, trained };
}

export interface Differentiated {
  /** Goes on behind the gradients. */
  readonly g: GraphBuilder;
  /** By parameter; of the loss times `lossScale` where there is that. */
  readonly gradients: ReadonlyMap<string, Value>;
  readonly lossScale?: Value;
}

/**
 * A graph with the gradients of its loss.
 * @param scaled the loss is multiplied by an input `loss_scale` first
 */
export function differentiated({ graph, trained }: Opened, loss: string, scaled = false): Differentiated {
  const g = GraphBuilder.over(graph, inferTypes(graph, {}).types);
  const lossScale = scaled ? g.input('loss_scale', 'float32', []) : undefined;
  const gradients = addGradients(g, new Map([[loss, lossScale ?? g.scalar(1)]]), [...trained]);
  return { g, gradients, ...(lossScale && { lossScale }) };
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
