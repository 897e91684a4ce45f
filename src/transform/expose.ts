import { VersusError } from '../core/errors.ts';
import type { Graph, Node, ValueInfo } from '../core/graph.ts';
import { readsOf } from './captures.ts';

/**
 * The graph that computes only `wanted`, which become its outputs: nodes and parameters that none of them needs are gone, inputs
 * stay, so that it takes the same feeds. Names of values don't change.
 *
 * @param wanted results of nodes, intermediate or not; a type that isn't known is given as any
 * @throws VersusError `input` for a value that no node produces
 */
export function expose(graph: Graph, wanted: readonly ValueInfo[]): Graph {
  const needed = new Set(wanted.map(({ name }) => name));
  const nodes: Node[] = [];
  const produced = new Set<string>();
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!;
    if (!node.outputs.some((name) => name !== '' && needed.has(name))) continue;
    nodes.push(node);
    for (const name of node.outputs) produced.add(name);
    for (const name of readsOf(node)) needed.add(name);
  }
  const missing = wanted.find(({ name }) => !produced.has(name));
  if (missing || wanted.length === 0) {
    throw new VersusError('input', `no node of the graph produces ${missing?.name ?? 'anything'}`, {
      where: `graph ${graph.name}`,
    });
  }
  return {
    ...graph,
    params: graph.params.filter(({ name }) => needed.has(name)),
    nodes: nodes.reverse(),
    outputs: wanted,
  };
}

/**
 * One node as a graph of its own: parameters stay what they are, everything else that it reads becomes an input.
 *
 * @param inputs types of all values that the node (or a subgraph of it) reads and that are no parameters
 * @param outputs types of its results, as far as they are wanted
 */
export function isolate(
  graph: Graph,
  node: Node,
  inputs: readonly ValueInfo[],
  outputs: readonly ValueInfo[],
): Graph {
  const reads = readsOf(node);
  return {
    name: `${graph.name}/${node.name || node.op}`,
    opset: graph.opset,
    inputs,
    params: graph.params.filter(({ name }) => reads.has(name)),
    nodes: [node],
    outputs,
  };
}
