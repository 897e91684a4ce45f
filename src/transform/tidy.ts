import type { Graph, Node, Param } from '../core/graph.ts';
import { int64 } from '../core/tensor.ts';
import { freshNames, isOp, pinnedNames, View } from './view.ts';

/**
 * The graph without moves that another takes back, as gradients written rule by rule have them: of Transposes in a row, and of
 * Reshapes, one is left, none where everything is in its place again. What was read in between stays for its readers.
 */
export function tidy(graph: Graph): Graph {
  const view = new View(graph);
  const fresh = freshNames(graph);
  const pinned = pinnedNames(graph);
  const params: Param[] = [];
  /** Values that are another's elements in its own order and shape. */
  const same = new Map<string, string>();
  const made = new Map<string, Node>();
  const nodes: Node[] = [];
  for (const given of graph.nodes) {
    const inputs = given.inputs.map((name) => same.get(name) ?? name);
    const node = joined({ ...given, inputs });
    const output = node.outputs[0]!;
    if (isIdle(node) && !pinned.has(output)) same.set(output, node.inputs[0]!);
    else {
      nodes.push(node);
      if (isOp(node, 'Transpose', 'Reshape')) made.set(output, node);
    }
  }
  return { ...graph, params: [...graph.params, ...params], nodes };

  /** A move of what was moved likewise, as one of where that came from. */
  function joined(node: Node): Node {
    const before = made.get(node.inputs[0]!);
    if (!before || before.op !== node.op || before.domain !== node.domain) return node;
    if (!isOp(node, 'Transpose', 'Reshape')) return node;
    const from = before.inputs[0]!;
    if (isOp(node, 'Transpose')) {
      const [first, second] = [before, node].map((n) => n.attrs.perm as readonly number[] | undefined);
      if (!first || !second) return node;
      return { ...node, inputs: [from], attrs: { perm: second.map((axis) => first[axis]!) } };
    }
    const shape = sizesOf(node.outputs[0]!);
    if (!shape) return node;
    const target = fresh(`${node.name}/shape`);
    params.push({ name: target, role: 'constant', ...int64([shape.length], shape) });
    return { ...node, inputs: [from, target], attrs: {} };
  }

  function isIdle(node: Node): boolean {
    if (isOp(node, 'Transpose')) {
      const perm = node.attrs.perm as readonly number[] | undefined;
      return perm?.every((axis, i) => axis === i) ?? false;
    }
    if (!isOp(node, 'Reshape')) return false;
    const [before, after] = [sizesOf(node.inputs[0]!), sizesOf(node.outputs[0]!)];
    return before !== null && after !== null && before.join() === after.join();
  }

  /** Where all of a shape is known and nothing is empty, which Reshape would take for a dimension to be kept. */
  function sizesOf(name: string): readonly number[] | null {
    const shape = view.type(name)?.shape;
    return shape?.every((d) => typeof d === 'number' && d > 0) ? (shape as readonly number[]) : null;
  }
}
