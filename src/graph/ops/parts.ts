import type { Dim, Shape } from '../../core/graph.ts';
import { addDims, exactQuotient, mulDims, sameDim, showShape, subDims } from '../dims.ts';
import { type OpContext, type OpEntry, type OpTable, type Type, typed } from './entry.ts';
import { dimsOf } from './shape.ts';

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

/** Operators that cut tensors up, join them, or add to their edges. */
export const parts: OpTable = {
  Concat: concat,
  Split: split,
  Slice: slice,
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
