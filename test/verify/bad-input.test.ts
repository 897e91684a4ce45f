import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reference } from '../../src/backends/reference.ts';
import type { Backend } from '../../src/core/backend.ts';
import { VersusError } from '../../src/core/errors.ts';
import type { Graph, Node, Param } from '../../src/core/graph.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { type TensorData, toFloat16, toNumbers } from '../../src/core/tensor.ts';
import { codeOf } from '../../src/graph/dtypes.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';
import { type Failure, verifyModel } from '../../src/verify/model.ts';
import { oneThread } from '../one-thread.ts';

const LEN = WireType.LengthDelimited;
const cpu = oneThread();
let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'versus-bad-input-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let count = 0;
function own(bytes: Uint8Array): ModelDef {
  const path = join(dir, `${count++}.onnx`);
  writeFileSync(path, bytes);
  const about = { name: 'own.onnx', family: 'onnx', task: 'classify', config: {} } as const;
  return { ...about, files: { model: path }, build: () => ({}) };
}

const verify = (bytes: Uint8Array, backend: Backend, against: Backend) =>
  verifyModel(own(bytes), [backend], against, {
    ...{ cacheDir: join(dir, 'cache'), maxBytes: 1e9, precision: 'fp32', tolerance: 1e-3, seed: 0 },
    ...{ batch: 1, dims: {} },
  });

async function refusal(bytes: Uint8Array, against: Backend): Promise<VersusError> {
  const error: unknown = await verify(bytes, cpu, against).then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(VersusError);
  return error as VersusError;
}

const graphOf = (
  node: Partial<Node>,
  opset: Graph['opset'] = { '': 17 },
  more: Partial<Graph> = {},
): Graph => ({
  ...{ name: 'own', opset, params: [] },
  inputs: [{ name: 'x', dtype: 'float32', shape: [2] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: [2] }],
  nodes: [{ op: 'Tanh', name: 'head/it', inputs: ['x'], outputs: ['y'], attrs: {}, ...node }],
  ...more,
});

describe('operator sets and domains', () => {
  it.each<[string, Graph, RegExp, RegExp]>([
    [
      'too new',
      graphOf({}, { '': 99 }),
      /opset 99 is newer than onnxruntime-cpu supports \(up to \d+\)/,
      /opset 99 is newer/,
    ],
    [
      'too old',
      graphOf({}, { '': 5 }),
      /Tanh.*opset 5, older than .*node head\/it/,
      /opset 5 is older.*node head\/it/,
    ],
    [
      'an unknown domain',
      graphOf({ op: 'Thing', domain: 'my.own' }, { '': 17, 'my.own': 3 }),
      /my\.own:Thing.*my\.own 3.*node head\/it/,
      /my\.own:Thing \(my\.own 3\).*node head\/it/,
    ],
    [
      'an operator that came later',
      graphOf({ op: 'Gelu' }, { '': 17 }),
      /Gelu \(opset 17\).*node head\/it/,
      /./,
    ],
    [
      'an operator that nobody knows',
      graphOf({ op: 'Nope' }),
      /Nope \(opset 17\).*node head\/it/,
      /Nope \(opset 17\).*node head\/it/,
    ],
  ])('%s', async (_, graph, theirs, ours) => {
    const bytes = encodeOnnx(graph);
    const error = await refusal(bytes, cpu);
    expect([error.kind, error.describe().replaceAll('\n', ' ')]).toEqual([
      'unsupported',
      expect.stringMatching(theirs),
    ]);
    if (ours.source === '.') return;
    const mine = await refusal(bytes, reference);
    expect([mine.kind, mine.describe().replaceAll('\n', ' ')]).toEqual([
      'unsupported',
      expect.stringMatching(ours),
    ]);
  });

  it('a domain without an operator set', async () => {
    const error = await refusal(encodeOnnx(graphOf({ op: 'Thing', domain: 'my.own' })), cpu);
    expect(error.describe()).toMatch(/my\.own:Thing.*declares no operator set[\s\S]*node head\/it/);
  });
});

const flag: Param = { name: 'c', dtype: 'bool', shape: [], role: 'constant', data: Uint8Array.of(0) };
const branch = (op: string) =>
  ({
    kind: 'graph',
    graph: {
      ...graphOf({ op, outputs: ['r'] }),
      name: op,
      inputs: [],
      outputs: [{ name: 'r', dtype: 'float32', shape: [2] }],
    },
  }) as const;
const choice: Partial<Node> = {
  op: 'If',
  inputs: ['c'],
  attrs: { then_branch: branch('Tanh'), else_branch: branch('Neg') },
};

describe('subgraphs', () => {
  it('If with a constant condition runs everywhere', async () => {
    const found = await verify(encodeOnnx(graphOf(choice, { '': 17 }, { params: [flag] })), reference, cpu);
    expect(found.agrees).toBe(true);
  });

  it('If that depends on what is fed is named, with what runs it', async () => {
    const graph = graphOf(choice);
    const bytes = encodeOnnx({
      ...graph,
      inputs: [...graph.inputs, { name: 'c', dtype: 'bool', shape: [] }],
    });
    const found = await verify(bytes, reference, cpu);
    const { failure } = found.backends[0]!.graphs[0]! as { failure: Failure };
    expect(failure.message).toMatch(/lacks If \(opset 17\).*subgraphs.*constant/);
    expect(failure).toMatchObject({ kind: 'unsupported', next: 'run it on onnxruntime-cpu' });
    expect(failure.where).toContain('node head/it');
  });
});

/** y = the initialiser as float32, from raw bytes. */
function fromParam(dtype: Param['dtype'], data: TensorData): Graph {
  const cast = { op: 'Cast', inputs: ['w'], outputs: ['f'], attrs: { to: codeOf('float32') } };
  const w: Param = { name: 'w', dtype, shape: [data.length], role: 'constant', data };
  const shape = [data.length];
  return {
    ...graphOf({}, { '': 17 }, { params: [w] }),
    inputs: [{ name: 'x', dtype: 'float32', shape: [1] }],
    outputs: [{ name: 'f', dtype: 'float32', shape }],
    nodes: [{ ...cast, name: 'cast' }],
  };
}

/** A model whose initialiser is of an element type of which several lie in a byte, or that no kernel reads. */
function strange(code: number): Uint8Array {
  const w = new BinaryWriter();
  w.tag(1, WireType.Varint).int64(10);
  w.tag(7, LEN).fork();
  w.tag(1, LEN).fork().tag(1, LEN).string('x').tag(2, LEN).string('y').tag(4, LEN).string('Tanh').join();
  w.tag(5, LEN).fork();
  w.tag(1, WireType.Varint).int64(4).tag(2, WireType.Varint).int32(code).tag(8, LEN).string('layer.0.weight');
  w.tag(9, LEN)
    .bytes(Uint8Array.of(0x21, 0x43, 0, 0))
    .join();
  const value = (field: number, name: string) => {
    w.tag(field, LEN)
      .fork()
      .tag(1, LEN)
      .string(name)
      .tag(2, LEN)
      .bytes(Uint8Array.of(0x0a, 6, 8, 1, 0x12, 2, 0x0a, 0))
      .join();
  };
  value(11, 'x');
  value(12, 'y');
  w.join();
  w.tag(8, LEN).bytes(Uint8Array.of(16, 21));
  return w.finish();
}

describe('initialisers', () => {
  const half = [1, -2, 0.5, 65504];
  it.each<[Param['dtype'], TensorData, number[]]>([
    ['float16', Uint16Array.from(half, toFloat16), half],
    ['bfloat16', Uint16Array.of(0x3f80, 0xc000, 0x4049, 0x7f00), [1, -2, 3.140625, 2 ** 127]],
    ['int8', Int8Array.of(-128, -1, 0, 127), [-128, -1, 0, 127]],
    ['uint8', Uint8Array.of(0, 1, 128, 255), [0, 1, 128, 255]],
    ['uint16', Uint16Array.of(0x3c00, 65535), [15360, 65535]],
  ])('of %s are read right', async (dtype, data, expected) => {
    const bytes = encodeOnnx(fromParam(dtype, data));
    for (const backend of [cpu, reference]) {
      const [graph] = (await verify(bytes, backend, cpu)).backends[0]!.graphs;
      expect(graph!.failure).toBeNull();
      expect(graph!.outputs).toMatchObject([{ agrees: true, max_abs: 0 }]);
    }
    expect([...toNumbers({ dtype, shape: [data.length], data })]).toEqual(expected);
  });

  it.each([
    [21, 'uint4'],
    [22, 'int4'],
    [17, 'float8e4m3fn'],
    [18, 'float8e4m3fnuz'],
    [19, 'float8e5m2'],
    [20, 'float8e5m2fnuz'],
    [23, 'float4e2m1'],
    [8, 'string'],
    [14, 'complex64'],
  ])('of type %d are refused as %s', async (code, name) => {
    const error = await refusal(strange(code), cpu);
    expect(error.kind).toBe('unsupported');
    expect(error.message).toBe(`element type ${name} is not supported`);
    expect(error.where).toContain('tensor layer.0.weight');
    expect(error.next).toMatch(/^export/);
  });
});

describe('damaged files', () => {
  it('are refused wherever they are cut off', async () => {
    const whole = encodeOnnx(fromParam('float16', new Uint16Array(64)));
    for (const length of [0, 1, 10, whole.length >> 1, whole.length - 30, whole.length - 1]) {
      const error = await refusal(whole.subarray(0, length), cpu);
      expect(error.kind).toBe('input');
    }
  });
});
