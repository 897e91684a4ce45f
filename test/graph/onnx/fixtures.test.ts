import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Param } from '../../../src/core/graph.ts';
import { toBytes } from '../../../src/core/tensor.ts';
import { graphCost } from '../../../src/graph/cost.ts';
import { inferShapes } from '../../../src/graph/infer.ts';
import { decodeOnnx, encodeOnnx, openOnnx } from '../../../src/graph/onnx/index.ts';
import { readSafetensors } from '../../../src/weights/index.ts';

const FIXTURES = join(import.meta.dirname, '..', '..', 'fixtures');
const NAMES = ['onnx-vit', 'onnx-resnet', 'onnx-resnet-bn'];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'versus-onnx-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Largest difference between the model's outputs and the fixture's, relative to the tolerance that its README names. */
async function errorOf(model: string | Uint8Array, fixture: string): Promise<number> {
  const io = await readSafetensors(join(FIXTURES, fixture, 'io.safetensors'));
  const x = io['input.pixel_values']!;
  const y = io['output.logits']!;
  const session = await ort.InferenceSession.create(model as string);
  const feeds = { pixel_values: new ort.Tensor('float32', x.data as Float32Array, x.shape as number[]) };
  const actual = (await session.run(feeds)).logits!.data as Float32Array;
  await session.release();
  expect(actual.length).toBe(y.data.length);
  const expected = y.data as Float32Array;
  const scale = Math.max(1, ...expected.map(Math.abs));
  return Math.max(...expected.map((v, i) => Math.abs(v - actual[i]!))) / scale;
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

describe.each(NAMES)('%s', (name) => {
  const path = join(FIXTURES, name, 'model.onnx');

  it('runs the same after decoding and encoding', async () => {
    const encoded = encodeOnnx(decodeOnnx(await readFile(path)));
    expect(await errorOf(encoded, name)).toBeLessThan(1e-5);
  });

  it('is a fixed point of decoding and encoding', async () => {
    const once = encodeOnnx(decodeOnnx(await readFile(path)));
    const twice = encodeOnnx(decodeOnnx(once));
    expect(Buffer.from(twice).equals(Buffer.from(once))).toBe(true);
  });

  it('reads lazily what it reads from memory', async () => {
    const whole = decodeOnnx(await readFile(path));
    const { graph, weights } = await openOnnx(path);
    expect(graph.nodes).toEqual(whole.nodes);
    const large = graph.params.filter((p) => !p.data);
    expect(large.length).toBeGreaterThan(5);
    for (const p of whole.params) {
      const bytes = await collect(weights.read(p));
      expect(bytes.equals(toBytes(p.data!))).toBe(true);
    }
    await weights.close();
  });

  it('runs with its weights in another file at given offsets', async () => {
    const { graph, weights } = await openOnnx(path);
    const offsets = new Map<string, number>();
    const parts: Buffer[] = [Buffer.alloc(64)];
    let at = 64;
    for (const p of graph.params.filter((q) => q.role !== 'constant')) {
      const bytes = await collect(weights.read(p));
      const padding = Buffer.alloc(-bytes.length & 63);
      offsets.set(p.name, at);
      parts.push(bytes, padding);
      at += bytes.length + padding.length;
    }
    await weights.close();
    await writeFile(join(folder, `${name}.bin`), Buffer.concat(parts));
    const model = join(folder, `${name}.onnx`);
    await writeFile(model, encodeOnnx(graph, { external: { location: `${name}.bin`, offsets } }));
    expect(await errorOf(model, name)).toBeLessThan(1e-5);
    const again = await openOnnx(model);
    const same = (a: Param, b: Param) =>
      a.name === b.name && a.role === b.role && a.shape.join() === b.shape.join();
    expect(again.graph.params.every((p, i) => same(p, graph.params[i]!))).toBe(true);
    const p = again.graph.params.find((q) => offsets.has(q.name))!;
    expect((await collect(again.weights.read(p))).length).toBeGreaterThan(0);
    await again.weights.close();
  });

  it('is typed fully once the batch is given, and even without', async () => {
    const graph = decodeOnnx(await readFile(path));
    const bound = inferShapes(graph, { batch: 3 });
    for (const node of graph.nodes) {
      for (const o of node.outputs)
        expect(
          bound.values?.[o]?.shape.every((d) => typeof d === 'number'),
          o,
        ).toBe(true);
    }
    expect(bound.outputs[0]!.shape).toEqual([3, 10]);
    expect(inferShapes(graph).outputs[0]!.shape).toEqual(['batch', 10]);
  });

  it('costs in proportion to the batch', async () => {
    const graph = decodeOnnx(await readFile(path));
    const [one, four] = [1, 4].map((batch) => graphCost(graph, { batch }));
    expect(one!.unknown).toEqual([]);
    expect(one!.macs).toBeGreaterThan(500_000);
    expect(four!.macs).toBe(4 * one!.macs);
  });
});

it('knows running statistics as buffers', async () => {
  const graph = decodeOnnx(await readFile(join(FIXTURES, 'onnx-resnet-bn', 'model.onnx')));
  const buffers = graph.params.filter((p) => p.role === 'buffer').map((p) => p.name);
  expect(buffers).toContain('bn1.running_mean');
  expect(buffers.every((n) => n.includes('running_'))).toBe(true);
});
