import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import type { Graph } from '../../src/core/graph.ts';
import { float32, fromFloat16, type Tensors } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { decodeOnnx, encodeOnnx } from '../../src/graph/onnx/index.ts';
import { validateGraph } from '../../src/graph/validate.ts';
import { toHalf } from '../../src/transform/precision.ts';
import { findModel } from '../../src/zoo/index.ts';
import { seedData } from '../graph/seed-data.ts';

async function run(graph: Graph, feeds: Tensors): Promise<Record<string, Float32Array>> {
  const session = await ort.InferenceSession.create(encodeOnnx(graph), {
    graphOptimizationLevel: 'disabled',
  });
  const given = Object.entries(feeds).map(([k, t]) => [
    k,
    new ort.Tensor(t.dtype as never, t.data as never, t.shape),
  ]);
  const results = await session.run(Object.fromEntries(given));
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([k, t]) => [k, t.data as Float32Array]));
}

function apart(a: Float32Array, b: Float32Array): number {
  const scale = Math.max(1e-3, ...b.map(Math.abs));
  return Math.max(...b.map((v, i) => Math.abs(v - a[i]!))) / scale;
}

/** What the nodes of an operator read and write. */
function typesOf(graph: Graph, op: string): string[] {
  const types = graph.nodes
    .filter((n) => n.op === op)
    .map((n) =>
      [...n.inputs.slice(0, 1), ...n.outputs.slice(0, 1)].map((v) => graph.values?.[v]?.dtype).join('→'),
    );
  return [...new Set(types)];
}

const wave = (shape: number[]) =>
  float32(
    shape,
    Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => Math.sin(i)),
  );

describe('image classifiers in float16', () => {
  it.each(['onnx-vit', 'onnx-resnet', 'onnx-resnet-bn'])('%s agrees with float32', async (name) => {
    const path = join(import.meta.dirname, '..', 'fixtures', name, 'model.onnx');
    const graph = decodeOnnx(await readFile(path));
    const half = toHalf(graph);
    validateGraph(half);
    expect(half.inputs).toEqual(graph.inputs);
    expect(half.outputs).toEqual(graph.outputs);
    expect(half.params.filter((p) => p.role !== 'constant').every((p) => p.dtype === 'float16')).toBe(true);
    expect(typesOf(half, 'Gemm')).toEqual(['float16→float16']);
    const feeds = { pixel_values: wave([2, ...(graph.inputs[0]!.shape.slice(1) as number[])]) };
    const [full, cast] = [await run(graph, feeds), await run(half, feeds)];
    expect(apart(cast.logits!, full.logits!)).toBeLessThan(0.01);
    expect(apart(cast.logits!, full.logits!)).toBeGreaterThan(0);
  });
});

describe('convolutional classifiers of the zoo in float16', () => {
  it.each([
    'alexnet-tiny',
    'vgg-tiny',
    'vgg-bn-tiny',
    'swin-tiny',
    'convnext-tiny',
  ])('%s agrees with float32', async (name) => {
    const model = findModel(name)!;
    const graph = seedData((await model.build(model.config)).model!, 0.1);
    const half = toHalf(graph);
    expect(half.params.filter((p) => p.role !== 'constant').every((p) => p.dtype === 'float16')).toBe(true);
    expect(typesOf(half, 'Gemm')).toEqual(['float16→float16']);
    const feeds = { pixel_values: wave([2, 3, 64, 64]) };
    const [full, cast] = [await run(graph, feeds), await run(half, feeds)];
    expect(apart(cast.logits!, full.logits!)).toBeLessThan(0.01);
    expect(apart(cast.logits!, full.logits!)).toBeGreaterThan(0);
  });
});

describe('a language model in float16', () => {
  it('agrees with float32 at positions that float16 does not hold', async () => {
    const model = findModel('qwen2-tiny')!;
    const graph = seedData((await model.build(model.config)).model!, 0.2);
    const half = toHalf(graph);
    for (const op of ['Cos', 'Sin', 'ReduceMean'])
      expect(typesOf(half, op).join()).toMatch(/^(float32→float32)?$/);
    expect(typesOf(half, 'Softmax')).toEqual(['float16→float16']);
    const [past, sequence] = [6, 5];
    const feeds: Tensors = {};
    for (const input of graph.inputs) {
      const sizes: Record<string, number> = { batch: 1, past, sequence, 'past+sequence': past + sequence };
      const shape = input.shape.map((d) => (typeof d === 'number' ? d : sizes[d]!));
      const count = shape.reduce((n, d) => n * d, 1);
      const whole = (at: (i: number) => number) =>
        BigInt64Array.from({ length: count }, (_, i) => BigInt(at(i)));
      if (input.name === 'position_ids')
        feeds[input.name] = { dtype: 'int64', shape, data: whole((i) => 4099 + past + i) };
      else if (input.name === 'attention_mask')
        feeds[input.name] = { dtype: 'int64', shape, data: whole((i) => Number(i > 1)) };
      else if (input.dtype === 'int64')
        feeds[input.name] = { dtype: 'int64', shape, data: whole((i) => 3 * i + 1) };
      else feeds[input.name] = wave(shape);
    }
    const [full, cast] = [await run(graph, feeds), await run(half, feeds)];
    for (const o of graph.outputs) expect(apart(cast[o.name]!, full[o.name]!), o.name).toBeLessThan(0.02);
  });
});

describe('constants', () => {
  const masked = (): Graph => {
    const b = new GraphBuilder('mask');
    const x = b.input('x', 'float32', ['n', 4]);
    const keep = b.input('keep', 'int64', ['n', 4]);
    const mask = b.mul(b.sub(1, b.cast(keep, 'float32')), -3.4028234663852886e38);
    b.output('y', b.softmax(b.add(b.mul(x, b.param('w', [4], { kind: 'constant', value: 1 })), mask)));
    b.output('tiny', b.mul(b.sqrt(b.add(b.reduceMean(b.pow(x, 2), [-1]), 1e-12)), 1e6));
    return seedData(b.build());
  };

  it('beyond the range of float16 are clamped, so that a masked row has no NaN', async () => {
    const keep = {
      dtype: 'int64' as const,
      shape: [2, 4],
      data: BigInt64Array.of(1n, 1n, 0n, 0n, 0n, 0n, 0n, 0n),
    };
    const x = float32([2, 4], [1, 2, 3, 4, 0, 0, 0, 0]);
    const { y, tiny } = await run(toHalf(masked()), { x, keep });
    expect(y![2]).toBe(0);
    expect(y![0]).toBeCloseTo(1 / (1 + Math.E), 2);
    expect(Array.from(y!.slice(4)).every((v) => v === 0.25)).toBe(true);
    // √1e-12 · 1e6 = 1: the epsilon of a normalisation survives, as it is added in float32.
    expect(tiny![1]).toBeCloseTo(1, 5);
  });

  it('that both widths read exist in both', async () => {
    const b = new GraphBuilder('both');
    const x = b.input('x', 'float32', ['n', 4]);
    const c = b.constant(float32([4], [1, 2, 3, 0.1]), 'c');
    b.output('y', b.add(b.mul(x, c), b.mul(b.exp(x), c)));
    const half = toHalf(b.build());
    expect(half.params.map((p) => p.dtype).sort()).toEqual(['float16', 'float32']);
    const { y } = await run(half, { x: float32([1, 4], [0, 0, 0, 0]) });
    expect(Array.from(y!)).toEqual(
      [1, 2, 3, Math.fround(fromFloat16(0x2e66))].map((v) => expect.closeTo(v, 3)),
    );
  });
});

it('refuses operators that it does not know', () => {
  const graph: Graph = {
    name: 'foreign',
    opset: { '': 17, 'com.example': 1 },
    inputs: [{ name: 'x', dtype: 'float32', shape: [1] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: [1] }],
    params: [],
    nodes: [{ op: 'Magic', domain: 'com.example', name: 'm', inputs: ['x'], outputs: ['y'], attrs: {} }],
  };
  expect(() => toHalf(graph)).toThrow(VersusError);
  expect(() => toHalf(graph)).toThrow(/com\.example\.Magic can't be cast to fp16/);
});
