import type { Node } from '../../src/core/graph.ts';

/** Nodes in another order in which each comes after what it reads, as the draws have it. */
export function shuffled(nodes: readonly Node[], draws: Iterable<number>): Node[] {
  const next = draws[Symbol.iterator]();
  const waiting = new Set(nodes);
  const ordered: Node[] = [];
  while (waiting.size > 0) {
    const missing = new Set([...waiting].flatMap((n) => n.outputs));
    const ready = [...waiting].filter((n) => n.inputs.every((name) => !missing.has(name)));
    const node = ready[Number(next.next().value) % ready.length]!;
    waiting.delete(node);
    ordered.push(node);
  }
  return ordered;
}
