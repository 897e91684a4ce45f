import type { Graph } from '../core/graph.ts';
import { bytesPerElement } from '../core/tensor.ts';
import { inferTypes } from '../graph/infer.ts';
import { bytesOf } from '../graph/ops/entry.ts';
import { operatorOf } from '../graph/ops/index.ts';
import { readsOf } from '../transform/captures.ts';
import { overwritable } from '../transform/liveness.ts';

/** Memory of the arena that one value after the other lies in. */
export interface Planned {
  readonly bytes: number;
  /** The values, in the order in which they are made. */
  readonly values: string[];
  /** Index of the node that asks for it. */
  readonly from: number;
  /** Index of the last node that reads any of its values; past the last node where none does. */
  until: number;
}

/**
 * Which values onnxruntime (1.30, `allocation_planner.cc`) puts into the same memory: a result goes over an operand that ends there
 * where the kernel allows it, else into what was last freed of the same shape and width, else into new memory. Memory goes back to the
 * arena after the last of its values only, so it is held in the gaps between them, too.
 *
 * @param graph in the order in which it runs; its outputs lie elsewhere
 */
export function memoryPlan(graph: Graph): readonly Planned[] {
  const { types } = inferTypes(graph, {});
  const reads = graph.nodes.map((node) => {
    const inputs = node.inputs.filter((name) => name !== '');
    return [...inputs, ...[...readsOf(node)].filter((name) => !inputs.includes(name))];
  });
  const lasting = [...graph.inputs, ...graph.params, ...graph.outputs].map(({ name }) => name);
  const count = new Map<string, number>();
  const add = (name: string, n: number): number => {
    const now = (count.get(name) ?? 0) + n;
    count.set(name, now);
    return now;
  };
  for (const name of [...lasting, ...reads.flat()]) add(name, 1);
  for (const node of graph.nodes) for (const name of node.outputs) if (name !== '') add(name, 1);

  const outputs = new Set(graph.outputs.map((o) => o.name));
  const origin = new Map<string, string>();
  const originOf = (name: string): string => origin.get(name) ?? name;
  const plans = new Map<string, Planned>();
  const kinds = new Map<string, string>();
  const kind = (name: string): string => {
    const known = kinds.get(name);
    if (known !== undefined) return known;
    const { dtype, shape } = types.get(name)!;
    const found = `${bytesPerElement(dtype)} ${shape}`;
    kinds.set(name, found);
    return found;
  };
  /** What is free by its kind, what was freed last at the end. */
  const free = new Map<string, string[]>();
  const release = (first: string): void => {
    if (!plans.has(first)) return;
    const same = free.get(kind(first));
    if (same) same.push(first);
    else free.set(kind(first), [first]);
  };
  graph.nodes.forEach((node, index) => {
    node.outputs.forEach((name, i) => {
      if (name === '' || outputs.has(name)) return;
      const reused = operand(index, i) ?? dead(name);
      if (reused === undefined) {
        const { dtype, shape } = types.get(name)!;
        const bytes = bytesOf(dtype, shape as number[]);
        plans.set(name, { bytes, values: [name], from: index, until: graph.nodes.length });
        return;
      }
      const first = originOf(reused);
      origin.set(name, first);
      add(first, count.get(name)!);
      plans.get(first)?.values.push(name);
    });
    for (const name of [...reads[index]!, ...node.outputs]) {
      if (name === '') continue;
      const first = originOf(name);
      if (add(first, -1) === 0) release(first);
    }
    for (const name of reads[index]!) {
      const plan = plans.get(originOf(name));
      if (plan) plan.until = index;
    }
  });
  return [...plans.values()];

  /** An operand whose memory the result takes. */
  function operand(index: number, output: number): string | undefined {
    const node = graph.nodes[index]!;
    if (output > 0) return undefined;
    if (operatorOf(node)?.bytes === 'view') return node.inputs[0];
    const name = node.outputs[0]!;
    return overwritable(node).find((n) => count.get(originOf(n)) === 1 && kind(n) === kind(name));
  }

  function dead(name: string): string | undefined {
    if (types.get(name)!.shape.length === 0) return undefined;
    return free.get(kind(name))?.pop();
  }
}
