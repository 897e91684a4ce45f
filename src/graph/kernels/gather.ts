import type { Tensor, TensorData } from '../../core/tensor.ts';
import {
  axisOf,
  type Call,
  cells,
  fail,
  input,
  type Kernel,
  type KernelTable,
  numberAttr,
  refuse,
  room,
  span,
  textAttr,
} from './kernel.ts';
import { stridesOf, walk } from './strided.ts';

/** Indices as numbers from the front; a negative one counts from the end. */
function indicesOf(c: Call, t: Tensor, size: number): number[] {
  return Array.from(t.data as ArrayLike<number | bigint>, (value) => place(c, Number(value), size));
}

function place(c: Call, index: number, size: number): number {
  const at = index < 0 ? index + size : index;
  return at >= 0 && at < size ? at : fail(c, `index ${index} is out of range for a dimension of ${size}`);
}

const gather: Kernel = (c) => {
  const [x, indices] = [input(c, 0), input(c, 1)];
  const axis = axisOf(c, numberAttr(c, 'axis', 0), x.shape.length);
  const size = x.shape[axis]!;
  const places = indicesOf(c, indices, size);
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const data = room(c, x.dtype, shape);
  const [outer, inner] = [span(x.shape, 0, axis), span(x.shape, axis + 1)];
  const [to, from] = [cells(data), cells(x.data)];
  let position = 0;
  for (let o = 0; o < outer; o++) {
    for (const at of places) {
      const start = (o * size + at) * inner;
      for (let i = 0; i < inner; i++) to[position++] = from[start + i]!;
    }
  }
  return [{ dtype: x.dtype, shape, data }];
};

/** For each element of `shape`, where in x it points when its coordinate along `axis` is replaced by its index. */
function alongAxis(c: Call, x: Tensor, indices: Tensor, axis: number): Int32Array {
  if (indices.shape.length !== x.shape.length) fail(c, 'indices and data differ in rank');
  const places = indicesOf(c, indices, x.shape[axis]!);
  const strides = stridesOf(x.shape);
  const out = new Int32Array(places.length);
  const others = strides.map((s, i) => (i === axis ? 0 : s));
  if (indices.shape.some((d, i) => i !== axis && d > x.shape[i]!)) fail(c, 'indices reach beyond the data');
  walk(indices.shape, others, 0, (offset, position) => {
    out[position] = offset + places[position]! * strides[axis]!;
  });
  return out;
}

const gatherElements: Kernel = (c) => {
  const [x, indices] = [input(c, 0), input(c, 1)];
  const axis = axisOf(c, numberAttr(c, 'axis', 0), x.shape.length);
  const from = alongAxis(c, x, indices, axis);
  const data = room(c, x.dtype, indices.shape);
  const [to, source] = [cells(data), cells(x.data)];
  for (let i = 0; i < from.length; i++) to[i] = source[from[i]!]!;
  return [{ dtype: x.dtype, shape: indices.shape, data }];
};

/** Starts of the slices of x that tuples of indices (the last dimension) point at, `batch` dimensions in parallel. */
function tuples(
  c: Call,
  x: Tensor,
  indices: Tensor,
  batch: number,
): { starts: number[]; length: number; depth: number } {
  const depth = indices.shape.at(-1) ?? fail(c, 'indices are a scalar');
  if (!(Number.isInteger(batch) && batch >= 0 && batch < indices.shape.length))
    fail(c, `batch_dims is ${batch}`);
  if (batch + depth > x.shape.length)
    fail(c, `tuples of ${depth} indices are too long for rank ${x.shape.length}`);
  const strides = stridesOf(x.shape);
  const perBatch = span(indices.shape, batch, indices.shape.length - 1);
  const values = indices.data as ArrayLike<number | bigint>;
  const step = span(x.shape, batch);
  const starts = Array.from({ length: span(indices.shape, 0, indices.shape.length - 1) }, (_, tuple) => {
    let start = Math.floor(tuple / (perBatch || 1)) * step;
    for (let d = 0; d < depth; d++) {
      start += place(c, Number(values[tuple * depth + d]), x.shape[batch + d]!) * strides[batch + d]!;
    }
    return start;
  });
  return { starts, length: span(x.shape, batch + depth), depth };
}

const gatherNd: Kernel = (c) => {
  const [x, indices] = [input(c, 0), input(c, 1)];
  const batch = numberAttr(c, 'batch_dims', 0);
  const { starts, length, depth } = tuples(c, x, indices, batch);
  const shape = [...indices.shape.slice(0, -1), ...x.shape.slice(batch + depth)];
  const data = room(c, x.dtype, shape);
  const [to, from] = [cells(data), cells(x.data)];
  starts.forEach((start, tuple) => {
    for (let i = 0; i < length; i++) to[tuple * length + i] = from[start + i]!;
  });
  return [{ dtype: x.dtype, shape, data }];
};

/** How an update meets what is there. Float16 bit patterns can only be replaced. */
function combine(c: Call, x: Tensor): (old: number | bigint, next: number | bigint) => number | bigint {
  const how = textAttr(c, 'reduction', 'none');
  if (how === 'none') return (_, next) => next;
  if (x.dtype === 'float16' || x.dtype === 'bfloat16') refuse(c, `reduction ${how} on ${x.dtype}`);
  switch (how) {
    case 'add':
      return (a, b) => (a as number) + (b as number);
    case 'mul':
      return (a, b) => (a as number) * (b as number);
    case 'max':
      return (a, b) => (a > b ? a : b);
    case 'min':
      return (a, b) => (a < b ? a : b);
    default:
      return refuse(c, `reduction ${how}`);
  }
}

const copyOf = (data: TensorData): TensorData => data.slice() as TensorData;

const scatterElements: Kernel = (c) => {
  const [x, indices, updates] = [input(c, 0), input(c, 1), input(c, 2)];
  const axis = axisOf(c, numberAttr(c, 'axis', 0), x.shape.length);
  if (updates.shape.join() !== indices.shape.join()) fail(c, 'updates and indices differ in shape');
  const at = alongAxis(c, x, indices, axis);
  const merge = combine(c, x);
  const data = copyOf(x.data);
  const [to, from] = [cells(data), cells(updates.data)];
  for (let i = 0; i < at.length; i++) to[at[i]!] = merge(to[at[i]!]!, from[i]!);
  return [{ dtype: x.dtype, shape: x.shape, data }];
};

const scatterNd: Kernel = (c) => {
  const [x, indices, updates] = [input(c, 0), input(c, 1), input(c, 2)];
  const { starts, length, depth } = tuples(c, x, indices, 0);
  const wanted = [...indices.shape.slice(0, -1), ...x.shape.slice(depth)];
  if (updates.shape.join() !== wanted.join()) fail(c, `updates want shape [${wanted.join(', ')}]`);
  const merge = combine(c, x);
  const data = copyOf(x.data);
  const [to, from] = [cells(data), cells(updates.data)];
  starts.forEach((start, tuple) => {
    for (let i = 0; i < length; i++) to[start + i] = merge(to[start + i]!, from[tuple * length + i]!);
  });
  return [{ dtype: x.dtype, shape: x.shape, data }];
};

/** Values are [off, on]; an index out of range gives a row of off. */
const oneHot: Kernel = (c) => {
  const [indices, depthInput, values] = [input(c, 0), input(c, 1), input(c, 2)];
  const depth = Number(depthInput.data[0]);
  const axis = axisOf(c, numberAttr(c, 'axis', -1), indices.shape.length + 1);
  const shape = [...indices.shape.slice(0, axis), depth, ...indices.shape.slice(axis)];
  const data = room(c, values.dtype, shape);
  const [to, choice] = [cells(data), cells(values.data)];
  const inner = span(indices.shape, axis);
  for (let i = 0; i < data.length; i++) to[i] = choice[0]!;
  Array.from(indices.data as ArrayLike<number | bigint>, Number).forEach((index, i) => {
    const at = index < 0 ? index + depth : index;
    if (at < 0 || at >= depth) return;
    to[(Math.floor(i / inner) * depth + at) * inner + (i % inner)] = choice[1]!;
  });
  return [{ dtype: values.dtype, shape, data }];
};

/** The slices along `axis`, or the elements of the flattened tensor, whose condition is true; it may be shorter than they are many. */
const compress: Kernel = (c) => {
  const [x, condition] = [input(c, 0), input(c, 1)];
  const flat = c.node.attrs.axis === undefined;
  const axis = flat ? 0 : axisOf(c, numberAttr(c, 'axis', 0), x.shape.length);
  const size = flat ? x.data.length : x.shape[axis]!;
  if (condition.data.length > size) fail(c, `${condition.data.length} conditions for ${size} places`);
  const kept = Array.from(condition.data as Uint8Array).flatMap((test, i) => (test ? [i] : []));
  const [outer, inner] = flat ? [1, 1] : [span(x.shape, 0, axis), span(x.shape, axis + 1)];
  const shape = flat ? [kept.length] : x.shape.map((d, i) => (i === axis ? kept.length : d));
  const data = room(c, x.dtype, shape);
  const [to, from] = [cells(data), cells(x.data)];
  let position = 0;
  for (let o = 0; o < outer; o++) {
    for (const at of kept) {
      for (let i = 0; i < inner; i++) to[position++] = from[(o * size + at) * inner + i]!;
    }
  }
  return [{ dtype: x.dtype, shape, data }];
};

/** Reading and writing by index. */
export const indexing: KernelTable = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  ScatterElements: scatterElements,
  Scatter: scatterElements,
  ScatterND: scatterNd,
  OneHot: oneHot,
  Compress: compress,
};
