import type { Graph, Node } from '../core/graph.ts';
import { namesInside } from './view.ts';

/**
 * The graph without nodes that contribute to no output, and without parameters and types of values that nothing reads. Inputs
 * and outputs stay as they are.
 */
export function dropDead(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map((o) => o.name));
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((o) => o !== '' && needed.has(o))) continue;
    nodes.push(node);
    for (const name of [...node.inputs, ...namesInside(node)]) needed.add(name);
  }
  const params = graph.params.filter((p) => needed.has(p.name));
  if (nodes.length === graph.nodes.length && params.length === graph.params.length) return graph;
  const { values, ...rest } = graph;
  const left = new Set([
    ...[...graph.inputs, ...params].map(({ name }) => name),
    ...nodes.flatMap((n) => n.outputs),
  ]);
  const known = values && Object.fromEntries(Object.entries(values).filter(([name]) => left.has(name)));
  return { ...rest, params, nodes: nodes.reverse(), ...(known && { values: known }) };
}
