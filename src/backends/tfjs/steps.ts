import type { Graph, Node } from '../../core/graph.ts';
import { kernelOf as hostKernelOf } from '../../graph/kernels/index.ts';
import { neededNodes } from '../../graph/needed.ts';
import { kernelOf } from './kernels/index.ts';
import type { Kernel } from './kernels/kernel.ts';

/** A node with all that is known of it before it runs. */
export interface Step {
  readonly node: Node;
  readonly kernel: Kernel | undefined;
  /** The host could compute it as well. */
  readonly hasHost: boolean;
  /** Its result follows from the shape of its input, whatever the numbers are. */
  readonly isShape: boolean;
  /** Values that nobody reads after this node. */
  readonly last: readonly string[];
}

/** What has to be computed for some outputs, and when each value can go. */
export function stepsFor(graph: Graph, fetch: readonly string[]): readonly Step[] {
  const seen = new Set(fetch);
  const steps: Step[] = [];
  for (const node of neededNodes(graph, fetch).reverse()) {
    const names = [...new Set([...node.inputs, ...node.outputs])];
    const last = names.filter((name) => name !== '' && !seen.has(name));
    for (const name of last) seen.add(name);
    steps.push({
      node,
      kernel: kernelOf(node),
      hasHost: hostKernelOf(node) !== undefined,
      isShape: node.op === 'Shape' || node.op === 'Size',
      last,
    });
  }
  return steps.reverse();
}
