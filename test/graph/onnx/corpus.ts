import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { Graph } from '../../../src/core/graph.ts';
import { decodeOnnx, encodeOnnx } from '../../../src/graph/onnx/index.ts';

const FIXTURES = join(import.meta.dirname, '..', '..', 'fixtures');
const LEN = WireType.LengthDelimited;

/** A graph with every kind of attribute, a subgraph, an operator of another domain, symbolic and unknown dimensions. */
export function varied(): Graph {
  const inner: Graph = {
    name: 'then',
    opset: { '': 17 },
    inputs: [],
    outputs: [{ name: 'inner', dtype: 'float32', shape: ['n', 4] }],
    params: [{ name: 'two', dtype: 'float32', shape: [], role: 'constant', data: Float32Array.of(2) }],
    nodes: [{ op: 'Mul', name: 'double', inputs: ['x', 'two'], outputs: ['inner'], attrs: {} }],
  };
  return {
    name: 'varied',
    opset: { '': 17, 'com.example': 2 },
    inputs: [
      { name: 'x', dtype: 'float32', shape: ['n', 4] },
      { name: 'on', dtype: 'bool', shape: [] },
      { name: 'ids', dtype: 'int64', shape: ['?', 'past+n'] },
    ],
    outputs: [
      { name: 'y', dtype: 'float32', shape: ['n', 4] },
      { name: 'z', dtype: 'float16', shape: ['?z', 2] },
      { name: 'picked', dtype: 'float32', shape: ['?', 'past+n', 4] },
    ],
    params: [
      { name: 'w', dtype: 'float32', shape: [5, 4], role: 'weight', data: new Float32Array(20).fill(0.5) },
      { name: 'running_mean', dtype: 'float32', shape: [4], role: 'buffer', data: new Float32Array(4) },
      { name: 'mask', dtype: 'bool', shape: [2], role: 'constant', data: Uint8Array.of(1, 0) },
      { name: 'half', dtype: 'float16', shape: [1], role: 'constant', data: Uint16Array.of(0x3c00) },
      { name: 'ends', dtype: 'int64', shape: [2], role: 'constant', data: BigInt64Array.of(-1n, 2n ** 62n) },
    ],
    nodes: [
      { op: 'Gather', name: 'pick', inputs: ['w', 'ids'], outputs: ['picked'], attrs: { axis: 0 } },
      {
        op: 'If',
        name: 'branch',
        inputs: ['on'],
        outputs: ['y'],
        attrs: {
          then_branch: { kind: 'graph', graph: inner },
          else_branch: { kind: 'graph', graph: { ...inner, name: 'else' } },
        },
      },
      {
        op: 'Twist',
        domain: 'com.example',
        name: 'twist',
        inputs: ['x', '', 'running_mean'],
        outputs: ['z', '', 'hidden'],
        attrs: {
          one: 1,
          float: 2,
          text: 'hällo',
          big: 2n ** 60n,
          whole: [1, 2, 3],
          floats: [1, 0.5],
          empty: [],
          texts: ['a', ''],
          table: { kind: 'tensor', dtype: 'int32', shape: [2, 1], data: Int32Array.of(7, -7) },
        },
        floats: ['float', 'floats', 'empty'],
      },
    ],
    values: { hidden: { name: 'hidden', dtype: 'float16', shape: ['n', 2] } },
  };
}

/** A model whose initialisers use the typed fields of TensorProto instead of raw data. */
export function typedFields(): Uint8Array {
  const w = new BinaryWriter();
  w.tag(1, WireType.Varint).int64(3);
  w.tag(7, LEN).fork();
  const tensor = (name: string, code: number, dims: number[], write: () => void) => {
    w.tag(5, LEN).fork();
    for (const d of dims) w.tag(1, WireType.Varint).int64(d);
    w.tag(2, WireType.Varint).int32(code);
    w.tag(8, LEN).string(name);
    write();
    w.join();
  };
  const list = (field: number, write: () => void) => {
    w.tag(field, LEN).fork();
    write();
    w.join();
  };
  tensor('f32', 1, [2], () => list(4, () => w.float(1.5).float(-2)));
  tensor('f64', 11, [1], () => list(10, () => w.double(0.1)));
  tensor('i64', 7, [2], () => list(7, () => w.int64(-5).int64(1n << 40n)));
  tensor('i32', 6, [1], () => w.tag(5, WireType.Varint).int32(-9));
  tensor('u8', 2, [2], () => list(5, () => w.int32(255).int32(1)));
  tensor('i8', 3, [1], () => list(5, () => w.int32(-128)));
  tensor('i16', 5, [1], () => list(5, () => w.int32(-300)));
  tensor('f16', 10, [1], () => list(5, () => w.int32(0x3c00)));
  tensor('bf16', 16, [1], () => list(5, () => w.int32(0x3f80)));
  tensor('bool', 9, [2], () => list(5, () => w.int32(1).int32(0)));
  tensor('u64', 13, [1], () => list(11, () => w.uint64(2n ** 63n)));
  tensor('u32', 12, [1], () => list(11, () => w.uint64(4_000_000_000n)));
  tensor('none', 1, [0, 7], () => {});
  w.tag(1, LEN).fork();
  w.tag(1, LEN).string('f32').tag(2, LEN).string('out').tag(4, LEN).string('Identity');
  w.join();
  w.tag(12, LEN).fork();
  w.tag(1, LEN).string('out');
  w.tag(2, LEN).bytes(Uint8Array.of(0x0a, 2, 8, 1));
  w.join();
  w.join();
  w.tag(8, LEN).bytes(Uint8Array.of(16, 13));
  return w.finish();
}

/** Small valid models to mutate: structure, where the bytes decide something, and little weight data. */
export function corpus(): Uint8Array[] {
  const external = ['onnx-vit', 'onnx-resnet', 'onnx-resnet-bn'].map((name) => {
    const graph = decodeOnnx(readFileSync(join(FIXTURES, name, 'model.onnx')));
    const weights = graph.params.filter((p) => p.role !== 'constant');
    const places = { location: 'w.bin', offsets: new Map(weights.map((p, i) => [p.name, i * 64])) };
    return encodeOnnx(graph, { external: places, metadata: { source: 'test' } });
  });
  return [encodeOnnx(varied()), typedFields(), ...external];
}

/** Real graphs whose contents can be changed and encoded. */
export function graphs(): Graph[] {
  return [
    varied(),
    decodeOnnx(typedFields()),
    ...['onnx-vit', 'onnx-resnet-bn'].map((name) => {
      return decodeOnnx(readFileSync(join(FIXTURES, name, 'model.onnx')));
    }),
  ];
}
