import type { Graph } from '../core/graph.ts';
import { readsOf } from './captures.ts';
import { Lifetimes } from './liveness.ts';

/**
 * The graph with its nodes in an order of low peak memory: the best that is found, never worse than the given one.
 *
 * Finding the very best is NP-hard (Sethi, 1975). What is tried goes result by result, always the one for which the fewest bytes are
 * still to be made, depth first: so the gradients of the last layer come first, each with its update, and nothing is computed
 * before something needs it. Beside that, what frees at least as much as it takes is done as soon as it can be.
 *
 * @param placed outputs that are written to memory which is there already, as the next state over the last one
 * @throws VersusError `input` for a value whose size is not known
 */
export function leastPeak(graph: Graph, placed: ReadonlySet<string> = new Set()): Graph {
  const lifetimes = new Lifetimes(graph, placed);
  const needs = needsOf(graph);
  const own = graph.nodes.map((_, i) => i);
  const forth = byResults(lifetimes, needs, 1);
  const back = byResults(lifetimes, needs, -1);
  const bases = [own, forth, back];
  const orders = [...bases, ...bases.map((order) => eager(lifetimes, needs, order, 0))];
  orders.push(eager(lifetimes, needs, forth, Number.POSITIVE_INFINITY));
  let [best, least] = [own, Number.POSITIVE_INFINITY];
  for (const order of orders) {
    const { bytes } = lifetimes.peak(order);
    if (bytes < least) [best, least] = [order, bytes];
  }
  return { ...graph, nodes: best.map((i) => graph.nodes[i]!) };
}

/** Indices of the nodes that each node reads from, ascending. */
function needsOf(graph: Graph): number[][] {
  const producers = new Map(graph.nodes.flatMap((n, i) => n.outputs.map((o) => [o, i] as const)));
  return graph.nodes.map((node) => {
    const found = new Set([...readsOf(node)].flatMap((name) => producers.get(name) ?? []));
    return [...found].sort((a, b) => a - b);
  });
}

/**
 * Depth first from one result after the other.
 * @param direction of what a node needs, the earliest (1) or the latest (-1) in the given order comes first
 */
function byResults({ uses, buffers }: Lifetimes, needs: readonly number[][], direction: 1 | -1): number[] {
  const made = uses.map((u) => u.makes.reduce((sum, b) => sum + buffers[b]!.bytes, 0));
  const read = new Set(needs.flat());
  const results = new Set(needs.keys());
  for (const index of read) results.delete(index);
  const done = new Uint8Array(needs.length);
  const seen = new Int32Array(needs.length);
  let round = 0;
  const missing = (result: number): number => {
    round++;
    let bytes = 0;
    const stack = [result];
    for (let i = stack.pop(); i !== undefined; i = stack.pop()) {
      if (done[i] || seen[i] === round) continue;
      seen[i] = round;
      bytes += made[i]!;
      stack.push(...needs[i]!);
    }
    return bytes;
  };
  const order: number[] = [];
  while (results.size > 0) {
    let [next, least] = [-1, Number.POSITIVE_INFINITY];
    for (const result of results) {
      const bytes = missing(result);
      if (bytes < least) [next, least] = [result, bytes];
    }
    results.delete(next);
    const stack = [next];
    while (stack.length > 0) {
      const index = stack.at(-1)!;
      const open = done[index] ? [] : needs[index]!.filter((i) => !done[i]);
      if (open.length > 0) {
        stack.push(open.at(direction === 1 ? 0 : -1)!);
        continue;
      }
      stack.pop();
      if (!done[index]) order.push(index);
      done[index] = 1;
    }
  }
  return order;
}

/**
 * The order with what adds least to the memory in use moved to where it can run first, where it adds `most` bytes or less: at 0, what
 * frees at least as much as it takes.
 */
function eager(
  lifetimes: Lifetimes,
  needs: readonly number[][],
  order: readonly number[],
  most: number,
): number[] {
  const { uses, buffers } = lifetimes;
  const left = buffers.map((b) => b.readers.length);
  const place = new Int32Array(order.length);
  order.forEach((index, i) => {
    place[index] = i;
  });
  const waits = needs.map((n) => n.length);
  const readers: number[][] = needs.map(() => []);
  needs.forEach((list, index) => {
    for (const need of list) readers[need]!.push(index);
  });
  const growth = (index: number): number => {
    const { reads, makes } = uses[index]!;
    let bytes = 0;
    for (const b of makes) if (left[b]! > 0 || buffers[b]!.lasts) bytes += buffers[b]!.bytes;
    for (const b of reads) if (left[b] === 1 && !buffers[b]!.lasts) bytes -= buffers[b]!.bytes;
    return bytes;
  };
  const ready = new Set(order.filter((index) => waits[index] === 0));
  const result: number[] = [];
  while (ready.size > 0) {
    let [first, next, least] = [-1, -1, most];
    for (const index of ready) {
      if (first < 0 || place[index]! < place[first]!) first = index;
      const bytes = growth(index);
      if (bytes < least || (bytes === least && (next < 0 || place[index]! < place[next]!)))
        [next, least] = [index, bytes];
    }
    if (next < 0) next = first;
    ready.delete(next);
    result.push(next);
    lifetimes.release(next, left);
    for (const reader of readers[next]!) if (--waits[reader]! === 0) ready.add(reader);
  }
  return result;
}
