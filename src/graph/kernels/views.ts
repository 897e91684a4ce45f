import type { Tensor } from '../../core/tensor.ts';
import {
  axisOf,
  type Call,
  fail,
  input,
  intsAttr,
  intsInput,
  type Kernel,
  type KernelTable,
  numberAttr,
  refuse,
  span,
} from './kernel.ts';

/** The same elements under another shape; the data is shared. */
function reshaped(c: Call, x: Tensor, shape: readonly number[]): Tensor[] {
  if (shape.some((d) => d < 0) || span(shape) !== x.data.length) {
    fail(c, `[${x.shape.join(', ')}] cannot become [${shape.join(', ')}]`);
  }
  return [{ dtype: x.dtype, shape, data: x.data }];
}

/** 0 keeps the dimension of that place (unless allowzero), one −1 takes what is left. */
const reshape: Kernel = (c) => {
  const x = input(c, 0);
  const wanted = intsInput(c, 1) ?? intsAttr(c, 'shape') ?? fail(c, 'the shape is missing');
  const zero = numberAttr(c, 'allowzero', 0) !== 0;
  const shape = wanted.map((d, i) =>
    d === 0 && !zero ? (x.shape[i] ?? fail(c, 'there is no dimension to keep')) : d,
  );
  const free = shape.indexOf(-1);
  if (free >= 0) {
    const rest = span(shape.filter((_, i) => i !== free));
    shape[free] = rest === 0 ? 0 : x.data.length / rest;
    if (!Number.isInteger(shape[free]))
      fail(c, `${x.data.length} elements don't divide into [${wanted.join(', ')}]`);
  }
  return reshaped(c, x, shape);
};

const squeeze: Kernel = (c) => {
  const x = input(c, 0);
  const axes = (intsAttr(c, 'axes') ?? intsInput(c, 1))?.map((axis) => axisOf(c, axis, x.shape.length));
  const shape = x.shape.filter((d, i) => (axes ? !axes.includes(i) : d !== 1));
  return reshaped(c, x, shape);
};

const unsqueeze: Kernel = (c) => {
  const x = input(c, 0);
  const given = intsAttr(c, 'axes') ?? intsInput(c, 1) ?? fail(c, 'axes are missing');
  const rank = x.shape.length + given.length;
  const axes = new Set(given.map((axis) => axisOf(c, axis, rank)));
  if (axes.size !== given.length) fail(c, `axes [${given.join(', ')}] repeat`);
  const rest = x.shape.values();
  return reshaped(
    c,
    x,
    Array.from({ length: rank }, (_, i) => (axes.has(i) ? 1 : (rest.next().value as number))),
  );
};

const shapeOf: Kernel = (c) => {
  const { shape } = input(c, 0);
  const clamp = (at: number): number => Math.max(0, Math.min(shape.length, at < 0 ? at + shape.length : at));
  const part = shape.slice(clamp(numberAttr(c, 'start', 0)), clamp(numberAttr(c, 'end', shape.length)));
  return [{ dtype: 'int64', shape: [part.length], data: BigInt64Array.from(part, BigInt) }];
};

const same: Kernel = (c) => [input(c, 0)];

/** Operators that leave every element in its place. */
export const views: KernelTable = {
  Identity: same,
  // At inference, or at a ratio of 0, nothing is dropped; the mask, where asked for, is all true.
  Dropout: (c) => {
    const x = input(c, 0);
    // A ratio that is left out is 0.5.
    if (c.inputs[2]?.data[0] && c.inputs[1]?.data[0] !== 0) refuse(c, 'training mode');
    return [x, { dtype: 'bool', shape: x.shape, data: new Uint8Array(x.data.length).fill(1) }];
  },
  Reshape: reshape,
  Flatten: (c) => {
    const x = input(c, 0);
    const axis = axisOf(c, numberAttr(c, 'axis', 1), x.shape.length, true);
    return reshaped(c, x, [span(x.shape, 0, axis), span(x.shape, axis)]);
  },
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Shape: shapeOf,
  Size: (c) => [{ dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(input(c, 0).data.length)) }],
};
