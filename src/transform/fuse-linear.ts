import type { Attribute, Graph, Node, Param } from '../core/graph.ts';
import { elementCount } from '../core/tensor.ts';
import { VERSUS } from '../graph/ops/index.ts';
import { type Match, rewriteAll } from './rewrite.ts';
import { isOp, type Numbers, tensorOf, type View } from './view.ts';

type Attrs = Record<string, Attribute>;

/**
 * Products and convolutions with what follows them at once: MatMul and Gemm with a constant factor, a constant bias and an
 * activation become `versus:FusedMatMul`, Conv with an activation `versus:FusedConv` (see `graph/ops/fused.ts`). A Transpose of
 * the last two dimensions in front of a product, for it alone, becomes `transA` or `transB`.
 *
 * Activations are Relu, LeakyRelu, Sigmoid, Elu with α = 1, and Clip from 0 to 6. What another node, or the graph's user,
 * reads in between stays as it is. A Gemm or Conv with nothing behind it stays what it is. The fused node has the product's name.
 */
export async function fuseLinear(graph: Graph, numbers: Numbers): Promise<Graph> {
  return rewriteAll(graph, async (node, view, fresh) => {
    if (isOp(node, 'Conv')) return fusedConv(node, view);
    return isOp(node, 'MatMul', 'Gemm') ? fusedMatMul(node, view, numbers, fresh) : null;
  });
}

function fusedConv(node: Node, view: View): Match | null {
  const found = activationAfter(node, view);
  if (!found) return null;
  const { root, attrs } = found;
  const fused: Node = {
    ...node,
    op: 'FusedConv',
    domain: VERSUS,
    outputs: root.outputs,
    attrs: { ...node.attrs, ...attrs },
    ...floatsOf(attrs),
  };
  return { root, inner: [node], nodes: [fused] };
}

async function fusedMatMul(
  node: Node,
  view: View,
  numbers: Numbers,
  fresh: (wanted: string) => string,
): Promise<Match | null> {
  const type = view.type(node.outputs[0]);
  if (!type || !/float/.test(type.dtype) || type.shape.length < 2) return null;
  const columns = type.shape.at(-1)!;
  const { alpha: given = 1, beta = 1, transA = 0, transB = 0 } = node.attrs;
  const [a, b, own] = node.inputs as [string, string, string | undefined];
  // A vector times a batch gives more than a vector, and is no product of matrices.
  if (rankOf(view, a) < 2 || rankOf(view, b) < 2) return null;
  if (own && (beta !== 1 || !isRow(view.type(own)?.shape, columns))) return null;
  const [left, right] = [transposed(a, node, view), transposed(b, node, view)];
  const inner = [node, ...[left, right].flatMap((t) => (t ? [t] : []))];
  let root = node;
  let alpha = Number(given);
  let bias = own ? own : undefined;
  for (let next = bias ? null : scaleAfter(root, view); next; next = scaleAfter(root, view)) {
    alpha *= next.factor;
    root = next.root;
    inner.push(root);
  }
  const added = bias ? null : biasAfter(root, view, columns);
  if (added) {
    ({ root, bias } = added);
    inner.push(root);
  }
  const activation = activationAfter(root, view);
  root = activation?.root ?? root;
  if (root === node && !left && !right) return null;
  const vector = await asVector(bias, view, numbers, fresh);
  if (bias && !vector) return null;
  const attrs: Attrs = {
    ...(alpha !== 1 && { alpha }),
    ...((transA !== 0) !== Boolean(left) && { transA: 1 }),
    ...((transB !== 0) !== Boolean(right) && { transB: 1 }),
    ...activation?.attrs,
  };
  const inputs = [left?.inputs[0] ?? a, right?.inputs[0] ?? b, ...(vector ? [vector.name] : [])];
  const fused: Node = {
    ...{ op: 'FusedMatMul', domain: VERSUS, name: node.name, inputs, outputs: root.outputs, attrs },
    ...floatsOf(attrs),
  };
  return { root, inner, nodes: [fused], params: vector?.made ? [vector.made] : [] };
}

/** A Transpose of the last two dimensions that only this product reads. */
function transposed(name: string, reader: Node, view: View): Node | null {
  const node = view.producer(name, 'Transpose');
  const rank = view.type(name)?.shape.length ?? 0;
  if (!node || rank < 2 || view.soleReader(name) !== reader) return null;
  const perm = (node.attrs.perm ?? []) as readonly number[];
  const plain = rank === 2 && perm.length === 0;
  const swaps = perm.length === rank && perm.every((p, i) => p === (i < rank - 2 ? i : 2 * rank - 3 - i));
  return plain || swaps ? node : null;
}

/** A product, or quotient, with one number that alone reads the node's result. */
function scaleAfter(node: Node, view: View): { root: Node; factor: number } | null {
  const result = node.outputs[0]!;
  const root = view.soleReader(result, 'Mul', 'Div');
  if (!root || (isOp(root, 'Div') && root.inputs[0] !== result)) return null;
  const other = root.inputs.find((name) => name !== result);
  const number = view.scalar(other);
  if (number === undefined || number === 0 || rankOf(view, other) > rankOf(view, result)) return null;
  return { root, factor: isOp(root, 'Div') ? 1 / number : number };
}

/** An Add of a constant row that alone reads the node's result. */
function biasAfter(node: Node, view: View, columns: number | string): { root: Node; bias: string } | null {
  const result = node.outputs[0]!;
  const root = view.soleReader(result, 'Add');
  const bias = root?.inputs.find((name) => name !== result);
  if (!root || bias === undefined || !view.constant(bias)) return null;
  const fits = isRow(view.type(bias)?.shape, columns) && rankOf(view, bias) <= rankOf(view, result);
  return fits ? { root, bias } : null;
}

function activationAfter(node: Node, view: View): { root: Node; attrs: Attrs } | null {
  const root = view.soleReader(node.outputs[0]!, 'Relu', 'Sigmoid', 'LeakyRelu', 'Elu', 'Clip');
  if (!root || root.inputs[0] !== node.outputs[0]) return null;
  const { alpha, min, max } = root.attrs;
  if (isOp(root, 'Elu')) return (alpha ?? 1) === 1 ? { root, attrs: { activation: 'Elu' } } : null;
  if (isOp(root, 'LeakyRelu'))
    return { root, attrs: { activation: 'LeakyRelu', activation_alpha: alpha ?? 0.01 } };
  if (!isOp(root, 'Clip')) return { root, attrs: { activation: root.op } };
  // The bounds were attributes up to opset 10.
  const low = min ?? view.scalar(root.inputs[1]);
  const high = max ?? view.scalar(root.inputs[2]);
  return low === 0 && high === 6 ? { root, attrs: { activation: 'Relu6' } } : null;
}

/** Whether a shape is [columns], or that with ones in front. */
function isRow(shape: readonly (number | string)[] | undefined, columns: number | string): boolean {
  if (!shape || shape.length === 0 || typeof columns !== 'number') return false;
  return shape.every((d, i) => d === (i === shape.length - 1 ? columns : 1));
}

/** A bias as vector: as it is, or a constant without the ones in front. */
async function asVector(
  bias: string | undefined,
  view: View,
  numbers: Numbers,
  fresh: (wanted: string) => string,
): Promise<{ name: string; made?: Param } | null> {
  if (!bias) return null;
  if (rankOf(view, bias) === 1) return { name: bias };
  const param = view.constant(bias);
  if (!param) return null;
  const { dtype, data } = await tensorOf(param, numbers);
  const { role } = param;
  const made: Param = { name: fresh(`${bias}/row`), dtype, shape: [elementCount(param.shape)], role, data };
  return { name: made.name, made };
}

function rankOf(view: View, name: string | undefined): number {
  return view.type(name)?.shape.length ?? Number.POSITIVE_INFINITY;
}

function floatsOf(attrs: Attrs): { floats?: readonly string[] } {
  const floats = ['alpha', 'activation_alpha'].filter((name) => name in attrs);
  return floats.length > 0 ? { floats } : {};
}
