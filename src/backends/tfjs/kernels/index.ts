import type { Node } from '../../../core/graph.ts';
import { byDomain } from '../../../graph/ops/index.ts';
import { attentions } from './attention.ts';
import { casts } from './cast.ts';
import { convolutions } from './conv.ts';
import { transposedConvolutions } from './conv-transpose.ts';
import { creation } from './create.ts';
import { depths } from './depth.ts';
import { summations } from './einsum.ts';
import { elementwise } from './elementwise.ts';
import { fusedConvolutions } from './fused-conv.ts';
import { indexing } from './gather.ts';
import { samplings } from './grid-sample.ts';
import type { Kernel, KernelTable } from './kernel.ts';
import { losses } from './loss.ts';
import { fusedProducts, products } from './matmul.ts';
import { blocked } from './matmul-nbits.ts';
import { normalisations } from './normalise.ts';
import { batchNormalisations } from './normalise-batch.ts';
import { overwriting } from './over.ts';
import { padding } from './pad.ts';
import { parts } from './parts.ts';
import { pools } from './pool.ts';
import { quantisation } from './quantise.ts';
import { reductions } from './reduce.ts';
import { resampling } from './resize.ts';
import { scattering } from './scatter.ts';
import { softmaxes } from './softmax.ts';
import { unary } from './unary.ts';
import { views } from './views.ts';

/** Every operator that tfjs computes, by its ONNX name. */
const KERNELS: KernelTable = {
  ...batchNormalisations,
  ...casts,
  ...convolutions,
  ...creation,
  ...depths,
  ...elementwise,
  ...products,
  ...indexing,
  ...losses,
  ...normalisations,
  ...overwriting,
  ...padding,
  ...parts,
  ...pools,
  ...quantisation,
  ...reductions,
  ...resampling,
  ...samplings,
  ...scattering,
  ...softmaxes,
  ...summations,
  ...transposedConvolutions,
  ...unary,
  ...views,
};

/** The operators that our own passes make, by their names (graph/ops/fused.ts). */
const FUSED: KernelTable = { ...attentions, ...fusedConvolutions, ...fusedProducts };

/** What computes a node on an engine; undefined where none does. */
export function kernelOf(node: Pick<Node, 'op' | 'domain'>): Kernel | undefined {
  const table = byDomain(node, KERNELS, blocked, FUSED);
  return table && Object.hasOwn(table, node.op) ? table[node.op] : undefined;
}
