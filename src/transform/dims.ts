import type { Graph } from '../core/graph.ts';
import { namesIn } from '../graph/dims.ts';
import { inferShapes } from '../graph/infer.ts';

/**
 * The graph with symbolic dimensions of its inputs set to numbers and all types inferred anew. A dimension that is a sum
 * (`past+sequence`) follows from its parts; names that the graph doesn't have are ignored, since the graphs of one model
 * share one set of sizes.
 *
 * @throws VersusError `input` when a size is not a whole number or contradicts the graph
 */
export function bindDims(graph: Graph, sizes: Readonly<Record<string, number>>): Graph {
  return inferShapes(graph, sizes);
}

/** Names that the sizes of the inputs depend on, in order of appearance: `batch`, `past`, `sequence`. */
export function openDims(graph: Graph): string[] {
  const names = graph.inputs.flatMap((i) => i.shape.flatMap(namesIn));
  return [...new Set(names)];
}
