import type { Graph, Node, Param } from '../core/graph.ts';
import { store } from '../graph/kernels/kernel.ts';
import { VERSUS } from '../graph/ops/index.ts';
import { type Attention, attentionAt, type Mask } from './attention-pattern.ts';
import { type Match, rewriteAll } from './rewrite.ts';
import { isOp, type View } from './view.ts';

/**
 * softmax(scale · q kᵀ + mask) v as one node, `versus:Attention` (see `graph/ops/fused.ts`), in the forms that models write:
 * factors on the scores, on queries, on keys or on several of them; masks added, or put in place of scores by Where with a
 * number of −1e30 or lower; k transposed by itself or split into heads and transposed at once; query heads that share keys as
 * rows of one product; windows that are part of the batch, but for a mask by window; Casts between floats, Identity and idle
 * Dropout in between.
 *
 * Not fused: what others read in between, factors that are not constant, factors on top of masks, a softmax along another
 * dimension, and whatever shapes are not certain to fit. The new node has the name of the softmax.
 */
export async function fuseAttention(graph: Graph): Promise<Graph> {
  return rewriteAll(graph, (node, view, fresh) => {
    const found = isOp(node, 'MatMul') ? attentionAt(node, view) : null;
    return found && fused(found, view, fresh);
  });
}

function fused(found: Attention, view: View, fresh: (wanted: string) => string): Match | null {
  const { q, k, perm, v, masks, scale, windows, root, inner } = found;
  const [own, ...others] = [q, k, v, root.outputs[0]!].map((name) => view.type(name)?.dtype);
  if (!own || !/float/.test(own) || others.some((dtype) => dtype !== own)) return null;
  const name = inner.find((node) => isOp(node, 'Softmax'))!.name;
  const nodes: Node[] = [];
  const params: Param[] = [];
  const add = (
    op: string,
    inputs: readonly string[],
    attrs: Node['attrs'] = {},
    output = fresh(`${root.outputs[0]}/${op}`),
  ): string => {
    nodes.push({ op, name: fresh(`${name}/${op}`), inputs, outputs: [output], attrs });
    return output;
  };
  const dtypes = masks.map((mask) => view.type('value' in mask ? mask.value : mask.fill)?.dtype);
  const dtype = dtypes[0];
  if (dtypes.some((other) => other !== dtype)) return null;
  const added = (mask: Mask): string => {
    if ('value' in mask) return mask.value;
    const zero = fresh(`${root.outputs[0]}/zero`);
    params.push({ name: zero, ...store(dtype!, [], Float64Array.of(0)), role: 'constant' });
    return add('Where', [mask.condition, ...(mask.keeps ? [zero, mask.fill] : [mask.fill, zero])]);
  };
  const key = perm.every((p, i) => p === i) ? k : add('Transpose', [k], { perm });
  const mask = masks
    .map(added)
    .reduce<string | null>((sum, m) => (sum === null ? m : add('Add', [sum, m])), null);
  const reshaped = (x: string, shape: readonly number[], output?: string): string => {
    const to = fresh(`${root.outputs[0]}/shape`);
    params.push({ name: to, ...store('int64', [shape.length], Float64Array.from(shape)), role: 'constant' });
    return add('Reshape', [x, to], {}, output);
  };
  const inputs = windows
    ? [reshaped(q, windows.q), reshaped(key, windows.k), reshaped(v, windows.v)]
    : [q, key, v];
  if (mask !== null) inputs.push(mask);
  const outputs = windows ? [fresh(`${root.outputs[0]}/windows`)] : root.outputs;
  nodes.push({ op: 'Attention', domain: VERSUS, name, inputs, outputs, attrs: { scale }, floats: ['scale'] });
  if (windows) reshaped(outputs[0]!, windows.out, root.outputs[0]!);
  return { root, inner, nodes, params };
}
