import type { Graph, Node } from '../core/graph.ts';

/** The nodes that the wanted values depend on, in their order. */
export function neededNodes(graph: Graph, wanted: readonly string[]): Node[] {
  const needed = new Set(wanted);
  const nodes: Node[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!;
    if (!node.outputs.some((name) => needed.has(name))) continue;
    nodes.push(node);
    for (const name of node.inputs) needed.add(name);
  }
  return nodes.reverse();
}
