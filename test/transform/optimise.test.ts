import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Graph, Node, Param } from '../../src/core/graph.ts';
import { elementCount, type Tensors } from '../../src/core/tensor.ts';
import { graphCost } from '../../src/graph/cost.ts';
import { bindDim } from '../../src/graph/dims.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { decodeOnnx } from '../../src/graph/onnx/index.ts';
import { optimise } from '../../src/transform/optimise.ts';
import { findModel } from '../../src/zoo/index.ts';
import { seedData } from '../graph/seed-data.ts';
import { apart, checkPass, detach, drawn, opsOf } from './passes.ts';

const SIZES = { batch: 2, sequence: 3, past: 2, source: 4, tokens: 4, rows: 1, columns: 2 };

function feedsOf(graph: Graph): Tensors {
  // Images come alone, to spare time; sequences in pairs.
  const dims = { ...SIZES, batch: graph.inputs[0]!.name === 'pixel_values' ? 1 : 2 };
  const feeds = graph.inputs.map(({ name, dtype, shape }, i) => {
    const sizes = shape.map((d) => Number(bindDim(d, dims)));
    if (dtype === 'float32') return [name, drawn(sizes, i)] as const;
    // Masks hide the first key of the second sequence; ids and positions are small numbers.
    const whole = (at: number) => (/mask/.test(name) ? Number(at !== sizes.at(-1)!) : (3 * at + 1) % 7);
    const data = BigInt64Array.from({ length: elementCount(sizes) }, (_, at) => BigInt(whole(at)));
    return [name, { dtype, shape: sizes, data }] as const;
  });
  return Object.fromEntries(feeds) as Tensors;
}

async function graphsOf(name: string): Promise<Record<string, Graph>> {
  const model = findModel(name)!;
  return model.build(model.config);
}

type Counts = Record<string, number>;
const attention = (n: number): Counts => ({ 'versus:Attention': n });

/** What must be found in each graph: these operators, and none of those that patterns are made of. */
const FAMILIES: [model: string, graph: string, found: Counts][] = [
  ['resnet-tiny', 'model', { 'versus:FusedConv': 5, Relu: 4 }],
  ['alexnet-tiny', 'model', { 'versus:FusedConv': 5, 'versus:FusedMatMul': 2 }],
  ['vgg-bn-tiny', 'model', { 'versus:FusedConv': 8, 'versus:FusedMatMul': 2 }],
  ['vit-tiny', 'model', { ...attention(4), LayerNormalization: 9, Gelu: 4 }],
  ['swin-tiny', 'model', { ...attention(6), LayerNormalization: 16, Gelu: 6 }],
  ['convnext-tiny', 'model', { LayerNormalization: 9, Gelu: 4 }],
  ['davit-tiny', 'model', { ...attention(8), LayerNormalization: 21, Gelu: 8 }],
  ['clip-tiny', 'vision', { ...attention(3), LayerNormalization: 8, Swish: 3 }],
  ['clip-tiny', 'text', { ...attention(3), LayerNormalization: 7, Swish: 3 }],
  ['clip-rn-tiny', 'vision', { ...attention(1), 'versus:FusedConv': 13 }],
  ['siglip-tiny', 'vision', { ...attention(4), Gelu: 4 }],
  ['llama-tiny', 'model', { ...attention(2), RMSNormalization: 5, Swish: 2 }],
  ['qwen2-tiny', 'model', { ...attention(2), RMSNormalization: 5, Swish: 2 }],
  ['phi-3.5-vision-tiny', 'vision', { ...attention(2), LayerNormalization: 5, Swish: 2 }],
  ['phi-3.5-vision-tiny', 'decoder', { ...attention(2), RMSNormalization: 5, Swish: 2 }],
  ['qwen2-vl-tiny', 'vision', { ...attention(2), LayerNormalization: 5, Swish: 2, Gelu: 1 }],
  ['qwen2-vl-tiny', 'decoder', { ...attention(2), RMSNormalization: 5, Swish: 2 }],
  ['florence-2-tiny', 'encoder', { ...attention(2), LayerNormalization: 5, Gelu: 2 }],
  ['florence-2-tiny', 'decoder', { ...attention(4), LayerNormalization: 7, Gelu: 2 }],
];
const SPELT = [
  'Softmax',
  'BatchNormalization',
  'Erf',
  'Tanh',
  'Sigmoid',
  'Pow',
  'Sqrt',
  'MatMul',
  'Identity',
  'Constant',
];

describe('a model of the zoo, optimised', () => {
  it.each(FAMILIES)('%s, %s: computes the same with fewer nodes', async (model, name, found) => {
    const graph = seedData((await graphsOf(model))[name]!, 0.1);
    const after = await checkPass(graph, optimise, feedsOf(graph));
    expect(opsOf(after)).toMatchObject(found);
    expect(Object.keys(opsOf(after)).filter((op) => SPELT.includes(op))).toEqual([]);
    // What is fused still counts; only normalisations and products between weights are gone.
    const [before, now] = [graph, after].map((g) => graphCost(g, SIZES));
    expect(now!.unknown).toEqual([]);
    expect(now!.macs).toBeLessThanOrEqual(before!.macs);
    expect(now!.macs / before!.macs).toBeGreaterThan(opsOf(graph).BatchNormalization ? 0.9 : 0.999);
    for (const node of after.nodes)
      for (const output of node.outputs) if (output !== '') expect(after.values).toHaveProperty([output]);
  });
});

describe('a file of an exporter, optimised', () => {
  it.each([
    ['onnx-resnet', { 'versus:FusedConv': 9, Conv: 8, Relu: 4 }],
    ['onnx-resnet-bn', { 'versus:FusedConv': 5, Conv: 7, Relu: 4 }],
    ['onnx-vit', { 'versus:Attention': 2, Gelu: 2, LayerNormalization: 5 }],
  ])('%s computes the same', async (name, found) => {
    const graph = decodeOnnx(await readFile(join(import.meta.dirname, '..', 'fixtures', name, 'model.onnx')));
    const after = await checkPass(graph, optimise, feedsOf(graph));
    expect(opsOf(after)).toMatchObject(found);
    expect(Object.keys(opsOf(after)).filter((op) => SPELT.includes(op))).toEqual([]);
  });
});

describe('a file with all its data outside', () => {
  it('is read as far as shapes and patterns need it', async () => {
    const graph = seedData((await graphsOf('qwen2-tiny')).model!, 0.1);
    const { numbers, params } = detach(graph);
    const bare = { ...graph, params: graph.params.map(({ data: _, ...p }) => p) };
    const after = await optimise(bare, numbers);
    expect(opsOf(after)).toEqual(opsOf(await optimise(graph, numbers)));
    const feeds = feedsOf(graph);
    expect(apart(interpret(after, params, feeds), interpret(graph, {}, feeds))).toBeLessThan(1e-5);
  });
});

describe('a hostile file', () => {
  it.each([
    'Add',
    'Mul',
    'Cast',
    'Transpose',
  ])('with 6,000 times %s in a row is worked through', async (op) => {
    const attrs: Record<string, Node['attrs']> = { Transpose: { perm: [0, 1, 3, 2] } };
    const named = (name: string, kind: string, inputs: string[], given: Node['attrs'] = {}): Node => {
      return { op: kind, name, inputs, outputs: [name], attrs: given };
    };
    const nodes = [named('k', 'Transpose', ['x'], attrs.Transpose), named('at0', 'MatMul', ['x', 'k'])];
    for (let i = 0; i < 6000; i++) {
      const given = op === 'Cast' ? { to: i % 2 ? 1 : 11 } : attrs[op];
      nodes.push(named(`at${i + 1}`, op, [`at${i}`, ...(/Add|Mul/.test(op) ? ['c'] : [])], given));
    }
    nodes.push(named('s', 'Softmax', ['at6000'], { axis: -1 }), named('y', 'MatMul', ['s', 'x']));
    const image = (name: string) => ({ name, dtype: 'float32' as const, shape: [1, 1, 2, 2] });
    const c: Param = {
      name: 'c',
      dtype: 'float32',
      shape: [],
      role: 'constant',
      data: Float32Array.of(1.0001),
    };
    const graph = {
      name: 'deep',
      opset: { '': 17 },
      inputs: [image('x')],
      outputs: [image('y')],
      params: [c],
      nodes,
    };
    await checkPass(graph, optimise, { x: drawn([1, 1, 2, 2], 1) });
  });
});

describe('levels', () => {
  it('leave the graph alone, or make standard operators only, when asked to', async () => {
    const graph = seedData((await graphsOf('resnet-tiny')).model!, 0.1);
    const bare = detach(graph);
    expect(await optimise(bare.graph, bare.numbers, { level: 'disabled' })).toBe(bare.graph);
    const basic = await checkPass(graph, (g, n) => optimise(g, n, { level: 'basic' }), feedsOf(graph));
    const { BatchNormalization: _, ...others } = opsOf(graph);
    expect(opsOf(basic)).toEqual(others);
    expect(basic.opset).toEqual(graph.opset);
  });

  it('keep names of nodes that are left, and of parameters that are not folded', async () => {
    const graph = seedData((await graphsOf('vit-tiny')).model!, 0.1);
    const { graph: bare, numbers } = detach(graph);
    const after = await optimise(bare, numbers);
    const names = new Set(graph.nodes.map((node) => node.name));
    expect(after.nodes.map((node) => node.name).filter((name) => !names.has(name))).toEqual(
      after.nodes.flatMap((node) =>
        /Transpose$/.test(node.name) && !names.has(node.name) ? [node.name] : [],
      ),
    );
    const weights = bare.params.filter((p) => p.role !== 'constant');
    expect(after.params.filter((p) => p.role !== 'constant')).toEqual(weights);
  });
});
