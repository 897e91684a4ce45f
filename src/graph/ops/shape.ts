import type { Dim } from '../../core/graph.ts';
import { exactQuotient, productOf, showShape } from '../dims.ts';
import { broadcast } from './broadcast.ts';
import { type OpContext, type OpTable, typed } from './entry.ts';

/** Axes that moved from an attribute to an input: whichever the node has; undefined when neither is known. */
export function axesOf(c: OpContext, input: number): readonly number[] | undefined {
  return c.ints('axes') ?? (c.has(input) ? c.numbers(input) : undefined);
}

/**
 * Dimensions without known sizes where the axes are computed when the graph runs: how many there are follows from how many
 * axes. A graph that is being built has to know its axes.
 */
export function restOf(c: OpContext, input: number, rank: (axes: number) => number, hint: string): Dim[] {
  const count = c.rank(input, [0, 1])[0] ?? 1;
  if (c.strict || typeof count !== 'number' || rank(count) < 0 || rank(count) > 16)
    return c.fail('the axes are not known');
  return Array.from({ length: rank(count) }, () => c.fresh(hint));
}

/** A list of dimensions that an input spells out, or fresh names where only its length is known. */
export function dimsOf(c: OpContext, input: number): Dim[] {
  const value = c.value(input);
  const length = c.rank(input, 1)[0]!;
  if (value) {
    return value.map((d) => (typeof d === 'number' && !Number.isInteger(d) ? c.fail(`${d} is no size`) : d));
  }
  if (typeof length !== 'number') return c.fail('the rank of the result is not known');
  if (length > 16) return c.fail(`rank ${length} is too high`);
  return Array.from({ length }, () => c.fresh('dim'));
}

function reshapeTo(c: OpContext): Dim[] {
  const x = c.shape(0);
  const wanted = dimsOf(c, 1);
  const copy = c.int('allowzero', 0) === 0;
  const out = wanted.map((d, i) =>
    d === 0 && copy ? (x[i] ?? c.fail(`dimension ${i} to copy doesn't exist`)) : d,
  );
  const open = out.flatMap((d, i) => (typeof d === 'number' && d < 0 ? [i] : []));
  if (open.length > 1 || open.some((i) => out[i] !== -1)) c.fail(`${showShape(wanted)} is no shape`);
  const total = productOf(x);
  if (open.length === 1) {
    const rest = productOf(out.filter((_, i) => i !== open[0]));
    const size = exactQuotient(total, rest);
    if (size === null && typeof total === 'number' && typeof rest === 'number') {
      c.fail(`${total} elements don't reshape to ${showShape(wanted)}`);
    }
    out[open[0]!] = size ?? c.fresh('dim');
    return out;
  }
  const made = productOf(out);
  if (typeof total === 'number' && typeof made === 'number' && total !== made) {
    c.fail(`${total} elements don't reshape to ${showShape(out)}`);
  }
  return out;
}

/** Operators that rearrange or measure tensors. */
export const shapes: OpTable = {
  Reshape: {
    inputs: [2, 2],
    since: 5,
    bytes: 'view',
    infer: (c) => [typed(c.in(0).dtype, reshapeTo(c), c.value(0))],
  },
  Flatten: {
    inputs: [1, 1],
    since: 1,
    bytes: 'view',
    infer: (c) => {
      const x = c.shape(0);
      const a = c.int('axis', 1);
      const axis = a === x.length ? a : c.axis(a, Math.max(x.length, 1));
      return [typed(c.in(0).dtype, [productOf(x.slice(0, axis)), productOf(x.slice(axis))])];
    },
  },
  Squeeze: {
    inputs: [1, 2],
    since: 1,
    bytes: 'view',
    infer: (c) => {
      const x = c.in(0);
      const given = axesOf(c, 1);
      if (!given && c.has(1))
        return [
          typed(
            x.dtype,
            restOf(c, 1, (axes) => x.shape.length - axes, 'squeezed'),
          ),
        ];
      const axes = given ? c.axes(given, x.shape.length) : x.shape.flatMap((d, i) => (d === 1 ? [i] : []));
      for (const a of axes) c.same(x.shape[a]!, 1, `dimension ${a} is squeezed`);
      return [
        typed(
          x.dtype,
          x.shape.filter((_, i) => !axes.includes(i)),
          x.value,
        ),
      ];
    },
  },
  Unsqueeze: {
    inputs: [1, 2],
    since: 1,
    bytes: 'view',
    infer: (c) => {
      const x = c.in(0);
      const given = axesOf(c, 1);
      if (!given) {
        if (!c.has(1)) return c.fail('the axes are not known');
        return [
          typed(
            x.dtype,
            restOf(c, 1, (axes) => x.shape.length + axes, 'unsqueezed'),
          ),
        ];
      }
      if (given.length > 16) c.fail(`${given.length} axes are too many`);
      const axes = c.axes(given, x.shape.length + given.length);
      const out = [...x.shape];
      for (const a of axes) out.splice(a, 0, 1);
      return [typed(x.dtype, out, x.value)];
    },
  },
  Transpose: {
    inputs: [1, 1],
    since: 1,
    infer: (c) => {
      const x = c.in(0);
      const perm = c.ints('perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i);
      if (
        perm.length !== x.shape.length ||
        c.axes(perm, x.shape.length).length !== perm.length ||
        perm.some((p) => p < 0)
      ) {
        c.fail(`perm ${showShape(perm)} doesn't fit`);
      }
      return [
        typed(
          x.dtype,
          perm.map((p) => x.shape[p]!),
          x.shape.length < 2 ? x.value : undefined,
        ),
      ];
    },
  },
  Shape: {
    inputs: [1, 1],
    since: 1,
    bytes: 'view',
    infer: (c) => {
      const x = c.shape(0);
      const clamp = (v: number) => Math.min(Math.max(v < 0 ? v + x.length : v, 0), x.length);
      const dims = x.slice(clamp(c.int('start', 0)), clamp(c.int('end', x.length)));
      return [typed('int64', [dims.length], dims)];
    },
  },
  Size: {
    inputs: [1, 1],
    since: 1,
    bytes: 'view',
    infer: (c) => [typed('int64', [], [productOf(c.shape(0))])],
  },
  Expand: {
    inputs: [2, 2],
    since: 8,
    infer: (c) => {
      const x = c.in(0);
      const out = broadcast(c, [x.shape, dimsOf(c, 1)]);
      return [typed(x.dtype, out, x.value && productOf(out) === x.value.length ? x.value : undefined)];
    },
  },
};
