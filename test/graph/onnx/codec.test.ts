import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../src/core/graph.ts';
import { decodeModel } from '../../../src/graph/onnx/decode.ts';
import { decodeOnnx, encodeOnnx, openOnnx } from '../../../src/graph/onnx/index.ts';
import { typedFields, varied } from './corpus.ts';

describe('round trip', () => {
  it('keeps every kind of attribute, subgraphs, domains, dimensions and roles', () => {
    const graph = varied();
    const again = decodeOnnx(encodeOnnx(graph));
    const unnamed = (g: Graph) =>
      [...g.inputs, ...g.outputs].flatMap((v) => v.shape.map((d) => (String(d).startsWith('?') ? '?' : d)));
    expect(unnamed(again)).toEqual(unnamed(graph));
    expect(again.params).toEqual(graph.params);
    expect(again.opset).toEqual(graph.opset);
    expect({ ...again.values }).toEqual(graph.values);
    expect(again.nodes.map((n) => ({ ...n, attrs: Object.keys(n.attrs) }))).toEqual(
      graph.nodes.map((n) => ({ ...n, attrs: Object.keys(n.attrs) })),
    );
    expect(again.nodes[2]!.attrs).toEqual(graph.nodes[2]!.attrs);
    const branch = again.nodes[1]!.attrs.then_branch as { graph: Graph };
    expect(branch.graph.nodes[0]!.inputs).toEqual(['x', 'two']);
  });

  it('tells whole floats from integers by the operator table too', () => {
    const graph: Graph = {
      name: 'leaky',
      opset: { '': 17 },
      inputs: [{ name: 'x', dtype: 'float32', shape: [1] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: [1] }],
      params: [],
      nodes: [{ op: 'LeakyRelu', name: 'l', inputs: ['x'], outputs: ['y'], attrs: { alpha: 1 } }],
    };
    expect(decodeOnnx(encodeOnnx(graph)).nodes[0]!.floats).toEqual(['alpha']);
  });

  it('keeps the end of the int64 range, which means "to the end"', () => {
    const graph: Graph = {
      name: 'slice',
      opset: { '': 9 },
      inputs: [{ name: 'x', dtype: 'float32', shape: [8] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: [6] }],
      params: [],
      nodes: [
        {
          op: 'Slice',
          name: 's',
          inputs: ['x'],
          outputs: ['y'],
          attrs: { starts: [2], ends: [2 ** 63], axes: [0] },
        },
      ],
    };
    const once = encodeOnnx(graph);
    const field = Buffer.from([0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    expect(Buffer.from(once).includes(field)).toBe(true);
    expect(Buffer.from(encodeOnnx(decodeOnnx(once))).equals(Buffer.from(once))).toBe(true);
  });

  it('keeps free-form properties', () => {
    const bytes = encodeOnnx(varied(), { metadata: { author: 'Zoë', empty: '' } });
    expect({ ...decodeModel(bytes).metadata }).toEqual({ author: 'Zoë', empty: '' });
  });
});

it('reads the typed fields of every element type', () => {
  const values = Object.fromEntries(
    decodeOnnx(typedFields()).params.map((p) => [p.name, Array.from(p.data as Uint8Array)]),
  );
  expect(values).toEqual({
    f32: [1.5, -2],
    f64: [0.1],
    i64: [-5n, 1n << 40n],
    i32: [-9],
    u8: [255, 1],
    i8: [-128],
    i16: [-300],
    f16: [0x3c00],
    bf16: [0x3f80],
    bool: [1, 0],
    u64: [2n ** 63n],
    u32: [4_000_000_000],
    none: [],
  });
});

it('infers the shape of an output that the file leaves open', () => {
  expect(decodeOnnx(typedFields()).outputs).toEqual([{ name: 'out', dtype: 'float32', shape: [2] }]);
});

it('says where the data of a parameter would have to come from', () => {
  const graph = varied();
  const params = graph.params.map(({ data: _, ...p }) => p);
  expect(() => encodeOnnx({ ...graph, params })).toThrow(/parameter w has no data/);
});

it('reads large weights a few MiB at a time', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'versus-large-'));
  const path = join(folder, 'm.onnx');
  const size = 48 * 2 ** 20;
  const data = new Float32Array(size / 4).map((_, i) => i);
  const graph: Graph = {
    name: 'large',
    opset: { '': 17 },
    inputs: [],
    outputs: [{ name: 'y', dtype: 'float32', shape: [size / 4] }],
    params: [{ name: 'w', dtype: 'float32', shape: [size / 4], role: 'weight', data }],
    nodes: [{ op: 'Relu', name: 'r', inputs: ['w'], outputs: ['y'], attrs: {} }],
  };
  await writeFile(path, encodeOnnx(graph));
  const before = process.memoryUsage().arrayBuffers;
  const { graph: opened, weights } = await openOnnx(path);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  expect(opened.params[0]!.data).toBeUndefined();
  let at = 0;
  for await (const chunk of weights.read(opened.params[0]!)) {
    expect(chunk.length).toBeLessThanOrEqual(4 * 2 ** 20);
    expect(new Float32Array(chunk.buffer, chunk.byteOffset, 1)[0]).toBe(at / 4);
    at += chunk.length;
  }
  expect(at).toBe(size);
  await weights.close();
  await rm(folder, { recursive: true });
});
