import type { Attribute, Graph, GraphAttribute, Node } from '../core/graph.ts';

/** The graphs in a node's attributes: the branches of If, the bodies of Loop and Scan. */
export function subgraphsOf(node: Node): readonly (readonly [attribute: string, graph: Graph])[] {
  return Object.entries(node.attrs).flatMap(([name, value]) =>
    isGraph(value) ? [[name, value.graph] as const] : [],
  );
}

export function isGraph(value: Attribute): value is GraphAttribute {
  return typeof value === 'object' && 'kind' in value && value.kind === 'graph';
}

/** All values that a node reads: its inputs, and what its subgraphs capture from the graph around them. */
export function readsOf(node: Node): Set<string> {
  const reads = new Set(node.inputs.filter((name) => name !== ''));
  for (const [, graph] of subgraphsOf(node)) for (const name of capturesOf(graph)) reads.add(name);
  return reads;
}

/** Values that a subgraph reads without having them: they belong to the graph around it. */
export function capturesOf(graph: Graph): Set<string> {
  const own = new Set([...graph.inputs, ...graph.params].map(({ name }) => name));
  const captured = new Set<string>();
  for (const node of graph.nodes) {
    for (const name of readsOf(node)) if (!own.has(name)) captured.add(name);
    for (const name of node.outputs) own.add(name);
  }
  for (const { name } of graph.outputs) if (!own.has(name)) captured.add(name);
  return captured;
}
