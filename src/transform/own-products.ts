import type { Graph, Node } from '../core/graph.ts';
import { MICROSOFT } from '../graph/ops/index.ts';
import { freshNames, isOp, View } from './view.ts';

/**
 * Products with transposed operands in the forms that onnxruntime's cpu computes fastest (1.30, per product of a training step):
 *
 * - matrices: what stands transposed on the left is transposed by a node of its own, once for all products that read it, which
 *   costs less than the fifth that a Gemm with `transA` loses; on the right it is free, and Gemm's `transB` stays;
 * - batches of matrices: `com.microsoft.FusedMatMul`, which reads operands as they lie, in place of transposed copies that
 *   nothing else reads; one thread would make those.
 *
 * Results are the same up to the order of summation. For graphs that nothing is to optimise after.
 */
export function ownProducts(graph: Graph): Graph {
  const view = new View(graph);
  const fresh = freshNames(graph);
  const turned = new Map<string, string>();
  const nodes = graph.nodes.flatMap((node): readonly Node[] => {
    if (isOp(node, 'MatMul')) return [batched(node, view)];
    if (!isOp(node, 'Gemm') || !isTransposedLeft(node)) return [node];
    const [a, b] = node.inputs as [string, string];
    const known = turned.get(a);
    const name = known ?? fresh(`${node.name}/Transpose`);
    turned.set(a, name);
    const transpose: Node = { op: 'Transpose', name, inputs: [a], outputs: [name], attrs: { perm: [1, 0] } };
    const product: Node = { ...node, op: 'MatMul', inputs: [name, b], attrs: {} };
    return known === undefined ? [transpose, product] : [product];
  });
  const { values: _, ...rest } = graph;
  const ours = nodes.some((n) => n.domain === MICROSOFT) && { [MICROSOFT]: 1 };
  return { ...rest, opset: { ...ours, ...graph.opset }, nodes };
}

/** A Gemm of Aᵀ B and nothing else. */
function isTransposedLeft({ inputs, attrs }: Node): boolean {
  const { transA = 0, transB = 0, alpha = 1 } = attrs;
  return inputs.length === 2 && transA === 1 && transB === 0 && alpha === 1;
}

function batched(node: Node, view: View): Node {
  const [left, right] = node.inputs.map((name) => exchanged(name, node, view));
  if (!left && !right) return node;
  const inputs = [left ?? node.inputs[0]!, right ?? node.inputs[1]!];
  const attrs = { ...(left && { transA: 1 }), ...(right && { transB: 1 }) };
  return { ...node, op: 'FusedMatMul', domain: MICROSOFT, inputs, attrs };
}

/** What a Transpose of the last two of three dimensions or more reads, when its result is for this product alone. */
function exchanged(name: string, reader: Node, view: View): string | null {
  const node = view.producer(name, 'Transpose');
  if (!node || view.soleReader(name) !== reader || reader.inputs[0] === reader.inputs[1]) return null;
  const perm = node.attrs.perm as readonly number[] | undefined;
  const rank = perm?.length ?? 0;
  const swaps = perm?.every((p, i) => p === (i < rank - 2 ? i : 2 * rank - 3 - i));
  return rank > 2 && swaps ? node.inputs[0]! : null;
}
