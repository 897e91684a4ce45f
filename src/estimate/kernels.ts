import type { Graph, Node } from '../core/graph.ts';
import { type NodeCost, nodeCosts } from '../graph/cost.ts';
import { elementwise } from '../graph/ops/elementwise.ts';
import type { Type } from '../graph/ops/entry.ts';
import { operatorOf } from '../graph/ops/index.ts';

/** Nodes that a good runtime runs as one: what it must read from memory, write to it, and compute. */
export interface Kernel {
  readonly op: string;
  readonly macs: number;
  /** Values and parameters read from memory, each once. */
  readonly reads: readonly string[];
  /** Values that are picked out of larger ones (gathers, slices): as much is read as they hold. */
  readonly picks: readonly string[];
  readonly writes: readonly string[];
}

/**
 * A graph as kernels when every run of elementwise operators and reshapes is fused with what feeds it: inside a kernel nothing
 * goes through memory. A value that is read outside its kernel, or is an output, is written once and read once per reader.
 * This is the least traffic that an ordinary runtime needs; attention that never writes its scores needs less.
 */
export function kernelsOf(graph: Graph, types: ReadonlyMap<string, Type>): Kernel[] {
  const producer = new Map<string, number>();
  graph.nodes.forEach((node, at) => {
    for (const output of node.outputs) if (output !== '') producer.set(output, at);
  });
  const group = graph.nodes.map((_, at) => at);
  const rootOf = (at: number): number => {
    let root = at;
    while (group[root] !== root) root = group[root]!;
    group[at] = root;
    return root;
  };
  graph.nodes.forEach((node, at) => {
    if (!fusable(node)) return;
    // Into the latest kernel that feeds it; another kernel's result is read from memory.
    const feeding = node.inputs.map((name) => producer.get(name)).filter((p) => p !== undefined);
    if (feeding.length > 0) group[at] = rootOf(Math.max(...feeding.map((p) => rootOf(p!))));
  });
  const members = new Map<number, number[]>();
  graph.nodes.forEach((_, at) => {
    const root = rootOf(at);
    members.set(root, [...(members.get(root) ?? []), at]);
  });
  const costs = nodeCosts(graph, types);
  const readers = readersOf(graph);
  const outputs = new Set(graph.outputs.map((o) => o.name));
  return [...members.entries()].map(([root, own]) => kernelOf(graph, root, own, costs, readers, outputs));
}

function kernelOf(
  graph: Graph,
  root: number,
  own: readonly number[],
  costs: readonly (NodeCost | null)[],
  readers: ReadonlyMap<string, readonly number[]>,
  outputs: ReadonlySet<string>,
): Kernel {
  const inside = new Set(own);
  const made = new Set(own.flatMap((at) => graph.nodes[at]!.outputs));
  const picking = own.filter((at) => operatorOf(graph.nodes[at]!)?.bytes === 'output');
  const whole = own.filter((at) => !picking.includes(at));
  const reads = new Set(
    whole.flatMap((at) => graph.nodes[at]!.inputs).filter((n) => n !== '' && !made.has(n)),
  );
  const writes = [...made].filter(
    (name) => name !== '' && (outputs.has(name) || readers.get(name)?.some((at) => !inside.has(at))),
  );
  // A kernel of nothing but views moves nothing.
  const idle = own.every((at) => operatorOf(graph.nodes[at]!)?.bytes === 'view');
  return {
    op: graph.nodes[root]!.op,
    macs: own.reduce((sum, at) => sum + (costs[at]?.macs ?? 0), 0),
    reads: idle ? [] : [...reads],
    picks: picking.flatMap((at) => graph.nodes[at]!.outputs),
    writes: idle ? [] : writes,
  };
}

function fusable(node: Node): boolean {
  return Object.hasOwn(elementwise, node.op) || operatorOf(node)?.bytes === 'view';
}

function readersOf(graph: Graph): Map<string, number[]> {
  const readers = new Map<string, number[]>();
  graph.nodes.forEach((node, at) => {
    for (const input of new Set(node.inputs)) {
      const list = readers.get(input);
      if (list) list.push(at);
      else readers.set(input, [at]);
    }
  });
  return readers;
}
