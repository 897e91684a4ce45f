import type { TensorData } from '../../core/tensor.ts';
import { type Call, cells, fail } from './kernel.ts';

/** Row-major strides of a shape, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const out = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    out[i] = step;
    step *= shape[i]!;
  }
  return out;
}

/** Calls `visit(offset, position)` for each element of `shape` in row-major order; `offset` follows `strides`. */
export function walk(
  shape: readonly number[],
  strides: readonly number[],
  start: number,
  visit: (offset: number, position: number) => void,
): void {
  const rank = shape.length;
  if (shape.includes(0)) return;
  const index = new Array<number>(rank).fill(0);
  const inner = rank === 0 ? 1 : shape[rank - 1]!;
  const step = rank === 0 ? 0 : strides[rank - 1]!;
  let offset = start;
  let position = 0;
  for (;;) {
    for (let i = 0; i < inner; i++) visit(offset + i * step, position++);
    let axis = rank - 2;
    for (; axis >= 0; axis--) {
      offset += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      offset -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

/** Copies elements that lie `strides` apart into a dense array. */
export function pack(
  from: TensorData,
  to: TensorData,
  shape: readonly number[],
  strides: readonly number[],
  start = 0,
): void {
  const source = cells(from);
  const target = cells(to);
  walk(shape, strides, start, (offset, position) => {
    target[position] = source[offset]!;
  });
}

/** Spreads a dense array over elements that lie `strides` apart. */
export function unpack(
  from: TensorData,
  to: TensorData,
  shape: readonly number[],
  strides: readonly number[],
  start = 0,
): void {
  const source = cells(from);
  const target = cells(to);
  walk(shape, strides, start, (offset, position) => {
    target[offset] = source[position]!;
  });
}

/** Multidirectional broadcasting (ONNX, Broadcasting.md): aligned at the right, 1 stretches. */
export function broadcastShape(c: Call, ...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, at) => {
    let out = 1;
    for (const shape of shapes) {
      const d = shape[at - rank + shape.length] ?? 1;
      if (d === 1) continue;
      if (out !== 1 && out !== d)
        fail(c, `shapes ${shapes.map((s) => `[${s.join(', ')}]`).join(' and ')} don't broadcast`);
      out = d;
    }
    return out;
  });
}

/** Strides that read a tensor of `shape` as if it were stretched to `to`. */
export function stretchedStrides(shape: readonly number[], to: readonly number[]): number[] {
  const own = stridesOf(shape);
  const shift = to.length - shape.length;
  return to.map((_, i) => (i < shift || shape[i - shift] === 1 ? 0 : own[i - shift]!));
}

/** For each element of `to`, the index of the element of a tensor of `shape` that is stretched there. */
export function stretchedIndex(
  shape: readonly number[],
  to: readonly number[],
): (position: number) => number {
  const count = to.reduce((n, d) => n * d, 1);
  if (shape.reduce((n, d) => n * d, 1) === count) return (position) => position;
  const map = new Int32Array(count);
  walk(to, stretchedStrides(shape, to), 0, (offset, position) => {
    map[position] = offset;
  });
  return (position) => map[position]!;
}
