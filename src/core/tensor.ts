/** Element types of ONNX that a graph, a weight file or a backend may name. */
export const DTYPES = [
  'float32',
  'float16',
  'bfloat16',
  'float64',
  'int64',
  'int32',
  'int16',
  'int8',
  'uint64',
  'uint32',
  'uint16',
  'uint8',
  'bool',
] as const;
export type DType = (typeof DTYPES)[number];

export type TensorData =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/**
 * A dense row-major tensor on the host. float16 and bfloat16 hold their bit patterns in a Uint16Array,
 * bool holds 0 or 1 in a Uint8Array, a scalar has shape [].
 */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}
export type Tensors = Record<string, Tensor>;

interface ArrayType {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): TensorData;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): TensorData;
}

const ARRAYS: Record<DType, ArrayType> = {
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint64: BigUint64Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as unknown as Record<DType, ArrayType>;

/** Bytes of one element. */
export function bytesPerElement(dtype: DType): number {
  return ARRAYS[dtype].BYTES_PER_ELEMENT;
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** A zeroed array that holds `length` elements of `dtype`. */
export function allocate(dtype: DType, length: number): TensorData {
  return new ARRAYS[dtype](length);
}

/** Little-endian bytes read as `dtype`: a view where the alignment allows, else a copy. */
export function fromBytes(dtype: DType, bytes: Uint8Array): TensorData {
  const size = bytesPerElement(dtype);
  if (bytes.byteLength % size !== 0) {
    throw new RangeError(`${bytes.byteLength} bytes are not a whole number of ${dtype} elements`);
  }
  // A copy by the constructor: `slice` of a Buffer would be a view at the same offset.
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new ARRAYS[dtype](aligned.buffer, aligned.byteOffset, bytes.byteLength / size);
}

/** The bytes behind a tensor's data, without a copy. */
export function toBytes(data: TensorData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A tensor whose data length is checked against its shape. */
export function tensor(dtype: DType, shape: readonly number[], data: TensorData): Tensor {
  if (data.length !== elementCount(shape)) {
    throw new RangeError(
      `shape [${shape.join(', ')}] wants ${elementCount(shape)} elements, got ${data.length}`,
    );
  }
  return { dtype, shape, data };
}

/** A float32 tensor from numbers. */
export function float32(shape: readonly number[], values: ArrayLike<number>): Tensor {
  return tensor('float32', shape, values instanceof Float32Array ? values : Float32Array.from(values));
}

/** An int64 tensor from whole numbers. */
export function int64(shape: readonly number[], values: ArrayLike<number>): Tensor {
  return tensor('int64', shape, BigInt64Array.from(Array.from(values, (v) => BigInt(v))));
}

const halfView = new DataView(new ArrayBuffer(4));

/** IEEE 754 binary16 bits of a number, rounded to nearest even. */
export function toFloat16(value: number): number {
  halfView.setFloat32(0, value);
  const bits = halfView.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal half: shift the significand (with its hidden bit) down to the unit 2^-24.
    if (magnitude < 0x33000000) return sign;
    const exponent = magnitude >>> 23;
    const significand = (magnitude & 0x7fffff) | 0x800000;
    const shift = 126 - exponent;
    const half = significand >>> shift;
    const rest = significand & ((1 << shift) - 1);
    const middle = 1 << (shift - 1);
    return sign | (half + (rest > middle || (rest === middle && (half & 1) === 1) ? 1 : 0));
  }
  const rounded = magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1);
  return sign | (rounded >>> 13);
}

/** The number that IEEE 754 binary16 bits stand for. */
export function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The number that bfloat16 bits stand for. */
export function fromBfloat16(bits: number): number {
  halfView.setUint32(0, bits << 16);
  return halfView.getFloat32(0);
}

/** The values of any numeric tensor as float64; int64 beyond 2^53 loses its low bits. */
export function toNumbers(t: Tensor): Float64Array {
  const out = new Float64Array(t.data.length);
  const data = t.data as ArrayLike<number | bigint>;
  for (let i = 0; i < out.length; i++) {
    const v = data[i]!;
    if (t.dtype === 'float16') out[i] = fromFloat16(Number(v));
    else if (t.dtype === 'bfloat16') out[i] = fromBfloat16(Number(v));
    else out[i] = Number(v);
  }
  return out;
}
