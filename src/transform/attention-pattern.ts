import type { Node, Shape } from '../core/graph.ts';
import { mulDims, sameDim } from '../graph/dims.ts';
import { isOp, type View } from './view.ts';

/** What is added to scores: a value, or a constant where a condition does not hold (`keeps`) or does. */
export type Mask =
  | { readonly value: string }
  | { readonly condition: string; readonly fill: string; readonly keeps: boolean };

/** softmax(scale · q kᵀ + masks) v as a graph spells it. */
export interface Attention {
  readonly q: string;
  /** Transposed by `perm` this is k. */
  readonly k: string;
  readonly perm: readonly number[];
  readonly v: string;
  readonly masks: readonly Mask[];
  readonly scale: number;
  readonly root: Node;
  readonly inner: readonly Node[];
}

/** Beside this a float32 score vanishes, so that adding it is the same as putting it in the score's place. */
const LOWEST = -1e30;

/** The attention that a product with values ends; null when it is something else, or its shapes are not certain. */
export function attentionAt(mix: Node, view: View): Attention | null {
  const inner: Node[] = [];
  const shares = through(mix.inputs[0]!, mix, view, inner);
  const unfold = view.producer(shares, 'Reshape');
  if (unfold) inner.push(unfold);
  const softmax = view.producer(unfold ? through(unfold.inputs[0]!, unfold, view, inner) : shares, 'Softmax');
  const rank = view.type(softmax?.inputs[0])?.shape.length ?? 0;
  // Softmax along another dimension, or (up to opset 12) over several, is no attention.
  const axis = Number(softmax?.attrs.axis ?? (view.opset < 13 ? 1 : -1));
  if (!softmax || rank < 3 || (axis !== -1 && axis !== rank - 1)) return null;
  const found = scoresBehind(softmax.inputs[0]!, softmax, view);
  if (!found || Boolean(found.fold) !== Boolean(unfold)) return null;
  const { scores } = found;
  const key = keyOf(scores, view);
  if (!key) return null;
  const query = scaleOf(scores.inputs[0]!, scores, view);
  inner.push(...[softmax, scores, ...found.nodes, ...key.nodes, ...query.nodes]);
  const v = mix.inputs[1]!;
  const common = {
    k: key.k,
    perm: key.perm,
    v,
    masks: found.masks,
    scale: found.scale * key.scale * query.scale,
  };
  const heads = unfold && unfolded(found.fold!, unfold, query.x, mix, scores, view);
  if (unfold && !heads) return null;
  const root = heads?.root ?? mix;
  const q = heads?.q ?? query.x;
  if (heads) inner.push(mix, ...heads.nodes);
  const shape = view.type(found.fold?.outputs[0] ?? scores.outputs[0])?.shape;
  const fits = shape && leadsFit(q, scores, v, Boolean(unfold), view) && masksFit(found.masks, shape, view);
  return fits ? { ...common, q, root, inner } : null;
}

/** A value without the Identity, Dropout and Casts between floats that lead to its only reader. */
function through(name: string, reader: Node, view: View, nodes: Node[]): string {
  const node = view.producer(name, 'Identity', 'Cast', 'Dropout');
  const [from, to] = [view.type(node?.inputs[0])?.dtype, view.type(name)?.dtype];
  if (!node || view.soleReader(name) !== reader || !/float/.test(`${from}`) || !/float/.test(`${to}`))
    return name;
  const idle = isOp(node, 'Dropout') && node.inputs[2] && view.scalar(node.inputs[2]) !== 0;
  if (idle || !view.onlyFirst(node)) return name;
  nodes.push(node);
  return through(node.inputs[0]!, node, view, nodes);
}

/** x of x · number and x ÷ number, where that is for one reader alone. */
function scaleOf(name: string, reader: Node, view: View): { x: string; scale: number; nodes: Node[] } {
  const nodes: Node[] = [];
  let [x, scale, by] = [through(name, reader, view, nodes), 1, reader];
  for (;;) {
    by = nodes.at(-1) ?? by;
    const node = view.producer(x, 'Mul', 'Div');
    const factor = node && view.soleReader(x) === by ? factorOf(node, view) : null;
    if (!node || !factor) return { x, scale, nodes };
    nodes.push(node);
    scale *= factor.scale;
    x = through(factor.x, node, view, nodes);
  }
}

function factorOf(node: Node, view: View): { x: string; scale: number } | null {
  const [a, b] = node.inputs as [string, string];
  const options = isOp(node, 'Div')
    ? [[a, b]]
    : [
        [a, b],
        [b, a],
      ];
  for (const [x, other] of options as [string, string][]) {
    const number = view.scalar(other);
    if (number === undefined || !Number.isFinite(number) || number === 0) continue;
    if (view.type(x)?.shape.length !== view.type(node.outputs[0])?.shape.length) continue;
    return { x, scale: isOp(node, 'Div') ? 1 / number : number };
  }
  return null;
}

interface Scores {
  readonly scores: Node;
  /** The Reshape that splits rows into heads and queries. */
  readonly fold: Node | null;
  readonly masks: readonly Mask[];
  readonly scale: number;
  readonly nodes: readonly Node[];
}

/** Upwards from the softmax: masks, then factors, then the product; a mask inside a factor is no mask of ours. */
function scoresBehind(name: string, reader: Node, view: View, scaled = false, folded = false): Scores | null {
  const nodes: Node[] = [];
  const x = through(name, reader, view, nodes);
  const node = view.producer(x);
  // One reader each also means that no node is met twice, however the sums branch.
  if (!node || view.soleReader(x) !== (nodes.at(-1) ?? reader)) return null;
  if (isOp(node, 'MatMul')) return { scores: node, fold: null, masks: [], scale: 1, nodes };
  const onwards = (from: string, now = scaled, fold = folded): Scores | null => {
    const found = scoresBehind(from, node, view, now, fold);
    return found && { ...found, nodes: [...found.nodes, ...nodes, node] };
  };
  if (isOp(node, 'Reshape') && !folded) {
    const found = onwards(node.inputs[0]!, scaled, true);
    return found && { ...found, fold: node };
  }
  if (isOp(node, 'Mul', 'Div')) {
    const factor = factorOf(node, view);
    const found = factor && onwards(factor.x, true);
    return found && { ...found, scale: found.scale * factor.scale };
  }
  // A mask below the split of rows would have the shape from before it.
  if (scaled || folded) return null;
  const options = isOp(node, 'Add') ? [0, 1] : isOp(node, 'Where') ? [1, 2] : [];
  for (const i of options) {
    const found = onwards(node.inputs[i]!);
    const mask = found && maskOf(node, i, view);
    if (found && mask) return { ...found, masks: [...found.masks, mask] };
  }
  return null;
}

function maskOf(node: Node, scores: number, view: View): Mask | null {
  if (isOp(node, 'Add')) return { value: node.inputs[1 - scores]! };
  const fill = node.inputs[3 - scores]!;
  const [rank, whole] = [fill, node.outputs[0]].map((name) => view.type(name)?.shape.length ?? 0);
  if (!((view.scalar(fill) ?? 0) <= LOWEST) || rank! > whole!) return null;
  return { condition: node.inputs[0]!, fill, keeps: scores === 1 };
}

/** kᵀ as a Transpose of something, factors before and behind it apart. */
function keyOf(
  scores: Node,
  view: View,
): { k: string; perm: readonly number[]; scale: number; nodes: Node[] } | null {
  const outer = scaleOf(scores.inputs[1]!, scores, view);
  const turn = view.producer(outer.x, 'Transpose');
  const rank = view.type(outer.x)?.shape.length;
  if (!turn || !rank || view.soleReader(outer.x) !== (outer.nodes.at(-1) ?? scores)) return null;
  const given = turn.attrs.perm as readonly number[] | undefined;
  const perm = given ? [...given] : Array.from({ length: rank }, (_, i) => rank - 1 - i);
  perm.push(...perm.splice(-2).reverse());
  const inside = scaleOf(turn.inputs[0]!, turn, view);
  const nodes = [...outer.nodes, turn, ...inside.nodes];
  return { k: inside.x, perm, scale: outer.scale * inside.scale, nodes };
}

/**
 * Query heads that share keys are rows of one product in some graphs: [B, H, S, d] → [B, G, H ÷ G · S, d], the scores back to
 * [B, H, S, T] for the mask, forth for the product with v, and the result back. The query before all this, if it is this.
 */
function unfolded(
  fold: Node,
  unfold: Node,
  folded: string,
  mix: Node,
  scores: Node,
  view: View,
): { q: string; root: Node; nodes: Node[] } | null {
  const split = view.producer(folded, 'Reshape');
  const root = view.soleReader(mix.outputs[0]!, 'Reshape');
  const q = split?.inputs[0];
  const shapes = [
    q,
    folded,
    scores.outputs[0],
    fold.outputs[0],
    unfold.outputs[0],
    mix.inputs[1],
    root?.outputs[0],
  ].map((name) => view.type(name)?.shape);
  if (!split || !root || q === undefined || !shapes.every((s) => s?.length === 4)) return null;
  const [own, rows, product, masked, shares, values, out] = shapes as [
    Shape,
    Shape,
    Shape,
    Shape,
    Shape,
    Shape,
    Shape,
  ];
  const [batch, heads, queries, width] = own as [Shape[0], Shape[0], Shape[0], Shape[0]];
  const groups = values[1]!;
  if (typeof heads !== 'number' || typeof groups !== 'number' || heads % groups !== 0) return null;
  const together = mulDims(heads / groups, queries);
  const keys = values[2]!;
  const fits =
    same(rows, [batch, groups, together, width]) &&
    same(product, [batch, groups, together, keys]) &&
    same(masked, [batch, heads, queries, keys]) &&
    same(shares, product) &&
    same(out, [batch, heads, queries, values[3]!]);
  return fits ? { q, root, nodes: [split] } : null;
}

function same(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => sameDim(d, b[i]!));
}

/** Whether queries, keys and values have the same dimensions in front of their matrices, or the queries 1. */
function leadsFit(q: string, scores: Node, v: string, grouped: boolean, view: View): boolean {
  const [own, keys, values] = [q, scores.inputs[1], v].map((name) => view.type(name)?.shape.slice(0, -2));
  if (!own || !keys || !values || own.length === 0 || !same(keys, values) || own.length !== keys.length)
    return false;
  const [count] = [grouped ? own.length - 1 : own.length];
  return own.slice(0, count).every((d, i) => d === 1 || sameDim(d, keys[i]!));
}

function masksFit(masks: readonly Mask[], scores: Shape, view: View): boolean {
  return masks.every((mask) => {
    const shape = view.type('value' in mask ? mask.value : mask.condition)?.shape;
    const shift = scores.length - (shape?.length ?? Number.POSITIVE_INFINITY);
    return shift >= 0 && shape!.every((d, i) => d === 1 || sameDim(d, scores[shift + i]!));
  });
}
