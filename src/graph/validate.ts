import { VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';

/**
 * Checks that a graph is one: every name has one producer, everything that is read is produced before, outputs exist.
 * Values of an enclosing graph may be read by a subgraph: they are given as `outer`.
 *
 * @throws VersusError `input` that names the node and the value
 */
export function validateGraph(graph: Graph, outer: Pick<ReadonlySet<string>, 'has'> = new Set()): void {
  const fail = (problem: string, node?: string): never => {
    throw new VersusError('input', problem, { where: `graph ${graph.name}${node ? `, node ${node}` : ''}` });
  };
  const known = new Set<string>();
  const define = (name: string, what: string, node?: string): void => {
    if (name === '') fail(`${what} has an empty name`, node);
    if (known.has(name)) fail(`${name} has two producers`, node);
    known.add(name);
  };
  const params = new Set<string>();
  for (const p of graph.params) {
    define(p.name, 'a parameter');
    params.add(p.name);
  }
  // Up to IR version 3 initialisers were listed among the inputs, as their defaults.
  for (const i of graph.inputs) if (!params.has(i.name)) define(i.name, 'an input');
  const producers = new Map<string, number>();
  graph.nodes.forEach((node, at) => {
    for (const o of node.outputs) if (o !== '') producers.set(o, at);
  });
  graph.nodes.forEach((node, at) => {
    const label = node.name || `${node.op} #${at}`;
    if (node.op === '') fail('a node without an operator', label);
    if (node.outputs.every((o) => o === '')) fail('it has no output', label);
    for (const input of node.inputs) {
      if (input === '' || known.has(input) || outer.has(input)) continue;
      const producer = producers.get(input);
      if (producer === undefined) fail(`it reads ${input}, which nothing produces`, label);
      fail(
        cyclic(graph, at, producers)
          ? `it reads ${input}, which depends on its own result: the graph has a cycle`
          : `it reads ${input}, which a later node produces: the nodes are not in topological order`,
        label,
      );
    }
    for (const attr of Object.values(node.attrs)) {
      if (typeof attr === 'object' && 'kind' in attr && attr.kind === 'graph') {
        validateGraph(attr.graph, { has: (name) => known.has(name) || outer.has(name) });
      }
    }
    for (const output of node.outputs) if (output !== '') define(output, 'an output', label);
  });
  if (graph.outputs.length === 0) fail('it has no outputs');
  const outputs = new Set<string>();
  for (const { name } of graph.outputs) {
    if (!known.has(name) && !outer.has(name)) fail(`output ${name} is produced by nothing`);
    if (outputs.has(name)) fail(`output ${name} is declared twice`);
    outputs.add(name);
  }
}

/** Whether node `start` is reached again by walking from it to the producers of its inputs. */
function cyclic(graph: Graph, start: number, producers: ReadonlyMap<string, number>): boolean {
  const seen = new Set<number>();
  const open = [start];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const input of graph.nodes[at]!.inputs) {
      const producer = producers.get(input);
      if (producer === start) return true;
      if (producer !== undefined && !seen.has(producer)) {
        seen.add(producer);
        open.push(producer);
      }
    }
  }
  return false;
}
