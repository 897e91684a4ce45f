import type { Node } from '../../../core/graph.ts';
import { byDomain } from '../../../graph/ops/index.ts';
import { elementwise } from './elementwise.ts';
import type { Kernel, KernelTable } from './kernel.ts';
import { products } from './matmul.ts';
import { views } from './views.ts';

/** Every operator that tfjs computes, by its ONNX name. */
const KERNELS: KernelTable = {
  ...elementwise,
  ...products,
  ...views,
};

/** What computes a node on an engine; undefined where none does. */
export function kernelOf(node: Pick<Node, 'op' | 'domain'>): Kernel | undefined {
  const table = byDomain(node, KERNELS, {});
  return table && Object.hasOwn(table, node.op) ? table[node.op] : undefined;
}
