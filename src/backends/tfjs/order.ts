/** Arithmetic of axis orders: `order[i]` is the graph's axis that lies at place i of a tensor on the engine. */

export type Order = readonly number[];

/** By rank: they are asked for at every node. */
const IDENTITIES: Order[] = [];

export function identity(rank: number): Order {
  IDENTITIES[rank] ??= Array.from({ length: rank }, (_, i) => i);
  return IDENTITIES[rank];
}

export const isIdentity = (order: Order | undefined): boolean =>
  !order || order.every((axis, i) => axis === i);

export const sameOrder = (a: Order | undefined, b: Order | undefined): boolean =>
  a === b ||
  (isIdentity(a) && isIdentity(b)) ||
  (!!a && !!b && a.length === b.length && a.every((axis, i) => axis === b[i]));

/** Place of each of the graph's axes. */
export function placesOf(order: Order): Order {
  const places = new Array<number>(order.length);
  order.forEach((axis, place) => {
    places[axis] = place;
  });
  return places;
}

/** The permutation that takes a tensor from one order to another, as tfjs's `transpose` wants it. */
export function permutation(from: Order, to: Order): number[] {
  const places = placesOf(from);
  return to.map((axis) => places[axis]!);
}

/** The order after the graph transposes by `perm`: the data stay, the axes are renamed. */
export function transposed(order: Order, perm: readonly number[]): Order {
  const renamed = placesOf(perm);
  return order.map((axis) => renamed[axis]!);
}

/** The order of what remains when `axes` are taken away. */
export function without(order: Order, axes: readonly number[]): Order {
  const kept = order.filter((axis) => !axes.includes(axis));
  return kept.map((axis) => axis - axes.filter((gone) => gone < axis).length);
}

/** A reshape done where the data lie. */
export interface Reshaped {
  /** Sizes on the engine. */
  readonly shape: number[];
  readonly order: Order;
}

/**
 * How a tensor whose axes lie in `order` takes another shape without moving: each run of axes that a reshape merges must
 * lie together and in sequence. @returns null when it has to be moved first
 */
export function reshaped(from: readonly number[], order: Order, to: readonly number[]): Reshaped | null {
  const groups = groupsOf(from, to);
  if (!groups) return null;
  const places = placesOf(order);
  const laid: { readonly at: number; readonly axes: readonly number[] }[] = [];
  let last = -1;
  for (const { before, after } of groups) {
    // Axes of one element lie anywhere.
    const real = before.filter((axis) => from[axis] !== 1);
    for (let i = 1; i < real.length; i++) {
      const between = order.slice(places[real[i - 1]!]! + 1, Math.max(0, places[real[i]!]!));
      if (places[real[i]!]! <= places[real[i - 1]!]! || between.some((axis) => from[axis] !== 1)) return null;
    }
    const at = real.length > 0 ? places[real[0]!]! : last + 0.5;
    laid.push({ at, axes: after });
    last = at;
  }
  const sequence = [...laid].sort((a, b) => a.at - b.at).flatMap(({ axes }) => axes);
  return { shape: sequence.map((axis) => to[axis]!), order: sequence };
}

interface Group {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** The finest groups of axes with equal products on both sides; null for tensors without elements. */
function groupsOf(from: readonly number[], to: readonly number[]): Group[] | null {
  if (from.includes(0) || to.includes(0)) return null;
  const groups: Group[] = [];
  for (let i = 0, j = 0; i < from.length || j < to.length; ) {
    const before = i < from.length ? [i++] : [];
    const after = j < to.length ? [j++] : [];
    let a = before.length > 0 ? from[before[0]!]! : 1;
    let b = after.length > 0 ? to[after[0]!]! : 1;
    while (a !== b) {
      if (a < b ? i === from.length : j === to.length) return null;
      if (a < b) {
        a *= from[i]!;
        before.push(i++);
      } else {
        b *= to[j]!;
        after.push(j++);
      }
    }
    groups.push({ before, after });
  }
  return groups;
}
