import type { Tensor } from '../../core/tensor.ts';
import {
  axisOf,
  type Call,
  cells,
  fail,
  input,
  intsAttr,
  intsInput,
  type Kernel,
  type KernelTable,
  numberAttr,
  refuse,
  room,
  textAttr,
} from './kernel.ts';
import { broadcastShape, pack, stretchedStrides, stridesOf, unpack, walk } from './strided.ts';

/** A dense copy of elements that lie `strides` apart in x. */
function packed(c: Call, x: Tensor, shape: readonly number[], strides: readonly number[], start = 0): Tensor {
  const data = room(c, x.dtype, shape);
  pack(x.data, data, shape, strides, start);
  return { dtype: x.dtype, shape, data };
}

const transpose: Kernel = (c) => {
  const x = input(c, 0);
  const order = intsAttr(c, 'perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i);
  if (
    order.length !== x.shape.length ||
    new Set(order).size !== order.length ||
    order.some((a) => !(a in x.shape))
  ) {
    fail(c, `perm [${order.join(', ')}] does not fit rank ${x.shape.length}`);
  }
  const strides = stridesOf(x.shape);
  return [
    packed(
      c,
      x,
      order.map((a) => x.shape[a]!),
      order.map((a) => strides[a]!),
    ),
  ];
};

const expand: Kernel = (c) => {
  const x = input(c, 0);
  const shape = broadcastShape(c, x.shape, intsInput(c, 1) ?? fail(c, 'the shape is missing'));
  return [packed(c, x, shape, stretchedStrides(x.shape, shape))];
};

const tile: Kernel = (c) => {
  const x = input(c, 0);
  const repeats = intsInput(c, 1) ?? fail(c, 'repeats are missing');
  if (repeats.length !== x.shape.length) fail(c, `repeats want ${x.shape.length} numbers`);
  const strides = stridesOf(x.shape);
  // Each dimension becomes two: how often (stride 0) and where.
  const shape = x.shape.flatMap((d, i) => [repeats[i]!, d]);
  const copy = packed(
    c,
    x,
    shape,
    strides.flatMap((s) => [0, s]),
  );
  return [{ ...copy, shape: x.shape.map((d, i) => d * repeats[i]!) }];
};

const concat: Kernel = (c) => {
  const parts = c.inputs.map((_, i) => input(c, i));
  const first = input(c, 0);
  const axis = axisOf(c, numberAttr(c, 'axis', 0), first.shape.length);
  for (const t of parts) {
    const fits =
      t.shape.length === first.shape.length && t.shape.every((d, i) => i === axis || d === first.shape[i]);
    if (!fits || t.dtype !== first.dtype) {
      fail(c, `${t.dtype}[${t.shape.join(', ')}] does not go with ${first.dtype}[${first.shape.join(', ')}]`);
    }
  }
  const shape = first.shape.map((d, i) => (i === axis ? parts.reduce((n, t) => n + t.shape[axis]!, 0) : d));
  const data = room(c, first.dtype, shape);
  const strides = stridesOf(shape);
  let start = 0;
  for (const t of parts) {
    unpack(t.data, data, t.shape, strides, start);
    start += t.shape[axis]! * strides[axis]!;
  }
  return [{ dtype: first.dtype, shape, data }];
};

/** Sizes are an attribute or the second input; else equal parts, the last one smaller. */
const split: Kernel = (c) => {
  const x = input(c, 0);
  const axis = axisOf(c, numberAttr(c, 'axis', 0), x.shape.length);
  const count = numberAttr(c, 'num_outputs', c.node.outputs.length);
  if (count !== c.node.outputs.length) fail(c, `${count} parts for ${c.node.outputs.length} outputs`);
  const even = Math.ceil(x.shape[axis]! / count);
  const sizes =
    intsAttr(c, 'split') ??
    intsInput(c, 1) ??
    Array.from({ length: count }, (_, i) => Math.max(0, Math.min(even, x.shape[axis]! - i * even)));
  if (sizes.some((s) => s < 0) || sizes.reduce((a, b) => a + b, 0) !== x.shape[axis]) {
    fail(c, `parts [${sizes.join(', ')}] don't add up to ${x.shape[axis]}`);
  }
  const strides = stridesOf(x.shape);
  let start = 0;
  return sizes.map((size) => {
    const part = packed(
      c,
      x,
      x.shape.map((d, i) => (i === axis ? size : d)),
      strides,
      start,
    );
    start += size * strides[axis]!;
    return part;
  });
};

/** Starts and ends are clamped to the dimension, as in NumPy; negative steps run backwards. */
const slice: Kernel = (c) => {
  const x = input(c, 0);
  const starts = intsAttr(c, 'starts') ?? intsInput(c, 1) ?? fail(c, 'starts are missing');
  const ends = intsAttr(c, 'ends') ?? intsInput(c, 2) ?? fail(c, 'ends are missing');
  const axes = intsAttr(c, 'axes') ?? intsInput(c, 3) ?? starts.map((_, i) => i);
  const steps = intsInput(c, 4) ?? starts.map(() => 1);
  const shape = [...x.shape];
  const strides = stridesOf(x.shape);
  let from = 0;
  axes.forEach((a, i) => {
    const axis = axisOf(c, a, x.shape.length);
    const d = x.shape[axis]!;
    const step = steps[i] ?? 1;
    if (step === 0) fail(c, 'a step is 0');
    const clamp = (at: number, low: number, high: number): number =>
      Math.max(low, Math.min(high, at < 0 ? at + d : at));
    const start = step > 0 ? clamp(starts[i]!, 0, d) : clamp(starts[i]!, 0, d - 1);
    const end = step > 0 ? clamp(ends[i]!, 0, d) : clamp(ends[i]!, -1, d - 1);
    // Nothing lies behind index 0 of an empty dimension, whichever way it is read.
    shape[axis] = d === 0 ? 0 : Math.max(0, Math.ceil((end - start) / step));
    from += start * strides[axis]!;
    strides[axis]! *= step;
  });
  return [packed(c, x, shape, strides, from)];
};

/** Where an index beyond the ends reads from; null for the constant. */
const BEYOND: Readonly<Record<string, (at: number, size: number) => number | null>> = {
  constant: () => null,
  edge: (at, size) => Math.max(0, Math.min(size - 1, at)),
  wrap: (at, size) => ((at % size) + size) % size,
  reflect: (at, size) => {
    if (size === 1) return 0;
    const period = 2 * (size - 1);
    const folded = ((at % period) + period) % period;
    return folded < size ? folded : period - folded;
  },
};

/** Negative padding cuts off. */
const pad: Kernel = (c) => {
  const x = input(c, 0);
  const rank = x.shape.length;
  const pads = intsAttr(c, 'pads') ?? intsInput(c, 1) ?? fail(c, 'pads are missing');
  const axes = (intsInput(c, 3) ?? x.shape.map((_, i) => i)).map((a) => axisOf(c, a, rank));
  if (pads.length !== 2 * axes.length) fail(c, `pads want ${2 * axes.length} numbers`);
  const [before, after] = [new Array<number>(rank).fill(0), new Array<number>(rank).fill(0)];
  axes.forEach((axis, i) => {
    before[axis] = pads[i]!;
    after[axis] = pads[axes.length + i]!;
  });
  const shape = x.shape.map((d, i) => d + before[i]! + after[i]!);
  const beyond = BEYOND[textAttr(c, 'mode', 'constant')] ?? refuse(c, `mode ${textAttr(c, 'mode', '')}`);
  const data = room(c, x.dtype, shape);
  const [to, from] = [cells(data), cells(x.data)];
  const given = c.inputs[2] ? cells(c.inputs[2].data)[0] : undefined;
  const value =
    given ??
    (x.data instanceof BigInt64Array ? BigInt(numberAttr(c, 'value', 0)) : numberAttr(c, 'value', 0));
  const [own, strides] = [stridesOf(x.shape), stridesOf(shape)];
  walk(shape, strides, 0, (offset, position) => {
    let source: number | null = 0;
    for (let i = 0; i < rank && source !== null; i++) {
      const at = (Math.floor(offset / strides[i]!) % shape[i]!) - before[i]!;
      const read: number | null = at >= 0 && at < x.shape[i]! ? at : beyond(at, x.shape[i]!);
      source = read === null ? null : source + read * own[i]!;
    }
    to[position] = source === null ? value : from[source]!;
  });
  return [{ dtype: x.dtype, shape, data }];
};

/** Channels to blocks of pixels: DCR takes the block from the outer part of the channels, CRD from the inner. */
const depthToSpace: Kernel = (c) => {
  const x = input(c, 0);
  const [n, d, h, w] = x.shape as [number, number, number, number];
  const b = numberAttr(c, 'blocksize', 1);
  const depth = d / b ** 2;
  if (x.shape.length !== 4 || !Number.isInteger(depth)) fail(c, `${d} channels don't divide by ${b}²`);
  const crd = textAttr(c, 'mode', 'DCR') === 'CRD';
  const inner = stridesOf(crd ? [n, depth, b, b, h, w] : [n, b, b, depth, h, w]);
  const [sn, sd, sy, sx] = crd
    ? [inner[0]!, inner[1]!, inner[2]!, inner[3]!]
    : [inner[0]!, inner[3]!, inner[1]!, inner[2]!];
  const moved = packed(c, x, [n, depth, h, b, w, b], [sn, sd, inner[4]!, sy, inner[5]!, sx]);
  return [{ ...moved, shape: [n, depth, h * b, w * b] }];
};

const spaceToDepth: Kernel = (c) => {
  const x = input(c, 0);
  const [n, d, h, w] = x.shape as [number, number, number, number];
  const b = numberAttr(c, 'blocksize', 1);
  if (x.shape.length !== 4 || h % b !== 0 || w % b !== 0) fail(c, `[${h}, ${w}] does not divide by ${b}`);
  const s = stridesOf([n, d, h / b, b, w / b, b]) as [number, number, number, number, number, number];
  const moved = packed(c, x, [n, b, b, d, h / b, w / b], [s[0], s[3], s[5], s[1], s[2], s[4]]);
  return [{ ...moved, shape: [n, d * b * b, h / b, w / b] }];
};

/** Operators that move elements without changing them. */
export const movement: KernelTable = {
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
};
