import type { Node } from '../core/graph.ts';
import { readsOf } from './captures.ts';

/**
 * The order in which onnxruntime (1.30) runs the nodes of a file, without its own optimisations: depth first from the nodes that
 * no other reads. Of these, and of the nodes that a node reads, the one that is last in the file comes first, with all that it needs.
 *
 * @param nodes as they are in the file, in any order
 */
export function executed(nodes: readonly Node[]): Node[] {
  const needs = needsOf(nodes);
  const read = new Set([...needs.values()].flat());
  const done = new Set<Node>();
  const order: Node[] = [];
  const stack = nodes.filter((node) => !read.has(node)).map((node) => ({ node, leave: false }));
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { node, leave } = top;
    if (leave) order.push(node);
    if (leave || done.has(node)) continue;
    done.add(node);
    stack.push({ node, leave: true });
    for (const need of needs.get(node)!) if (!done.has(need)) stack.push({ node: need, leave: false });
  }
  return order;
}

/**
 * Nodes that a last one has to read, in this order, so that depth first from it is the given order: `executed` of the reversed nodes
 * with such a node is then `nodes` and that node.
 *
 * A stack holds what is complete: each entry a run of the order that ends in the node that is the root of all of it. A node takes the
 * entries on top that it reads from, since it would run them itself, in their order; not where it reads from within one, too, whose
 * part it would run before the whole.
 *
 * @param nodes in an order in which each comes after what it reads
 */
export function anchors(nodes: readonly Node[]): Node[] {
  const at = new Map(nodes.map((node, i) => [node, i]));
  const needs = needsOf(nodes);
  const stack: { readonly from: number; readonly root: number }[] = [];
  nodes.forEach((node, root) => {
    const read = needs.get(node)!.map((n) => at.get(n)!);
    let from = root;
    for (let top = stack.at(-1); top && read.at(-1) === top.root; top = stack.at(-1)) {
      const last = read.length - 1;
      if (last > 0 && read[last - 1]! >= top.from) break;
      read.pop();
      from = stack.pop()!.from;
    }
    stack.push({ from, root });
  });
  return stack.map(({ root }) => nodes[root]!);
}

/** The nodes that each node reads from, in the order of the list. */
function needsOf(nodes: readonly Node[]): Map<Node, Node[]> {
  const at = new Map(nodes.map((node, i) => [node, i]));
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((o) => [o, node] as const)));
  const needs = (node: Node): Node[] => {
    const found = new Set([...readsOf(node)].flatMap((name) => producers.get(name) ?? []));
    return [...found].sort((a, b) => at.get(a)! - at.get(b)!);
  };
  return new Map(nodes.map((node) => [node, needs(node)]));
}
