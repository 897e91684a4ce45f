import type { Graph, Node, Param } from '../core/graph.ts';
import { elementCount } from '../core/tensor.ts';
import { sameDim } from '../graph/dims.ts';
import { store } from '../graph/kernels/kernel.ts';
import { type Match, rewriteAll } from './rewrite.ts';
import { isOp, type View } from './view.ts';

/**
 * Normalisations over the last dimensions that are spelt out as means, roots and quotients as the standard operators:
 *
 * - (x − mean(x)) ÷ √(mean((x − mean(x))²) + ε) · γ + β → LayerNormalization (Ba et al., 2016);
 * - x ÷ √(mean(x²) + ε) · γ → RMSNormalization (Zhang and Sennrich, 2019).
 *
 * Squares may be powers or products, quotients may be products with a reciprocal, operands in either order, the difference
 * computed once or twice. Scale and shift are taken in where they have the shape of the normalised dimensions; without a scale
 * it is a constant of ones. A mean over other dimensions, and values that others read, keep a pattern apart.
 */
export async function recogniseNorms(graph: Graph): Promise<Graph> {
  return rewriteAll(graph, (node, view, fresh) => {
    const core = isOp(node, 'Div', 'Mul') ? coreOf(node, view) : null;
    return core && matched(node, core, view, fresh);
  });
}

interface Core {
  readonly x: string;
  readonly centred: boolean;
  readonly axis: number;
  readonly epsilon: number;
  readonly inner: readonly Node[];
}

/** x or x − mean(x), over the root of its mean square. */
function coreOf(node: Node, view: View): Core | null {
  const [a, b] = node.inputs as [string, string];
  const orders = isOp(node, 'Div')
    ? [[a, b]]
    : [
        [a, b],
        [b, a],
      ];
  for (const [value, scale] of orders as [string, string][]) {
    const root = isOp(node, 'Div') ? rootOf(scale, view) : reciprocalOf(scale, view);
    const variance = root && varianceOf(root.sum, view);
    const square = variance && squareOf(variance.mean.inputs[0], view);
    if (!root || !variance || !square) continue;
    const { epsilon, mean } = variance;
    const inner = [...root.nodes, root.sum, mean, square.node];
    const centre = centredOf(square.of, mean, view);
    // Some exports compute the difference, and its mean, once for the square and once for the quotient.
    const again = value === square.of ? centre : centredOf(value, mean, view);
    if (centre && centre.x === again?.x) {
      const nodes = [...inner, centre.sub, centre.mean, again.sub, again.mean];
      return { x: centre.x, centred: true, axis: centre.axis, epsilon, inner: nodes };
    }
    const axis = value === square.of ? trailingAxis(mean, view) : null;
    if (axis !== null) return { x: value, centred: false, axis, epsilon, inner };
  }
  return null;
}

/** Sqrt of a sum. */
function rootOf(name: string, view: View): { sum: Node; nodes: Node[] } | null {
  const root = view.producer(name, 'Sqrt', 'Pow');
  if (!root || (isOp(root, 'Pow') && view.scalar(root.inputs[1]) !== 0.5)) return null;
  const sum = view.producer(root.inputs[0], 'Add');
  return sum ? { sum, nodes: [root] } : null;
}

/** 1 ÷ Sqrt of a sum, in its forms. */
function reciprocalOf(name: string, view: View): { sum: Node; nodes: Node[] } | null {
  const node = view.producer(name, 'Reciprocal', 'Div', 'Pow');
  if (!node) return null;
  if (isOp(node, 'Pow')) {
    const sum = view.scalar(node.inputs[1]) === -0.5 && view.producer(node.inputs[0], 'Add');
    return sum ? { sum, nodes: [node] } : null;
  }
  if (isOp(node, 'Div') && view.scalar(node.inputs[0]) !== 1) return null;
  const root = rootOf(node.inputs[isOp(node, 'Div') ? 1 : 0]!, view);
  return root && { sum: root.sum, nodes: [node, ...root.nodes] };
}

/** The mean and the ε of a sum of both. */
function varianceOf(sum: Node, view: View): { mean: Node; epsilon: number } | null {
  for (const [i, name] of sum.inputs.entries()) {
    const mean = view.producer(name, 'ReduceMean');
    const epsilon = view.scalar(sum.inputs[1 - i]);
    if (mean && epsilon !== undefined && epsilon >= 0) return { mean, epsilon };
  }
  return null;
}

function squareOf(name: string | undefined, view: View): { node: Node; of: string } | null {
  const node = view.producer(name, 'Pow', 'Mul');
  if (!node) return null;
  const square = isOp(node, 'Pow') ? view.scalar(node.inputs[1]) === 2 : node.inputs[0] === node.inputs[1];
  return square ? { node, of: node.inputs[0]! } : null;
}

/** x − mean(x) over the same dimensions as `outer`. */
function centredOf(
  name: string,
  outer: Node,
  view: View,
): { x: string; sub: Node; mean: Node; axis: number } | null {
  const sub = view.producer(name, 'Sub');
  const mean = sub && view.producer(sub.inputs[1], 'ReduceMean');
  if (!sub || !mean || mean.inputs[0] !== sub.inputs[0]) return null;
  const [axis, same] = [trailingAxis(mean, view), trailingAxis(outer, view)];
  return axis !== null && axis === same ? { x: sub.inputs[0]!, sub, mean, axis } : null;
}

/** The first of the dimensions that a mean runs over, when these are the last ones and stay as 1; else null. */
function trailingAxis(mean: Node, view: View): number | null {
  const rank = view.type(mean.inputs[0])?.shape.length;
  if (!rank || (mean.attrs.keepdims ?? 1) !== 1 || mean.attrs.noop_with_empty_axes) return null;
  const given = mean.inputs[1] ? view.constant(mean.inputs[1])?.data : (mean.attrs.axes as readonly number[]);
  if (mean.inputs[1] && !given) return null;
  const axes = given ? Array.from(given as ArrayLike<number | bigint>, Number) : [];
  const sorted = axes.map((a) => (a < 0 ? a + rank : a)).sort((a, b) => a - b);
  if (sorted.length === 0) return 0;
  return sorted.every((a, i) => a === rank - sorted.length + i) ? sorted[0]! : null;
}

function matched(node: Node, core: Core, view: View, fresh: (wanted: string) => string): Match | null {
  const type = view.type(core.x);
  const normalised = type?.shape.slice(core.axis);
  if (!type || !normalised?.every((d) => typeof d === 'number') || !/float/.test(type.dtype)) return null;
  const affine = (root: Node, op: string): { root: Node; param: string } | null => {
    const reader = view.soleReader(root.outputs[0]!, op);
    const param = reader?.inputs.find((name) => name !== root.outputs[0]);
    const own = view.type(param);
    const fits =
      own?.dtype === type.dtype &&
      own.shape.length === normalised.length &&
      own.shape.every((d, i) => sameDim(d, normalised[i]!));
    return reader && param !== undefined && fits ? { root: reader, param } : null;
  };
  const scaled = affine(node, 'Mul');
  const shifted = scaled && core.centred ? affine(scaled.root, 'Add') : null;
  const root = shifted?.root ?? scaled?.root ?? node;
  const ones = scaled ? null : onesOf(type.dtype, normalised as number[], fresh(`${node.outputs[0]}/ones`));
  const made: Node = {
    op: core.centred ? 'LayerNormalization' : 'RMSNormalization',
    name: root.name,
    inputs: [core.x, scaled?.param ?? ones!.name, ...(shifted ? [shifted.param] : [])],
    outputs: root.outputs,
    attrs: { axis: core.axis - type.shape.length, epsilon: core.epsilon },
    floats: ['epsilon'],
  };
  const inner = [...core.inner, node, ...(scaled ? [scaled.root] : [])].filter((n) => n !== root);
  return { root, inner, nodes: [made], params: ones ? [ones] : [] };
}

function onesOf(dtype: Param['dtype'], shape: readonly number[], name: string): Param {
  const ones = new Float64Array(elementCount(shape)).fill(1);
  return { name, ...store(dtype, shape, ones), role: 'constant' };
}
