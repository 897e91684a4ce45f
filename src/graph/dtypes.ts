import type { DType } from '../core/tensor.ts';

/** TensorProto.DataType of onnx.proto for the element types that Versus knows. */
const CODES: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};
const NAMES = new Map(Object.entries(CODES).map(([name, code]) => [code, name as DType]));

/** ONNX's number of an element type (the `to` of Cast). */
export function codeOf(dtype: DType): number {
  return CODES[dtype];
}

/** Element types of onnx.proto that no tensor of ours can hold. */
const FOREIGN: Readonly<Record<number, string>> = {
  8: 'string',
  14: 'complex64',
  15: 'complex128',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
  24: 'float8e8m0',
  25: 'uint2',
  26: 'int2',
};

/** ONNX's name of an element type, ours or not, for messages. */
export function dtypeName(code: number): string {
  return dtypeOf(code) ?? FOREIGN[code] ?? String(code);
}

/** The element type of ONNX's number; undefined for strings, complex numbers, 8-bit floats and the like. */
export function dtypeOf(code: number): DType | undefined {
  return NAMES.get(code);
}
