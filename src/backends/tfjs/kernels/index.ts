import type { Node } from '../../../core/graph.ts';
import { byDomain } from '../../../graph/ops/index.ts';
import { convolutions } from './conv.ts';
import { transposedConvolutions } from './conv-transpose.ts';
import { depths } from './depth.ts';
import { elementwise } from './elementwise.ts';
import type { Kernel, KernelTable } from './kernel.ts';
import { matrix } from './matmul.ts';
import { pools } from './pool.ts';
import { views } from './views.ts';

/** Every operator that tfjs computes, by its ONNX name. */
const KERNELS: KernelTable = {
  ...convolutions,
  ...transposedConvolutions,
  ...depths,
  ...elementwise,
  ...matrix,
  ...pools,
  ...views,
};

/** What computes a node on an engine; undefined where none does. */
export function kernelOf(node: Pick<Node, 'op' | 'domain'>): Kernel | undefined {
  const table = byDomain(node, KERNELS, {});
  return table && Object.hasOwn(table, node.op) ? table[node.op] : undefined;
}
