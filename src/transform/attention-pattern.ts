import type { Node, Shape } from '../core/graph.ts';
import { sameDim } from '../graph/dims.ts';
import { headsOf, sameShape, type Windows, windowsOf } from './attention-layout.ts';
import { isOp, type View } from './view.ts';

/** What is added to scores: a value, or a constant where a condition does not hold (`keeps`) or does. */
export type Mask = (
  | { readonly value: string }
  | { readonly condition: string; readonly fill: string; readonly keeps: boolean }
) & {
  /** It has the shape of the product, not that of a Reshape of it. */
  readonly plain: boolean;
};

/** softmax(scale · q kᵀ + masks) v as a graph spells it. */
export interface Attention {
  readonly q: string;
  /** Transposed by `perm` this is k. */
  readonly k: string;
  readonly perm: readonly number[];
  readonly v: string;
  readonly masks: readonly Mask[];
  readonly scale: number;
  readonly windows: Windows | null;
  readonly root: Node;
  readonly inner: readonly Node[];
}

/** Beside this a float32 score vanishes, so that adding it is the same as putting it in the score's place. */
const LOWEST = -1e30;
/** Masks and factors between a product and its softmax; models have a handful. */
const MAX_DEPTH = 32;

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
  const found = scoresBehind(softmax.inputs[0]!, softmax, view, false, unfold ? [unfold] : []);
  if (!found) return null;
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
  const [back, forth] = found.reshapes;
  const fold = back && forth ? { fold: forth, unfold: back, scores, mix } : null;
  const heads = fold && !found.masks.some((m) => m.plain) ? headsOf(fold, query.x, view) : null;
  const windows = fold && !heads ? windowsOf(fold, query.x, view) : null;
  if (fold && !heads && !windows) return null;
  const root = heads?.root ?? mix;
  const q = heads?.q ?? query.x;
  if (heads) inner.push(mix, ...heads.nodes);
  const [plain, split] = [scores, forth ?? scores].map((n) => view.type(n.outputs[0])?.shape);
  if (!plain || !split || !leadsFit(q, scores, v, Boolean(heads), view)) return null;
  return masksFit(found.masks, plain, split, view) ? { ...common, q, windows, root, inner } : null;
}

/** A value without the Identity, Dropout and Casts between floats that lead to its only reader. */
function through(name: string, reader: Node, view: View, nodes: Node[]): string {
  const node = view.producer(name, 'Identity', 'Cast', 'Dropout');
  const [from, to] = [view.type(node?.inputs[0])?.dtype, view.type(name)?.dtype];
  if (!node || nodes.length > MAX_DEPTH || view.soleReader(name) !== reader) return name;
  if (!/float/.test(`${from}`) || !/float/.test(`${to}`)) return name;
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
  /** Those that take scores into another shape and, before in this order, back. */
  readonly reshapes: readonly Node[];
  readonly masks: readonly Mask[];
  readonly scale: number;
  readonly nodes: readonly Node[];
}

/** Upwards from the softmax: masks, then factors, then the product; a mask inside a factor is no mask of ours. */
function scoresBehind(
  name: string,
  reader: Node,
  view: View,
  scaled: boolean,
  reshapes: readonly Node[],
  depth = 0,
): Scores | null {
  if (depth > MAX_DEPTH) return null;
  const nodes: Node[] = [];
  const x = through(name, reader, view, nodes);
  const node = view.producer(x);
  // One reader each also means that no node is met twice, however the sums branch.
  if (!node || view.soleReader(x) !== (nodes.at(-1) ?? reader)) return null;
  if (isOp(node, 'MatMul'))
    return reshapes.length === 1 ? null : { scores: node, reshapes, masks: [], scale: 1, nodes };
  const onwards = (from: string, now = scaled, met = reshapes): Scores | null => {
    const found = scoresBehind(from, node, view, now, met, depth + 1);
    return found && { ...found, nodes: [...found.nodes, ...nodes, node] };
  };
  if (isOp(node, 'Reshape'))
    return reshapes.length < 2 ? onwards(node.inputs[0]!, scaled, [...reshapes, node]) : null;
  if (isOp(node, 'Mul', 'Div')) {
    const factor = factorOf(node, view);
    const found = factor && onwards(factor.x, true);
    return found && { ...found, scale: found.scale * factor.scale };
  }
  if (scaled) return null;
  const options = isOp(node, 'Add') ? [0, 1] : isOp(node, 'Where') ? [1, 2] : [];
  for (const i of options) {
    const found = onwards(node.inputs[i]!);
    const mask = found && maskOf(node, i, reshapes.length !== 1, view);
    if (found && mask) return { ...found, masks: [...found.masks, mask] };
  }
  return null;
}

function maskOf(node: Node, scores: number, plain: boolean, view: View): Mask | null {
  if (isOp(node, 'Add')) return { value: node.inputs[1 - scores]!, plain };
  const fill = node.inputs[3 - scores]!;
  const [rank, whole] = [fill, node.outputs[0]].map((name) => view.type(name)?.shape.length ?? 0);
  if (!((view.scalar(fill) ?? 0) <= LOWEST) || rank! > whole!) return null;
  return { condition: node.inputs[0]!, fill, keeps: scores === 1, plain };
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

/** Whether queries, keys and values have the same dimensions in front of their matrices, or the queries 1. */
function leadsFit(q: string, scores: Node, v: string, grouped: boolean, view: View): boolean {
  const [own, keys, values] = [q, scores.inputs[1], v].map((name) => view.type(name)?.shape.slice(0, -2));
  if (!own || !keys || !values || own.length === 0 || !sameShape(keys, values) || own.length !== keys.length)
    return false;
  const [count] = [grouped ? own.length - 1 : own.length];
  return own.slice(0, count).every((d, i) => d === 1 || sameDim(d, keys[i]!));
}

/** Whether masks stretch to scores; those of the product's own shape have no part in a dimension that is split. */
function masksFit(masks: readonly Mask[], plain: Shape, split: Shape, view: View): boolean {
  return masks.every((mask) => {
    const shape = view.type('value' in mask ? mask.value : mask.condition)?.shape;
    if (!shape || shape.length > (mask.plain ? plain : split).length) return false;
    if (mask.plain && plain !== split && shape.length === plain.length && shape[0] !== 1) return false;
    const shift = split.length - shape.length;
    return shape.every((d, i) => d === 1 || sameDim(d, split[shift + i]!));
  });
}
