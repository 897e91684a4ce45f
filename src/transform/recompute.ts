import { VersusError } from '../core/errors.ts';
import type { Graph, Node } from '../core/graph.ts';
import { nodeCosts } from '../graph/cost.ts';
import { inferTypes } from '../graph/infer.ts';
import { bytesOf } from '../graph/ops/entry.ts';
import { readsOf } from './captures.ts';
import { Lifetimes } from './liveness.ts';
import { freshNames } from './view.ts';

/** Into how many parts the forward pass is cut; a model's depth is of this order. */
const PARTS = [2, 3, 4, 6, 8, 12, 16, 24, 32];
/** What is tried next must need at most this share of what was too large. */
const NEXT = 0.97;
/** Share of what a step needs beside what lives at once that a way of it still may need. */
const HOPE = 0.97;

export interface Budget {
  /** Output of the forward pass that all gradients come from. */
  readonly loss: string;
  /** Bytes that may be in use at once, counted as `bytesFor` counts. */
  readonly bytes: number;
  /** Bytes that a graph needs when all is done to it that will be. */
  readonly bytesFor: (graph: Graph) => number;
  /** Outputs that are written to memory which is there already. */
  readonly placed: ReadonlySet<string>;
}

interface Choice {
  readonly graph: Graph;
  readonly peak: number;
  readonly macs: number;
}

/**
 * The graph of a forward and a backward pass within a memory budget: parts of the forward pass keep only what later parts read, and
 * are computed once more when the backward pass comes to them (Chen et al., 2016). Results are the same to the bit. Of all that fits,
 * what computes the least again. To be run by what merges no equal
 * nodes (`training/opening.ts`), and in the order of the nodes.
 *
 * @param graph in the order in which it is to run
 * @throws VersusError `usage` when no way of it fits; says the least that is possible
 */
export function recomputed(graph: Graph, { loss, bytes, bytesFor, placed }: Budget): Graph {
  const whole = bytesFor(graph);
  if (whole <= bytes) return graph;
  // What lives at once is quickly told; all else that counts is about the same in every way.
  const rest = whole - new Lifetimes(graph, placed).peak(graph.nodes.keys()).bytes;
  const choices = ways(graph, loss, placed).sort((a, b) => a.macs - b.macs);
  const smallest = choices.reduce((a, b) => (b.peak < a.peak ? b : a), { graph, peak: whole, macs: 0 });
  let below = bytes - rest * HOPE;
  let least = whole;
  for (const choice of [...choices, smallest]) {
    if (choice.peak > below && choice !== smallest) continue;
    const needed = bytesFor(choice.graph);
    if (needed <= bytes) return choice.graph;
    least = Math.min(least, needed);
    below = Math.min(below, choice.peak * NEXT);
  }
  throw new VersusError('usage', `a step cannot fit into ${bytes} bytes: ${least} are the least possible`, {
    where: `graph ${graph.name}`,
    next: 'give it more memory, or train with a smaller batch or fewer parameters',
  });
}

/** Every cut into parts, with the first one, two … of these computed again. */
function ways(graph: Graph, loss: string, placed: ReadonlySet<string>): Choice[] {
  const { types } = inferTypes(graph, {});
  const costs = nodeCosts(graph, types);
  const cost = new Map(graph.nodes.map((node, i) => [node, costs[i]?.macs ?? 0]));
  const size = (name: string): number => {
    const { dtype, shape } = types.get(name)!;
    return bytesOf(dtype, shape as number[]);
  };
  const forward = forwardNodes(graph, loss);
  const choices: Choice[] = [];
  const seen = new Set<string>();
  for (const count of PARTS) {
    const parts = cut(graph, forward, count, size);
    for (let again = 1; again < parts.length; again++) {
      const key = parts
        .slice(0, again)
        .map((part) => part.at(-1)!.name)
        .join();
      if (seen.has(key)) continue;
      seen.add(key);
      const { graph: made, copies, names } = withCopies(graph, forward, parts.slice(0, again));
      const macs = copies.reduce((sum, node) => sum + cost.get(node)!, 0);
      const all = new Map([...types, ...[...names].map(([name, copy]) => [copy, types.get(name)!] as const)]);
      const { bytes } = new Lifetimes(made, placed, all).peak(made.nodes.keys());
      choices.push({ graph: made, macs, peak: bytes });
    }
  }
  return choices;
}

/** The nodes that the loss needs, in order. */
function forwardNodes(graph: Graph, loss: string): Set<Node> {
  const needed = new Set([loss]);
  const found = new Set<Node>();
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((o) => needed.has(o))) continue;
    found.add(node);
    for (const name of readsOf(node)) needed.add(name);
  }
  return new Set(graph.nodes.filter((node) => found.has(node)));
}

/**
 * The forward pass in parts with about as much of what the backward pass reads in each, cut where the least has to be kept for the
 * next part.
 */
function cut(
  graph: Graph,
  forward: ReadonlySet<Node>,
  count: number,
  size: (name: string) => number,
): Node[][] {
  const nodes = [...forward];
  const at = new Map(nodes.flatMap((node, i) => node.outputs.map((o) => [o, i] as const)));
  const last = new Map<string, number>();
  const saved = new Set<string>();
  for (const node of graph.nodes) {
    for (const name of readsOf(node)) {
      if (!at.has(name)) continue;
      if (forward.has(node)) last.set(name, at.get(node.outputs.find((o) => o !== '')!)!);
      else saved.add(name);
    }
  }
  const sums: number[] = [];
  const across = new Array<number>(nodes.length + 1).fill(0);
  nodes.forEach((node, i) => {
    const own = node.outputs.filter((o) => o !== '');
    sums.push((sums.at(-1) ?? 0) + own.reduce((n, o) => n + (saved.has(o) ? size(o) : 0), 0));
    for (const name of own) {
      for (let place = i; place < (last.get(name) ?? i); place++) across[place]! += size(name);
    }
  });
  const total = sums.at(-1)!;
  const ends: number[] = [];
  for (let part = 1; part < count; part++) {
    const [low, high] = [part - 0.5, part + 0.5].map((p) => (p * total) / count) as [number, number];
    let best = -1;
    sums.forEach((sum, i) => {
      if (sum >= low && sum <= high && i > (ends.at(-1) ?? -1) && (best < 0 || across[i]! < across[best]!))
        best = i;
    });
    if (best >= 0) ends.push(best);
  }
  const bounds = [...ends, nodes.length - 1];
  return bounds
    .map((end, i) => nodes.slice(i === 0 ? 0 : bounds[i - 1]! + 1, end + 1))
    .filter((part) => part.length > 0);
}

/**
 * The graph with parts of its forward pass computed again where something outside of it first reads them. What later parts read
 * is kept, and read by all.
 */
function withCopies(
  graph: Graph,
  forward: ReadonlySet<Node>,
  parts: readonly (readonly Node[])[],
): { graph: Graph; copies: readonly Node[]; names: ReadonlyMap<string, string> } {
  const partOf = new Map(parts.flatMap((part, i) => part.map((node) => [node, i] as const)));
  const made = new Map(
    [...partOf].flatMap(([node, part]) => node.outputs.map((o) => [o, { node, part }] as const)),
  );
  const given = new Set(graph.outputs.map((o) => o.name));
  const kept = new Set(given);
  for (const node of forward) {
    if (node.outputs.some((o) => given.has(o))) for (const name of node.outputs) kept.add(name);
    for (const name of readsOf(node)) if (made.get(name)?.part !== partOf.get(node)) kept.add(name);
  }
  const fresh = freshNames(graph);
  const names = new Map<string, string>();
  const nodes: Node[] = [];
  const copies: Node[] = [];
  const start = graph.nodes.findLastIndex((node) => forward.has(node));
  const again = (name: string): string => {
    const source = made.get(name);
    if (!source || kept.has(name)) return name;
    const known = names.get(name);
    if (known !== undefined) return known;
    const { node } = source;
    const inputs = node.inputs.map((input) => (input === '' ? '' : again(input)));
    for (const output of node.outputs) if (output !== '') names.set(output, fresh(`again/${output}`));
    const outputs = node.outputs.map((output) => names.get(output) ?? '');
    nodes.push({ ...node, name: fresh(`again/${node.name}`), inputs, outputs });
    copies.push(node);
    return names.get(name)!;
  };
  graph.nodes.forEach((node, i) => {
    const later = i > start && !forward.has(node);
    nodes.push(
      later ? { ...node, inputs: node.inputs.map((name) => (name === '' ? '' : again(name))) } : node,
    );
  });
  const { values: _, ...rest } = graph;
  return { graph: { ...rest, nodes }, copies, names };
}
