import { type BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { VersusError } from '../../core/errors.ts';
import type { Param } from '../../core/graph.ts';
import {
  allocate,
  bytesPerElement,
  type DType,
  fromBytes,
  type TensorData,
  toBytes,
} from '../../core/tensor.ts';
import { codeOf, dtypeName, dtypeOf } from '../dtypes.ts';
import { bytes, doubles, floats, integer, integers, readMessage, text, unsigned } from './wire.ts';

/** Where external data lie: a file beside the model, and the bytes in it. */
export interface ExternalRange {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** A TensorProto: its data in memory, or where they lie. */
export interface DecodedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data?: TensorData;
  readonly external?: ExternalRange;
  /** What the parameter is for, when the file says so (Versus writes it into the doc string). */
  readonly role?: Param['role'];
}

const MAX_RANK = 64;
const ROLES: readonly Param['role'][] = ['weight', 'buffer', 'constant'];
const ROLE_PREFIX = 'versus role: ';
/** Element types that TensorProto keeps in `int32_data`, 16-bit floats as their bits. */
const IN_INT32: readonly DType[] = [
  'int32',
  'int16',
  'int8',
  'uint16',
  'uint8',
  'bool',
  'float16',
  'bfloat16',
];

function malformed(name: string, problem: string): never {
  throw new VersusError('input', problem, { where: `tensor ${name || '(unnamed)'}` });
}

/** Several numbers to a byte, or a format that no kernel here reads: refused by name rather than misread. */
function unsupportedType(name: string, code: number): never {
  throw new VersusError(
    code === 0 ? 'input' : 'unsupported',
    code === 0 ? 'it has no element type' : `element type ${dtypeName(code)} is not supported`,
    {
      where: `tensor ${name || '(unnamed)'}`,
      next: /int4/.test(dtypeName(code))
        ? 'export 4-bit weights as MatMulNBits (uint8 blocks), or as int8'
        : 'export the tensor as float32, float16, bfloat16, or integers of 8 to 64 bits',
    },
  );
}

/** A non-negative whole number that fits; anything else is malformed. */
function sizeOf(value: bigint, name: string, what: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) malformed(name, `${what} is ${value}`);
  return Number(value);
}

/** Reads one TensorProto. Data in memory are views of `message` where their alignment allows. */
export function decodeTensor(message: Uint8Array): DecodedTensor {
  let name = '';
  let code = 0;
  let role: Param['role'] | undefined;
  let raw: Uint8Array | undefined;
  let elsewhere = false;
  const dims: bigint[] = [];
  const entries = new Map<string, string>();
  const typed: (number | bigint)[] = [];
  let typedField = '';
  const keep = (field: string) => (value: number | bigint) => {
    typedField = field;
    typed.push(value);
  };
  readMessage(message, {
    1: integers((d) => {
      if (dims.push(d) > MAX_RANK) malformed(name, `it has more than ${MAX_RANK} dimensions`);
    }),
    2: integer((v) => {
      code = Number(v);
    }),
    3: bytes(() => malformed(name, 'segmented tensors are not supported')),
    4: floats(keep('float_data')),
    5: integers(keep('int32_data')),
    6: bytes(() => malformed(name, 'string tensors are not supported')),
    7: integers(keep('int64_data')),
    8: text((v) => {
      name = v;
    }),
    9: bytes((v) => {
      raw = v;
    }),
    10: doubles(keep('double_data')),
    11: unsigned(keep('uint64_data')),
    12: text((v) => {
      role = ROLES.find((r) => v === ROLE_PREFIX + r) ?? role;
    }),
    13: bytes((entry) => {
      let key = '';
      readMessage(entry, {
        1: text((v) => {
          key = v;
        }),
        2: text((v) => {
          entries.set(key, v);
        }),
      });
    }),
    14: integer((v) => {
      elsewhere = v === 1n;
    }),
  });
  const dtype = dtypeOf(code) ?? unsupportedType(name, code);
  const shape = dims.map((d) => sizeOf(d, name, 'a dimension'));
  const count = shape.reduce((n, d) => n * d, 1);
  const length = count * bytesPerElement(dtype);
  if (!Number.isSafeInteger(length)) malformed(name, `shape [${shape.join(', ')}] is too large`);
  const common = { name, dtype, shape, ...(role && { role }) };
  if (elsewhere) return { ...common, external: externalRange(name, entries, length) };
  if (raw && (raw.byteLength > 0 || typed.length === 0)) {
    if (raw.byteLength !== length)
      malformed(name, `${raw.byteLength} bytes for shape [${shape.join(', ')}] of ${dtype}`);
    return { ...common, data: fromBytes(dtype, raw) };
  }
  return { ...common, data: fromTyped(name, dtype, count, typedField, typed) };
}

function externalRange(name: string, entries: ReadonlyMap<string, string>, length: number): ExternalRange {
  const read = (key: string): number | undefined => {
    const value = entries.get(key);
    if (value === undefined) return undefined;
    const n = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
    return Number.isSafeInteger(n)
      ? n
      : malformed(name, `external data: ${key} is ${JSON.stringify(value.slice(0, 40))}`);
  };
  const location = entries.get('location') ?? malformed(name, 'external data without a location');
  const declared = read('length');
  if (declared !== undefined && declared !== length) {
    malformed(name, `external data of ${declared} bytes where its shape needs ${length}`);
  }
  return { location, offset: read('offset') ?? 0, length };
}

/** Data of the typed fields; each dtype is kept in the one that onnx.proto names for it. */
function fromTyped(
  name: string,
  dtype: DType,
  count: number,
  field: string,
  values: readonly (number | bigint)[],
): TensorData {
  const expected = IN_INT32.includes(dtype)
    ? 'int32_data'
    : ({ float32: 'float_data', float64: 'double_data', int64: 'int64_data' }[dtype as string] ??
      'uint64_data');
  if (values.length > 0 && field !== expected) malformed(name, `${dtype} elements in ${field}`);
  if (values.length !== count) malformed(name, `${values.length} elements where its shape needs ${count}`);
  const data = allocate(dtype, count);
  for (let i = 0; i < count; i++) {
    const v = values[i]!;
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(v);
    else data[i] = Number(v);
  }
  return data;
}

/** Writes the fields of one TensorProto: raw data, or a reference to external data. */
export function encodeTensor(
  w: BinaryWriter,
  t: { name?: string; dtype: DType; shape: readonly number[]; role?: Param['role'] },
  data: TensorData | ExternalRange,
): void {
  w.tag(1, WireType.LengthDelimited).fork();
  for (const d of t.shape) w.int64(d);
  w.join();
  w.tag(2, WireType.Varint).int32(codeOf(t.dtype));
  if (t.name) w.tag(8, WireType.LengthDelimited).string(t.name);
  if (t.role) w.tag(12, WireType.LengthDelimited).string(ROLE_PREFIX + t.role);
  if (!('location' in data)) {
    w.tag(9, WireType.LengthDelimited).bytes(toBytes(data));
    return;
  }
  for (const [key, value] of Object.entries(data)) {
    w.tag(13, WireType.LengthDelimited).fork();
    w.tag(1, WireType.LengthDelimited).string(key);
    w.tag(2, WireType.LengthDelimited).string(String(value));
    w.join();
  }
  w.tag(14, WireType.Varint).int32(1);
}
