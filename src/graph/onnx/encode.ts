import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { reasonOf, VersusError } from '../../core/errors.ts';
import type { Attribute, Graph, Node, Param, ValueInfo } from '../../core/graph.ts';
import { bytesPerElement, elementCount } from '../../core/tensor.ts';
import { UNKNOWN_RANK } from '../dims.ts';
import { codeOf } from '../dtypes.ts';
import { operatorOf } from '../ops/index.ts';
import { AttributeType } from './decode-node.ts';
import { encodeTensor } from './tensor.ts';

/** Parameters whose data lie in another file in the model's folder, e.g. `weights.safetensors`. */
export interface ExternalData {
  /** File name relative to the model's folder. */
  readonly location: string;
  /** Byte offset of each such parameter; its length follows from dtype and shape. Others are written inline. */
  readonly offsets: ReadonlyMap<string, number> | Readonly<Record<string, number>>;
}

/** Where one parameter's data lie. */
export interface ExternalPlace {
  /** File name relative to the model's folder. */
  readonly location: string;
  readonly offset: number;
}

export interface EncodeOptions {
  /** One file for all, or a place for each by name. */
  readonly external?: ExternalData | ReadonlyMap<string, ExternalPlace>;
  /** Outputs whose type nobody knows: they are written by name alone, and a runtime infers the rest. */
  readonly untyped?: ReadonlySet<string>;
  /** Free-form properties of the file (metadata_props). */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Protobuf messages end here; onnxruntime refuses more. */
const MAX_BYTES = 2 ** 31 - 1;
const LEN = WireType.LengthDelimited;

/**
 * Writes a graph as an ONNX model. Floats among the attributes are those that the node names (`floats`), the operator
 * table declares, or whose value is not whole.
 *
 * @throws VersusError `input` when a parameter has neither data nor an external place, or the file would pass 2 GiB
 */
export function encodeOnnx(graph: Graph, options: EncodeOptions = {}): Uint8Array {
  const places = placesOf(options.external);
  const inline = graph.params.reduce((n, p) => n + (places.has(p.name) ? 0 : (p.data?.byteLength ?? 0)), 0);
  if (inline > MAX_BYTES - 2 ** 24) {
    throw new VersusError('input', `${inline} bytes of weights don't fit into one ONNX file`, {
      where: `graph ${graph.name}`,
      next: 'Write the weights as external data.',
    });
  }
  const w = new BinaryWriter();
  // IR version 8 goes with opset 15 to 18, 9 with 19 and 20, 10 from 21 (onnx/docs/Versioning.md); older files gain nothing from less.
  const version = graph.opset[''] ?? 1;
  w.tag(1, WireType.Varint).int64(version >= 21 ? 10 : version >= 19 ? 9 : 8);
  w.tag(2, LEN).string('versus');
  w.tag(7, LEN).fork();
  try {
    encodeGraph(w, graph, places, options.untyped);
  } catch (error) {
    if (error instanceof VersusError) throw error;
    throw new VersusError('input', `it can't be written as ONNX: ${reasonOf(error)}`, {
      where: `graph ${graph.name}`,
      cause: error,
    });
  }
  w.join();
  for (const [domain, v] of Object.entries(graph.opset)) {
    w.tag(8, LEN).fork();
    w.tag(1, LEN).string(domain);
    w.tag(2, WireType.Varint).int64(v);
    w.join();
  }
  for (const [key, value] of Object.entries(options.metadata ?? {})) {
    w.tag(14, LEN).fork();
    w.tag(1, LEN).string(key);
    w.tag(2, LEN).string(value);
    w.join();
  }
  return w.finish();
}

type Places = ReadonlyMap<string, ExternalPlace>;

function placesOf(external: EncodeOptions['external']): Places {
  if (!external) return new Map();
  if (external instanceof Map) return external as Places;
  const { location, offsets } = external as ExternalData;
  const entries: Iterable<[string, number]> =
    offsets instanceof Map ? offsets : Object.entries(offsets as Readonly<Record<string, number>>);
  return new Map(Array.from(entries, ([name, offset]) => [name, { location, offset }]));
}

function encodeGraph(w: BinaryWriter, graph: Graph, places: Places, untyped?: ReadonlySet<string>): void {
  for (const node of graph.nodes) {
    w.tag(1, LEN).fork();
    encodeNode(w, node);
    w.join();
  }
  w.tag(2, LEN).string(graph.name);
  for (const param of graph.params) {
    w.tag(5, LEN).fork();
    encodeParam(w, param, places);
    w.join();
  }
  for (const info of graph.inputs) encodeValue(w, 11, info);
  for (const info of graph.outputs) encodeValue(w, 12, info, untyped?.has(info.name));
  // A runtime infers the types behind operators of the table by itself; those behind others it can't.
  const declared = new Set(graph.outputs.map((o) => o.name));
  for (const node of graph.nodes) {
    if (operatorOf(node) || !graph.values) continue;
    for (const o of node.outputs) {
      const info = Object.hasOwn(graph.values, o) ? graph.values[o] : undefined;
      if (info && !declared.has(o)) encodeValue(w, 13, info);
    }
  }
}

function encodeParam(w: BinaryWriter, param: Param, places: Places): void {
  const place = places.get(param.name);
  if (place) {
    const length = elementCount(param.shape) * bytesPerElement(param.dtype);
    encodeTensor(w, param, { ...place, length });
    return;
  }
  if (!param.data) {
    throw new VersusError('input', `parameter ${param.name} has no data`, {
      next: 'Give its place in an external file, or its data.',
    });
  }
  encodeTensor(w, param, param.data);
}

function encodeValue(w: BinaryWriter, field: number, info: ValueInfo, untyped = false): void {
  const { name, dtype, shape } = info;
  w.tag(field, LEN).fork();
  w.tag(1, LEN).string(name);
  if (untyped) {
    w.join();
    return;
  }
  w.tag(2, LEN).fork();
  w.tag(1, LEN).fork();
  w.tag(1, WireType.Varint).int32(codeOf(dtype));
  if (shape[0] !== UNKNOWN_RANK) {
    w.tag(2, LEN).fork();
    for (const d of shape) {
      w.tag(1, LEN).fork();
      if (typeof d === 'number') w.tag(1, WireType.Varint).int64(d);
      else if (!d.startsWith('?')) w.tag(2, LEN).string(d);
      w.join();
    }
    w.join();
  }
  w.join().join().join();
}

function encodeNode(w: BinaryWriter, node: Node): void {
  // An optional input that is left out at the end is not written: some runtimes crash on an empty name there.
  const count = node.inputs.findLastIndex((input) => input !== '') + 1;
  for (const input of node.inputs.slice(0, count)) w.tag(1, LEN).string(input);
  for (const output of node.outputs) w.tag(2, LEN).string(output);
  w.tag(3, LEN).string(node.name);
  w.tag(4, LEN).string(node.op);
  const declared = operatorOf(node)?.floats;
  for (const [name, value] of Object.entries(node.attrs)) {
    w.tag(5, LEN).fork();
    w.tag(1, LEN).string(name);
    encodeAttribute(w, value, Boolean(node.floats?.includes(name) || declared?.includes(name)));
    w.join();
  }
  if (node.domain) w.tag(7, LEN).string(node.domain);
}

function encodeAttribute(w: BinaryWriter, value: Attribute, isFloat: boolean): void {
  let type: number;
  if (typeof value === 'string') {
    w.tag(4, LEN).string(value);
    type = AttributeType.STRING;
  } else if (typeof value === 'bigint') {
    w.tag(3, WireType.Varint).int64(value);
    type = AttributeType.INT;
  } else if (typeof value === 'number') {
    const whole = !isFloat && Number.isInteger(value);
    if (whole) w.tag(3, WireType.Varint).int64(clampInt64(value));
    else w.tag(2, WireType.Bit32).float(value);
    type = whole ? AttributeType.INT : AttributeType.FLOAT;
  } else if ('kind' in value) {
    w.tag(value.kind === 'tensor' ? 5 : 6, LEN).fork();
    if (value.kind === 'tensor') encodeTensor(w, value, value.data);
    else encodeGraph(w, value.graph, new Map());
    w.join();
    type = value.kind === 'tensor' ? AttributeType.TENSOR : AttributeType.GRAPH;
  } else {
    type = encodeList(w, value, isFloat);
  }
  w.tag(20, WireType.Varint).int32(type);
}

function encodeList(
  w: BinaryWriter,
  values: readonly number[] | readonly string[],
  isFloat: boolean,
): number {
  if (typeof values[0] === 'string') {
    for (const v of values as readonly string[]) w.tag(9, LEN).string(v);
    return AttributeType.STRINGS;
  }
  const numbers = values as readonly number[];
  const whole = !isFloat && numbers.every((v) => Number.isInteger(v));
  for (const v of numbers) {
    if (whole) w.tag(8, WireType.Varint).int64(clampInt64(v));
    else w.tag(7, WireType.Bit32).float(v);
  }
  return whole ? AttributeType.INTS : AttributeType.FLOATS;
}

/** ±2^63 stands for the ends of the int64 range, which a number can't hold exactly. */
function clampInt64(value: number): bigint {
  return BigInt.asIntN(
    64,
    value >= 2 ** 63 ? 2n ** 63n - 1n : value < -(2 ** 63) ? -(2n ** 63n) : BigInt(value),
  );
}
