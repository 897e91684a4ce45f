import type { Dim, Node, Shape } from '../core/graph.ts';
import { mulDims, productOf, sameDim } from '../graph/dims.ts';
import type { View } from './view.ts';

/** Scores that a Reshape takes into another shape for their masks, and one behind the softmax takes back. */
export interface Fold {
  readonly scores: Node;
  readonly fold: Node;
  readonly unfold: Node;
  readonly mix: Node;
}

/**
 * Query heads that share keys are rows of one product in some graphs: [B, H, S, d] → [B, G, H ÷ G · S, d], the scores back to
 * [B, H, S, T] for the mask, forth for the product with v, and the result back. The query before all this, if it is this.
 */
export function headsOf(
  { scores, fold, unfold, mix }: Fold,
  folded: string,
  view: View,
): { q: string; root: Node; nodes: Node[] } | null {
  const split = view.producer(folded, 'Reshape');
  const root = view.soleReader(mix.outputs[0]!, 'Reshape');
  const q = split?.inputs[0];
  const names = [
    q,
    folded,
    scores.outputs[0],
    fold.outputs[0],
    unfold.outputs[0],
    mix.inputs[1],
    root?.outputs[0],
  ];
  const shapes = names.map((name) => view.type(name)?.shape);
  if (!split || !root || q === undefined || !shapes.every((s) => s?.length === 4)) return null;
  const [own, rows, product, masked, shares, values, out] = shapes as readonly Shape[] as [
    ...[Shape, Shape, Shape, Shape],
    ...[Shape, Shape, Shape],
  ];
  const [batch, heads, queries, width] = own as [Dim, Dim, Dim, Dim];
  const groups = values[1]!;
  if (typeof heads !== 'number' || typeof groups !== 'number' || heads % groups !== 0) return null;
  const together = mulDims(heads / groups, queries);
  const keys = values[2]!;
  const fits =
    sameShape(rows, [batch, groups, together, width]) &&
    sameShape(product, [batch, groups, together, keys]) &&
    sameShape(masked, [batch, heads, queries, keys]) &&
    sameShape(shares, product) &&
    sameShape(out, [batch, heads, queries, values[3]!]);
  return fits ? { q, root, nodes: [split] } : null;
}

/** Shapes for Reshape, −1 for the dimension that is not known. */
export interface Windows {
  readonly q: readonly number[];
  readonly k: readonly number[];
  readonly v: readonly number[];
  readonly out: readonly number[];
}

/**
 * Windows are part of the batch in some graphs, [B · W, H, S, T], but for a mask by window, [B, W, H, S, T]. All of attention
 * can be computed in the second shape: what queries, keys, values and the result are reshaped to.
 */
export function windowsOf({ scores, fold, unfold, mix }: Fold, q: string, view: View): Windows | null {
  const names = [q, scores.inputs[1], mix.inputs[1], scores.outputs[0], fold.outputs[0]];
  const shapes = names.map((name) => view.type(name)?.shape);
  const shares = view.type(unfold.outputs[0])?.shape;
  if (!shares || shapes.includes(undefined)) return null;
  const [own, turned, values, before, after] = shapes as [Shape, Shape, Shape, Shape, Shape];
  const lead = after.slice(0, after.length - before.length + 1);
  const fits =
    lead.length > 1 &&
    sameShape(shares, before) &&
    sameShape(after.slice(lead.length), before.slice(1)) &&
    sameDim(productOf(lead), before[0]!) &&
    [own, turned, values].every((s) => s.length === before.length && sameDim(s[0]!, before[0]!));
  if (!fits) return null;
  const keys = [...turned.slice(0, -2), turned.at(-1)!, turned.at(-2)!];
  const targets = [own, keys, values].map((s) => target([...lead, ...s.slice(1)]));
  const out = target([...own.slice(0, -1), values.at(-1)!]);
  if (!out || targets.includes(null)) return null;
  const [a, b, c] = targets as [number[], number[], number[]];
  return { q: a, k: b, v: c, out };
}

/** A shape with at most one dimension that is not known; none is 0, which would leave that one open. */
function target(shape: Shape): number[] | null {
  const numbers = shape.map((d) => (typeof d === 'number' ? d : -1));
  return numbers.filter((d) => d === -1).length > 1 || numbers.includes(0) ? null : numbers;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => sameDim(d, b[i]!));
}
