import { expect } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { random, seedOf } from '../../src/core/random.ts';
import { elementCount, type Tensor, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { validateGraph } from '../../src/graph/validate.ts';
import type { Numbers } from '../../src/transform/view.ts';

/** A graph whose weights and buffers have no `data`, as an artifact has them, and where the numbers are. */
export interface Detached {
  readonly graph: Graph;
  readonly numbers: Numbers;
  readonly params: Tensors;
}

export function detach(graph: Graph): Detached {
  const params: Tensors = {};
  for (const { name, dtype, shape, data } of graph.params) if (data) params[name] = { dtype, shape, data };
  const bare = graph.params.map((p) => {
    const { data: _, ...rest } = p;
    return p.role === 'constant' ? p : rest;
  });
  const read = async ({ name }: { name: string }) => params[name]!;
  return { graph: { ...graph, params: bare }, numbers: { read }, params };
}

export type Pass = (graph: Graph, numbers: Numbers) => Graph | Promise<Graph>;

/** Largest |a − b| over all outputs, as a part of the largest |b|; infinite where type or shape differ. */
export function apart(a: Tensors, b: Tensors): number {
  let worst = 0;
  for (const [name, right] of Object.entries(b)) {
    const left = a[name];
    if (left?.dtype !== right.dtype || left.shape.join() !== right.shape.join())
      return Number.POSITIVE_INFINITY;
    const [x, y] = [toNumbers(left), toNumbers(right)];
    const scale = y.reduce((m, v) => Math.max(m, Number.isFinite(v) ? Math.abs(v) : 0), 1e-6);
    for (let i = 0; i < y.length; i++) {
      if (Object.is(x[i], y[i]) || x[i] === y[i]) continue;
      const distance = Math.abs(x[i]! - y[i]!) / scale;
      worst = Math.max(worst, Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance);
    }
  }
  return worst;
}

/**
 * Applies a pass to a graph with all its numbers and holds it to its promises: a valid graph with the same inputs and outputs
 * that computes the same, and on which the pass finds nothing more.
 * @returns the graph that the pass made
 */
export async function checkPass(graph: Graph, pass: Pass, feeds: Tensors, tolerance = 1e-5): Promise<Graph> {
  const bare = detach(graph);
  const before = JSON.stringify(bare.graph, (_, v) => (typeof v === 'bigint' ? `${v}` : v));
  const after = await pass(bare.graph, bare.numbers);
  expect(JSON.stringify(bare.graph, (_, v) => (typeof v === 'bigint' ? `${v}` : v))).toBe(before);
  validateGraph(after);
  expect(after.inputs).toEqual(graph.inputs);
  expect(after.outputs).toEqual(graph.outputs);
  const wanted = interpret(graph, {}, feeds);
  const found = interpret(after, bare.params, feeds);
  expect(apart(found, wanted)).toBeLessThanOrEqual(tolerance);
  const again = await pass(after, bare.numbers);
  expect(opsOf(again)).toEqual(opsOf(after));
  return after;
}

/** How many nodes of each operator a graph has; those of other domains with the domain in front. */
export function opsOf(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op, domain } of graph.nodes) {
    const name = domain ? `${domain}:${op}` : op;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** Random numbers in ±scale, the same for the same shape and seed. */
export function drawn(shape: readonly number[], seed: number, scale = 1): Tensor {
  const draw = random(seedOf(`${shape.join()}|${seed}`));
  const data = Float32Array.from({ length: elementCount(shape) }, () => scale * (2 * draw.uniform() - 1));
  return { dtype: 'float32', shape, data };
}
