import type { Graph, Param } from '../core/graph.ts';
import { elementCount } from '../core/tensor.ts';
import { inferShapes } from '../graph/infer.ts';
import { dropDead } from './drop-dead.ts';
import { foldBatchNorm } from './fold-batchnorm.ts';
import { foldConstants } from './fold-constants.ts';
import { fuseAttention } from './fuse-attention.ts';
import { fuseLinear } from './fuse-linear.ts';
import { recogniseActivations } from './recognise-activation.ts';
import { recogniseNorms } from './recognise-norm.ts';
import { recogniseSoftmax } from './recognise-softmax.ts';
import type { Numbers } from './view.ts';

export type { Numbers } from './view.ts';

type Pass = (graph: Graph, numbers: Numbers) => Graph | Promise<Graph>;

/** Constants above this are data; shapes, axes and factors are far below. */
const SMALL = 1024;

const BASIC: readonly Pass[] = [withConstants, foldConstants, dropDead, foldBatchNorm, dropDead];
/** Products come last: they would take the transposes and factors that attention is recognised by. */
const FUSING: readonly Pass[] = [
  ...[recogniseNorms, recogniseActivations, recogniseSoftmax, dropDead],
  ...[fuseAttention, fuseLinear, foldConstants, dropDead],
];

/**
 * The graph as an executor without an optimiser of its own should run it: the same inputs and outputs, the same results up to
 * rounding, fewer and larger nodes.
 *
 * - `basic`: constants folded, dead nodes dropped, batch normalisations folded. Standard operators only.
 * - `all` (the default): patterns recognised and fused besides. The result is for executors that know the operators of
 *   `graph/ops/fused.ts` and standard ones newer than the graph's operator set (LayerNormalization, Gelu, Swish,
 *   RMSNormalization); it is no ONNX file any more.
 * - `disabled`: the graph as it is.
 *
 * Parameters that are made here carry their `data`; those of the graph that are left keep their names and numbers. `values`
 * holds the types of all values.
 *
 * @param numbers asked for weights that are folded, a few at a time
 * @throws VersusError `input` where the graph's shapes contradict each other, and whatever `numbers` throws
 */
export async function optimise(
  graph: Graph,
  numbers: Numbers,
  options: { readonly level?: 'disabled' | 'basic' | 'all' } = {},
): Promise<Graph> {
  const level = options.level ?? 'all';
  if (level === 'disabled') return graph;
  let made = graph;
  for (const pass of level === 'basic' ? BASIC : [...BASIC, ...FUSING]) made = await pass(made, numbers);
  return { ...inferShapes(made), inputs: graph.inputs, outputs: graph.outputs };
}

/** The graph with the numbers of its small constants: in files with all data outside not even shapes are known without. */
async function withConstants(graph: Graph, numbers: Numbers): Promise<Graph> {
  const isOpen = (p: Param): boolean =>
    p.role === 'constant' && !p.data && !p.packed && elementCount(p.shape) <= SMALL;
  if (!graph.params.some(isOpen)) return graph;
  const params: Param[] = [];
  for (const p of graph.params) params.push(isOpen(p) ? { ...p, data: (await numbers.read(p)).data } : p);
  return { ...graph, params };
}
