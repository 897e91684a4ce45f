import { VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import { graphCost } from '../graph/cost.ts';
import type { Dims } from './inputs.ts';

/** One graph of a model. @throws VersusError `unsupported` naming those it has. */
export async function graphOf(model: ModelDef, name: string): Promise<Graph> {
  const graphs = await model.build(model.config);
  const graph = graphs[name];
  if (graph) return graph;
  throw new VersusError('unsupported', `${model.name} has no graph ${name}`, {
    where: `${model.name}: task ${model.task}`,
    next: `its graphs are ${Object.keys(graphs).join(', ')}`,
  });
}

/**
 * Multiply–accumulates of one run of a graph at the dimensions that `dimsOf` reads off its inputs; null where the graph
 * has an operator whose cost is unknown.
 */
export async function graphMacs(
  model: ModelDef,
  name: string,
  dimsOf: (graph: Graph) => Dims,
): Promise<number | null> {
  const graph = await graphOf(model, name);
  const { macs, unknown } = graphCost(graph, dimsOf(graph));
  return unknown.length > 0 ? null : macs;
}
