import type { Graph, Node, Param } from '../core/graph.ts';
import { VERSUS } from '../graph/ops/index.ts';
import { freshNames, hasSubgraph, View } from './view.ts';

/** Longer chains of patterns that hang on each other don't occur in models. */
const MAX_SWEEPS = 16;

/** A pattern that was found, and what takes its place. */
export interface Match {
  /** The last node of the pattern; its results go on under their names. */
  readonly root: Node;
  /** The other nodes, all of whose results are read inside the pattern only. They go. */
  readonly inner: readonly Node[];
  /** What stands in the root's place, in order. */
  readonly nodes: readonly Node[];
  readonly params?: readonly Param[];
}

export type Finder = (
  node: Node,
  view: View,
  fresh: (wanted: string) => string,
) => Match | null | Promise<Match | null>;

/**
 * Replaces every pattern that `find` recognises, asked for each node in order; patterns never overlap, the first found wins.
 * What a pattern read besides its own values stays; parameters that nobody reads any more are left to `dropDead`.
 */
async function rewrite(graph: Graph, find: Finder): Promise<Graph> {
  const view = new View(graph);
  const fresh = freshNames(graph);
  const gone = new Set<Node>();
  const replaced = new Map<Node, readonly Node[]>();
  const params: Param[] = [];
  for (const node of graph.nodes) {
    if (gone.has(node) || replaced.has(node) || hasSubgraph(node)) continue;
    const match = await find(node, view, fresh);
    if (!match) continue;
    const { root, inner } = match;
    const own = [...new Set([...inner, root])];
    if (own.some((n) => gone.has(n) || replaced.has(n)) || !view.closed(inner, root)) continue;
    for (const n of own) if (n !== root) gone.add(n);
    replaced.set(root, match.nodes);
    params.push(...(match.params ?? []));
  }
  if (replaced.size === 0) return graph;
  const nodes = graph.nodes.flatMap((n) => (gone.has(n) ? [] : (replaced.get(n) ?? [n])));
  const ours = nodes.some((n) => n.domain === VERSUS) && { [VERSUS]: 1 };
  return { ...graph, opset: { ...graph.opset, ...ours }, params: [...graph.params, ...params], nodes };
}

/** Applies a rewriting until it finds nothing more: what one pattern becomes may be part of the next. */
export async function rewriteAll(graph: Graph, find: Finder): Promise<Graph> {
  let last = graph;
  for (let i = 0; i < MAX_SWEEPS; i++) {
    const next = await rewrite(last, find);
    if (next === last) break;
    last = next;
  }
  return last;
}
