import type { Node } from '../../core/graph.ts';
import { byDomain } from '../ops/index.ts';
import { binary } from './binary.ts';
import { cast } from './cast.ts';
import { contrib } from './contrib.ts';
import { convolution } from './conv.ts';
import { creation } from './create.ts';
import { summation } from './einsum.ts';
import { fusions } from './fused.ts';
import { indexing } from './gather.ts';
import type { Kernel, KernelTable } from './kernel.ts';
import { losses } from './loss.ts';
import { matrix } from './matmul.ts';
import { blocked } from './matmul-nbits.ts';
import { movement } from './move.ts';
import { normalisation } from './normalise.ts';
import { acrossNormalisation } from './normalise-across.ts';
import { pools } from './pool.ts';
import { quantisation } from './quantise.ts';
import { reduction } from './reduce.ts';
import { resampling } from './resize.ts';
import { softmaxes } from './softmax.ts';
import { unary } from './unary.ts';
import { views } from './views.ts';

/** Every operator that the reference interpreter computes, by its ONNX name. */
export const KERNELS: KernelTable = {
  ...binary,
  ...cast,
  ...convolution,
  ...creation,
  ...indexing,
  ...losses,
  ...matrix,
  ...movement,
  ...normalisation,
  ...acrossNormalisation,
  ...pools,
  ...quantisation,
  ...reduction,
  ...resampling,
  ...softmaxes,
  ...summation,
  ...unary,
  ...views,
};

const MICROSOFT_KERNELS: KernelTable = { ...blocked, ...contrib };

/** What computes a node; undefined where the interpreter lacks it. */
export function kernelOf(node: Pick<Node, 'op' | 'domain'>): Kernel | undefined {
  const table = byDomain(node, KERNELS, MICROSOFT_KERNELS, fusions);
  return table && Object.hasOwn(table, node.op) ? table[node.op] : undefined;
}
