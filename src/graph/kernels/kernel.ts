import { VersusError } from '../../core/errors.ts';
import type { Node, TensorAttribute } from '../../core/graph.ts';
import {
  allocate,
  type DType,
  elementCount,
  type Tensor,
  type TensorData,
  toFloat16,
  toNumbers,
} from '../../core/tensor.ts';

/** One node being computed: its inputs (undefined where left out) and the operator set that its attributes follow. */
export interface Call {
  readonly node: Node;
  readonly opset: number;
  readonly inputs: readonly (Tensor | undefined)[];
}

/** What the readers of attributes look at: the node. */
export type Site = Pick<Call, 'node'>;

/** Computes an operator's outputs in their order. Sums are kept in float64 and rounded once, when an output is stored. */
export type Kernel = (c: Call) => Tensor[];
export type KernelTable = Readonly<Record<string, Kernel>>;

/** Results beyond this are refused, so that a hostile shape cannot take the machine's memory. */
const MAX_ELEMENTS = 2 ** 28;

/** @throws VersusError `input` that names operator and node */
export function fail(c: Site, message: string): never {
  throw new VersusError('input', `${c.node.op}: ${message}`, {
    where: `node ${c.node.name || c.node.outputs[0]}`,
  });
}

/** @throws VersusError `unsupported`: the graph is right, but this interpreter lacks a variant of the operator */
export function refuse(c: Call, message: string): never {
  throw new VersusError(
    'unsupported',
    `${c.node.op}: ${message} is not supported by the reference interpreter`,
    {
      where: `node ${c.node.name || c.node.outputs[0]}`,
      next: 'run it on onnxruntime-cpu',
    },
  );
}

export function input(c: Call, index: number): Tensor {
  return c.inputs[index] ?? fail(c, `input ${index} is missing`);
}

export function numberAttr(c: Site, name: string, fallback: number): number {
  const value = c.node.attrs[name];
  return value === undefined
    ? fallback
    : typeof value === 'string'
      ? fail(c, `${name} is text`)
      : Number(value);
}

export function textAttr(c: Site, name: string, fallback: string): string {
  const value = c.node.attrs[name];
  return typeof value === 'string' ? value : fallback;
}

export function intsAttr(c: Site, name: string): readonly number[] | undefined {
  const value = c.node.attrs[name];
  if (value === undefined) return undefined;
  return Array.isArray(value) ? value.map(Number) : fail(c, `${name} is not a list of numbers`);
}

export function tensorAttr(c: Site, name: string): TensorAttribute | undefined {
  const value = c.node.attrs[name];
  const tensor = value as TensorAttribute | undefined;
  return typeof value === 'object' && tensor?.kind === 'tensor' ? tensor : undefined;
}

/** The numbers of a small whole-number input (shapes, axes, pads) or undefined when it is left out. */
export function intsInput(c: Call, index: number): number[] | undefined {
  const t = c.inputs[index];
  return t && Array.from(t.data as ArrayLike<number | bigint>, Number);
}

/** An axis counted from the front; `rank` itself is allowed where a position between axes is meant. */
export function axisOf(c: Site, axis: number, rank: number, between = false): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(at) || at < 0 || at > rank || (at === rank && !between)) {
    fail(c, `axis ${axis} does not exist in rank ${rank}`);
  }
  return at;
}

export const numbers = toNumbers;

/** Product of `shape` from `start` to before `end`. */
export function span(shape: readonly number[], start = 0, end = shape.length): number {
  let n = 1;
  for (let i = start; i < end; i++) n *= shape[i]!;
  return n;
}

/** Array elements without regard to their type: for moving values unchanged. */
export type Cells = Record<number, number | bigint> & {
  readonly length: number;
  fill(v: never, a?: number, b?: number): void;
};
export const cells = (data: TensorData): Cells => data as unknown as Cells;

/** Room for a result of that shape. */
export function room(c: Call, dtype: DType, shape: readonly number[]): TensorData {
  const n = elementCount(shape);
  if (!shape.every((d) => Number.isInteger(d) && d >= 0) || n > MAX_ELEMENTS) {
    fail(c, `cannot make a tensor of shape [${shape.join(', ')}]`);
  }
  return allocate(dtype, n);
}

/** Float64 room for a result of that shape. */
export function scratch(c: Call, shape: readonly number[]): Float64Array {
  return room(c, 'float64', shape) as Float64Array;
}

/** Rounds float64 values to `dtype`: to nearest even for floats, towards zero for whole numbers, ≠ 0 for bool. */
export function store(dtype: DType, shape: readonly number[], values: Float64Array): Tensor {
  return { dtype, shape, data: rounded(dtype, values) };
}

function rounded(dtype: DType, values: Float64Array): TensorData {
  if (dtype === 'float64') return values;
  if (dtype === 'float32') return new Float32Array(values);
  const out = allocate(dtype, values.length);
  const to = cells(out);
  for (let i = 0; i < values.length; i++) {
    const v = values[i]!;
    if (dtype === 'float16') to[i] = toFloat16(v);
    else if (dtype === 'bfloat16') to[i] = toBfloat16(v);
    else if (dtype === 'int64') to[i] = toBigInt(v, -(2n ** 63n), 2n ** 63n - 1n);
    else if (dtype === 'uint64') to[i] = toBigInt(v, 0n, 2n ** 64n - 1n);
    else if (dtype === 'bool') to[i] = v !== 0 ? 1 : 0;
    else to[i] = Math.trunc(v);
  }
  return out;
}

/** 2^63 − 1, the usual "to the end" of Slice, is no float64: values beyond the type's range become its ends. */
function toBigInt(value: number, least: bigint, most: bigint): bigint {
  if (Number.isNaN(value)) return 0n;
  if (value >= Number(most)) return most;
  if (value <= Number(least)) return least;
  return BigInt(Math.trunc(value));
}

const view = new DataView(new ArrayBuffer(4));
function toBfloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  view.setFloat32(0, value);
  const bits = view.getUint32(0);
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float64' || dtype === 'float16' || dtype === 'bfloat16';
}
