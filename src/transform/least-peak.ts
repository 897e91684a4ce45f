import TinyQueue from 'tinyqueue';
import type { Graph } from '../core/graph.ts';
import { readsOf } from './captures.ts';
import { Lifetimes } from './liveness.ts';
import { Relation } from './relation.ts';

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
  const results = [...needs.keys()].filter((index) => !read.has(index));
  // Bytes that are still to be made for each result: what a node makes is taken off all that hang on it when it is placed.
  const hanging = new Relation(needs.length, results.length);
  results.forEach((index, r) => {
    hanging.add(index, r);
  });
  for (let i = needs.length - 1; i >= 0; i--) for (const need of needs[i]!) hanging.addAll(need, i);
  const missing = new Float64Array(results.length);
  made.forEach((bytes, i) => {
    if (bytes > 0) for (const r of hanging.of(i)) missing[r]! += bytes;
  });
  const done = new Uint8Array(needs.length);
  const order: number[] = [];
  const place = (index: number): void => {
    order.push(index);
    done[index] = 1;
    if (made[index]! > 0) for (const r of hanging.of(index)) missing[r]! -= made[index]!;
  };
  const open = new Set(results.keys());
  while (open.size > 0) {
    let [next, least] = [-1, Number.POSITIVE_INFINITY];
    for (const r of open) if (missing[r]! < least) [next, least] = [r, missing[r]!];
    open.delete(next);
    const stack = [results[next]!];
    while (stack.length > 0) {
      const index = stack.at(-1)!;
      const wanted = done[index] ? [] : needs[index]!.filter((i) => !done[i]);
      if (wanted.length > 0) {
        stack.push(wanted.at(direction === 1 ? 0 : -1)!);
        continue;
      }
      stack.pop();
      if (!done[index]) place(index);
    }
  }
  return order;
}

/** A node that can run, and the bytes that it adds. */
interface Offer {
  readonly index: number;
  readonly bytes: number;
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
  const growing = new TinyQueue<Offer>([], (a, b) => a.bytes - b.bytes || place[a.index]! - place[b.index]!);
  const earliest = new TinyQueue<Offer>([], (a, b) => place[a.index]! - place[b.index]!);
  const done = new Uint8Array(order.length);
  const offer = (index: number): void => {
    growing.push({ index, bytes: growth(index) });
  };
  const start = (index: number): void => {
    offer(index);
    earliest.push({ index, bytes: 0 });
  };
  for (const index of order) if (waits[index] === 0) start(index);
  const result: number[] = [];
  while (result.length < order.length) {
    // What is offered again, cheaper, leaves its dearer offers behind, which come up when it is done.
    while (done[growing.peek()?.index ?? -1]) growing.pop();
    while (done[earliest.peek()?.index ?? -1]) earliest.pop();
    const next = (growing.peek()!.bytes <= most ? growing : earliest).pop()!.index;
    done[next] = 1;
    result.push(next);
    lifetimes.release(next, left);
    for (const reader of readers[next]!) if (--waits[reader]! === 0) start(reader);
    // Whoever is the last to read something now frees it.
    for (const b of uses[next]!.reads) {
      if (left[b] !== 1 || buffers[b]!.lasts) continue;
      const last = buffers[b]!.readers.find((reader) => !done[reader])!;
      if (waits[last] === 0) offer(last);
    }
  }
  return result;
}
