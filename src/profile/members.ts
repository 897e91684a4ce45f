import type { NodeTime } from '../core/backend.ts';
import type { Graph, Node } from '../core/graph.ts';
import { elementwise } from '../graph/ops/elementwise.ts';
import { operatorOf } from '../graph/ops/index.ts';

/** What onnxruntime (1.30) appends to, or puts before, the name of a node that it rewrites, or of the value that it computes. */
const DECORATIONS = [
  /^fused /,
  /^InsertedPrecisionFreeCast_/,
  /_nchwc$/,
  /_token_\d+$/,
  /\/\w*Fusion\/?$/,
  /_transformed$/,
];

/** Operators that are one kind of work under several names. */
const KIND: Readonly<Record<string, string>> = {
  FusedConv: 'Conv',
  NhwcFusedConv: 'Conv',
  NhwcConv: 'Conv',
  Gemm: 'MatMul',
  FusedGemm: 'MatMul',
  FusedMatMul: 'MatMul',
  FusedMatMulActivation: 'MatMul',
  TransposeMatMul: 'MatMul',
  MatMulBias: 'MatMul',
};
const kindOf = (op: string): string => (Object.hasOwn(KIND, op) ? KIND[op]! : op);

/** At most this many nodes are walked back from a node to what it was fused with: conv, norm, residual, activation. */
const REACH = 4;

/**
 * Which nodes of the graph each node that ran stands for, by position; null where that is not known. The backend's own word
 * counts first. Else it is the node of that name, or the one that computes the value of that name, freed of what runtimes
 * decorate names with. Where that is another kind of
 * operator, the node is one that was fused behind what it follows: a convolution under the name of its activation. It then
 * stands for that and all between, if only one node of the kind lies within reach that did not run by itself.
 */
export function membersOf(graph: Graph, times: readonly NodeTime[]): (readonly number[] | null)[] {
  const byName = new Map<string, number>();
  graph.nodes.forEach((node, at) => {
    // A name that two nodes have tells neither.
    byName.set(node.name, byName.has(node.name) ? -1 : at);
  });
  const producer = new Map<string, number>();
  graph.nodes.forEach((node, at) => {
    for (const output of node.outputs) producer.set(output, at);
  });
  const named = (name: string): number | undefined => {
    const at = name === '' ? undefined : (byName.get(name) ?? producer.get(name));
    return at === -1 ? undefined : at;
  };
  const anchors = times.map((time) => named(time.name) ?? named(plainName(time.name)));
  // What ran under its own name was not fused into anything else.
  const apart = new Set(anchors.filter((at) => at !== undefined));
  return times.map((time, i) => {
    if (time.of) {
      const own = time.of.map(named);
      return own.every((at) => at !== undefined) && own.length > 0 ? (own as number[]) : null;
    }
    const at = anchors[i];
    if (at === undefined) return null;
    if (kindOf(graph.nodes[at]!.op) === kindOf(time.op)) return [at];
    return fusedBehind(graph, producer, apart, at, kindOf(time.op));
  });
}

function plainName(name: string): string {
  let plain = name;
  for (let before = ''; before !== plain; ) {
    before = plain;
    for (const decoration of DECORATIONS) plain = plain.replace(decoration, '');
  }
  return plain;
}

/** From node `at` back to the one node of `kind`, by way of nodes that run along with it; null where there is none, or several. */
function fusedBehind(
  graph: Graph,
  producer: ReadonlyMap<string, number>,
  apart: ReadonlySet<number>,
  at: number,
  kind: string,
): number[] | null {
  const found: number[][] = [];
  const walk = (node: number, path: readonly number[]): void => {
    const own = [node, ...path];
    if (kindOf(graph.nodes[node]!.op) === kind) {
      found.push(own);
      return;
    }
    if (!runsAlong(graph.nodes[node]!) || own.length > REACH) return;
    for (const input of graph.nodes[node]!.inputs) {
      const before = producer.get(input);
      if (before !== undefined && !apart.has(before)) walk(before, own);
    }
  };
  walk(at, []);
  return found.length === 1 ? found[0]! : null;
}

/** Cheap work that runtimes hang on to what comes before it. */
function runsAlong(node: Node): boolean {
  return (
    Object.hasOwn(elementwise, node.op) ||
    node.op === 'BatchNormalization' ||
    operatorOf(node)?.bytes === 'view'
  );
}
