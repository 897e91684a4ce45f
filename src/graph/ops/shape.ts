import type { Dim, Shape } from '../../core/graph.ts';
import { addDims, exactQuotient, mulDims, productOf, sameDim, showShape, subDims } from '../dims.ts';
import { broadcast } from './broadcast.ts';
import { type OpContext, type OpEntry, type OpTable, type Type, typed } from './entry.ts';

/** Axes that moved from an attribute to an input: whichever the node has; undefined when neither is known. */
export function axesOf(c: OpContext, input: number): readonly number[] | undefined {
  return c.ints('axes') ?? (c.has(input) ? c.numbers(input) : undefined);
}

/** A list of dimensions that an input spells out, or fresh names where only its length is known. */
function dimsOf(c: OpContext, input: number): Dim[] {
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

/** Length of `start:end:step` over `size` (ONNX, Slice: ends are clamped, negative ones count from the end). */
function sliceLength(c: OpContext, size: Dim, start: Dim, end: Dim, step: number): Dim {
  if (step === 0) c.fail('a step of 0');
  if (typeof size === 'number' && typeof start === 'number' && typeof end === 'number') {
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const clamp = (v: number) => Math.min(Math.max(v < 0 ? v + size : v, low), high);
    const from = Math.min(Math.max(start < 0 ? start + size : start, 0), step > 0 ? size : size - 1);
    return Math.max(0, Math.ceil((clamp(end) - from) / step));
  }
  if (step !== 1) return c.fresh('slice');
  const open = (typeof end === 'number' && end >= 2 ** 31 - 1) || sameDim(end, size);
  const stop = open ? size : typeof end === 'number' && end < 0 ? addDims(size, end) : end;
  const from = typeof start === 'number' && start < 0 ? addDims(size, start) : start;
  // A numeric end may lie beyond a symbolic size; a foreign file alone knows.
  if (typeof stop === 'number' && typeof size === 'string' && !c.strict) return c.fresh('slice');
  return subDims(stop, from);
}

const slice: OpEntry = {
  inputs: [1, 5],
  since: 1,
  bytes: 'output',
  infer: (c) => {
    const x = c.in(0);
    const list = (name: string, input: number) => c.ints(name) ?? c.value(input);
    const starts = list('starts', 1);
    const ends = list('ends', 2);
    const axes = c.ints('axes') ?? (c.has(3) ? c.numbers(3) : starts?.map((_, i) => i));
    const steps = c.has(4) ? c.numbers(4) : starts?.map(() => 1);
    if (!starts || !ends || !axes || !steps) {
      const moved = axes && c.axes(axes, x.shape.length);
      return [
        typed(
          x.dtype,
          x.shape.map((d, i) => (moved && !moved.includes(i) ? d : c.fresh('slice'))),
        ),
      ];
    }
    if (ends.length !== starts.length || axes.length !== starts.length || steps.length !== starts.length) {
      c.fail('starts, ends, axes and steps differ in length');
    }
    const out = [...x.shape];
    axes.forEach((a, i) => {
      const axis = c.axis(a, x.shape.length);
      out[axis] = sliceLength(c, x.shape[axis]!, starts[i]!, ends[i]!, steps[i]!);
    });
    return [typed(x.dtype, out, slicedValue(x, starts[0]!, steps[0]!, out))];
  },
};

function slicedValue(x: Type, start: Dim, step: number, out: Shape): readonly Dim[] | undefined {
  const length = out[0];
  if (!x.value || x.shape.length !== 1 || typeof start !== 'number' || typeof length !== 'number')
    return undefined;
  const size = x.value.length;
  const from = Math.min(Math.max(start < 0 ? start + size : start, 0), step > 0 ? size : size - 1);
  return Array.from({ length }, (_, i) => x.value![from + i * step]!);
}

const concat: OpEntry = {
  inputs: [1, Number.POSITIVE_INFINITY],
  since: 4,
  infer: (c) => {
    const all = Array.from({ length: c.count }, (_, i) => i);
    const dtype = c.sameTypes(...all);
    const axis = c.axis(c.int('axis', 0), c.shape(0).length);
    const out = [...c.shape(0)];
    for (const i of all.slice(1)) {
      const shape = c.rank(i, out.length);
      shape.forEach((d, at) => {
        out[at] = at === axis ? addDims(out[at]!, d) : c.same(out[at]!, d, `dimension ${at} of input ${i}`);
      });
    }
    const values = all.map((i) => c.value(i));
    const known = out.length === 1 && values.every((v) => v !== undefined);
    return [typed(dtype, out, known ? values.flatMap((v) => v!) : undefined)];
  },
};

const split: OpEntry = {
  inputs: [1, 2],
  outputs: Number.POSITIVE_INFINITY,
  since: 2,
  infer: (c) => {
    const x = c.in(0);
    const axis = c.axis(c.int('axis', 0), x.shape.length);
    const count = c.node.outputs.length;
    const size = x.shape[axis]!;
    let sizes: readonly Dim[] | undefined = c.ints('split') ?? (c.has(1) ? c.value(1) : undefined);
    if (!sizes && !c.has(1)) {
      if (typeof size === 'number') {
        const chunk = Math.ceil(size / count);
        sizes = Array.from({ length: count }, (_, i) => Math.max(0, Math.min(chunk, size - i * chunk)));
      } else {
        const chunk = exactQuotient(size, count);
        if (chunk !== null) sizes = Array.from({ length: count }, () => chunk);
      }
    }
    const parts = sizes ?? Array.from({ length: count }, () => c.fresh('split'));
    if (parts.length !== count) c.fail(`${parts.length} sizes for ${count} outputs`);
    if (sizes) c.same(sizes.reduce<Dim>(addDims, 0), size, `sizes ${showShape(sizes)} of dimension ${axis}`);
    return parts.map((d) =>
      typed(
        x.dtype,
        x.shape.map((old, i) => (i === axis ? d : old)),
      ),
    );
  },
};

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
      if (!given && c.has(1)) c.fail('the axes are not known');
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
      const given = axesOf(c, 1) ?? c.fail('the axes are not known');
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
  Concat: concat,
  Split: split,
  Slice: slice,
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
  Tile: {
    inputs: [2, 2],
    since: 6,
    infer: (c) => {
      const x = c.in(0);
      const repeats = dimsOf(c, 1);
      if (repeats.length !== x.shape.length) c.fail(`${repeats.length} repeats for rank ${x.shape.length}`);
      return [
        typed(
          x.dtype,
          x.shape.map((d, i) => mulDims(d, repeats[i]!)),
        ),
      ];
    },
  },
  Pad: {
    inputs: [1, 4],
    since: 2,
    floats: ['value'],
    infer: (c) => {
      const x = c.in(0);
      const pads = c.ints('pads') ?? c.value(1);
      const axes = c.axes((c.has(3) ? c.numbers(3) : undefined) ?? x.shape.map((_, i) => i), x.shape.length);
      if (pads && pads.length !== 2 * axes.length)
        c.fail(`${pads.length} pads for ${axes.length} dimensions`);
      const out = [...x.shape];
      axes.forEach((axis, i) => {
        out[axis] = pads ? addDims(addDims(out[axis]!, pads[i]!), pads[i + axes.length]!) : c.fresh('pad');
      });
      return [typed(x.dtype, out)];
    },
  },
};
