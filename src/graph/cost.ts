import { VersusError } from '../core/errors.ts';
import type { Graph, Node } from '../core/graph.ts';
import { elementCount } from '../core/tensor.ts';
import { inferTypes } from './infer.ts';
import { bytesOf, type CostContext, type OpEntry, type Type } from './ops/entry.ts';
import { operatorOf } from './ops/index.ts';

/** What one run of a graph costs, from its shapes alone. */
export interface GraphCost {
  /**
   * Multiply–accumulates, counted as fvcore does and timm's tables are: convolutions and matrix products, plus 5 per element
   * of a layer or group normalisation, 2 of a batch normalisation and 1 of a global average pool; biases, activations and
   * softmax are 0 (ResNet-50 at 224²: 4.11 G, of which 4.09 G are convolutions and the classifier).
   */
  readonly macs: number;
  /** Bytes that all nodes read and write when nothing is fused or cached; weights are read once per use. */
  readonly bytesMoved: number;
  /** Elements of learnt parameters; a tied weight counts once. */
  readonly parameters: number;
  /** Bytes of learnt parameters and buffers as they lie on disk. */
  readonly weightBytes: number;
  readonly nodes: number;
  /** Nodes by operator. */
  readonly operators: Readonly<Record<string, number>>;
  /** Operators whose cost is not known (not in the operator table, or of sizes that depend on data) and is missing above. */
  readonly unknown: readonly string[];
}

/**
 * Costs of one run of `graph` with symbolic dimensions set to `dims`.
 * @throws VersusError `input` when an input has a dimension that `dims` doesn't give, or the shapes contradict each other
 */
export function graphCost(graph: Graph, dims: Readonly<Record<string, number>>): GraphCost {
  const { types, inputs } = inferTypes(graph, dims);
  for (const input of inputs) {
    const open = input.shape.find((d) => typeof d === 'string');
    if (open === undefined) continue;
    throw new VersusError('input', `the size of dimension ${open} of input ${input.name} is not given`, {
      where: `graph ${graph.name}`,
      next: `Give a size for ${open}.`,
    });
  }
  let macs = 0;
  let bytesMoved = 0;
  const operators: Record<string, number> = {};
  const unknown = new Set<string>();
  nodeCosts(graph, types).forEach((cost, i) => {
    const node = graph.nodes[i]!;
    const label = node.domain ? `${node.domain}.${node.op}` : node.op;
    operators[label] = (operators[label] ?? 0) + 1;
    if (!cost) unknown.add(label);
    macs += cost?.macs ?? 0;
    bytesMoved += cost?.bytes ?? 0;
  });
  // A weight in blocks is what it was before, and counts once beside what is kept of it in one piece.
  const learnt = new Map<string, number>();
  let weightBytes = 0;
  for (const p of graph.params) {
    const { name, role, shape } = p.packed?.of ?? p;
    if (role === 'weight') learnt.set(name, elementCount(shape));
    if (role !== 'constant') weightBytes += bytesOf(p.dtype, p.shape);
  }
  const parameters = [...learnt.values()].reduce((n, size) => n + size, 0);
  return {
    macs,
    bytesMoved,
    parameters,
    weightBytes,
    nodes: graph.nodes.length,
    operators,
    unknown: [...unknown].sort(),
  };
}

/** Multiply–accumulates of a node, and the bytes that it reads and writes when it is run by itself. */
export interface NodeCost {
  readonly macs: number;
  readonly bytes: number;
}

/** The cost of every node, in order; null where the table lacks the operator or a size is not known. */
export function nodeCosts(graph: Graph, types: ReadonlyMap<string, Type>): (NodeCost | null)[] {
  return graph.nodes.map((node) => nodeCost(node, types));
}

function nodeCost(node: Node, types: ReadonlyMap<string, Type>): NodeCost | null {
  const entry = operatorOf(node);
  const sized = (name: string): readonly number[] | null => {
    const shape = types.get(name)?.shape;
    return shape?.every((d) => typeof d === 'number') ? (shape as readonly number[]) : null;
  };
  const named = [...node.inputs, ...node.outputs].filter((n) => n !== '');
  if (!entry || named.some((n) => sized(n) === null)) return null;
  const shapeOf = (name: string | undefined): readonly number[] => (name ? (sized(name) ?? []) : []);
  const c: CostContext = {
    node,
    input: (i) => shapeOf(node.inputs[i]),
    output: (i) => shapeOf(node.outputs[i]),
  };
  const bytes = (names: readonly string[]) =>
    names.reduce((n, name) => (name === '' ? n : n + bytesOf(types.get(name)!.dtype, shapeOf(name))), 0);
  return { macs: entry.macs?.(c) ?? 0, bytes: movedBytes(entry, bytes(node.inputs), bytes(node.outputs)) };
}

function movedBytes(entry: OpEntry, read: number, written: number): number {
  if (entry.bytes === 'view') return 0;
  return entry.bytes === 'output' ? 2 * written : read + written;
}
