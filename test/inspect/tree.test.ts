import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elementCount } from '../../src/core/tensor.ts';
import { openOnnx } from '../../src/graph/onnx/index.ts';
import { folding } from '../../src/inspect/fold.ts';
import { inOrder } from '../../src/inspect/order.ts';
import { type Module, moduleTree, tensorsOf } from '../../src/inspect/tree.ts';
import { model, models } from '../../src/zoo/index.ts';
import { graphOf, weight } from './models.ts';

async function treeOf(name: string): Promise<Module> {
  const def = model(name);
  return moduleTree(await def.build(def.config));
}
async function treeOfFixture(name: string): Promise<Module> {
  const { graph, weights } = await openOnnx(`${import.meta.dirname}/../fixtures/${name}/model.onnx`);
  await weights.close();
  return moduleTree({ model: graph });
}
function at(tree: Module, path: string): Module {
  return path.split('.').reduce((m, name) => m.children.find((child) => child.name === name)!, tree);
}
const leaves = (module: Module) => module.tensors.map((t) => `${t.leaf} ${t.shape.join('×')}`);

/** Every module counts what it holds and what lies below it. */
function expectSums(module: Module): void {
  const own = (role: string) => module.tensors.reduce((n, t) => (t.role === role ? n + t.elements : n), 0);
  const below = (key: 'parameters' | 'buffers') => module.children.reduce((n, child) => n + child[key], 0);
  expect(module.parameters).toBe(own('weight') + below('parameters'));
  expect(module.buffers).toBe(own('buffer') + below('buffers'));
  module.children.forEach(expectSums);
}

describe('the tree of modules', () => {
  it.each(
    models()
      .filter((m) => m.name.endsWith('-tiny') || m.name === 'resnet-50')
      .map((m) => m.name),
  )('of %s sums to its parameters', async (name) => {
    const def = model(name);
    const graphs = Object.values(await def.build(def.config));
    const tree = moduleTree(Object.fromEntries(graphs.entries()));
    const learnt = new Map(
      graphs.flatMap((g) => g.params.filter((p) => p.role === 'weight')).map((p) => [p.name, p]),
    );
    expect(tree.parameters).toBe([...learnt.values()].reduce((n, p) => n + elementCount(p.shape), 0));
    expect(
      [...tensorsOf(tree)]
        .filter((t) => t.role === 'weight')
        .map((t) => t.name)
        .sort(),
    ).toEqual([...learnt.keys()].sort());
    expectSums(tree);
  });

  it('sums for any names', () => {
    const segment = fc.oneof(
      fc.constantFrom('a', '0', '1', '10', '__proto__', 'constructor', 'weight', '*', ' ', '/'),
      fc.string({ maxLength: 3 }),
    );
    const names = fc.uniqueArray(
      fc.array(segment, { minLength: 1, maxLength: 5 }).map((s) => s.join('.')),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(names, (all) => {
        const tree = moduleTree({ model: graphOf(all.map((name, i) => weight(name, [1 + (i % 4), 2]))) });
        expect(tree.parameters).toBe(all.reduce((n, _, i) => n + 2 * (1 + (i % 4)), 0));
        expect([...tensorsOf(tree)].map((t) => t.name).sort()).toEqual([...all].sort());
        expectSums(tree);
      }),
    );
  });

  it('holds a shared table once, tied and in both graphs, and knows what nothing reads', async () => {
    const tree = await treeOf('llava-tiny');
    const table = at(tree, 'language_model.model.embed_tokens');
    expect(table.layer).toBe('Embedding');
    expect(table.tensors).toMatchObject([{ graphs: ['embed', 'decoder'], readAs: ['Embedding', 'Linear'] }]);
    const unread = [...tensorsOf(tree)].filter((t) => t.readAs.length === 0).map((t) => t.name);
    expect(unread).toHaveLength(18);
    expect(unread.every((name) => /layers\.2\.|post_layernorm/.test(name))).toBe(true);
    expect(at(tree, 'vision_tower.vision_model.encoder.layers').children.map((m) => m.name)).toEqual([
      '0',
      '1',
      '2',
    ]);
  });

  it('keeps buffers apart and names layers', async () => {
    const stem = at(await treeOf('resnet-tiny'), 'resnet.embedder.embedder');
    expect(stem.children.map((m) => m.layer)).toEqual(['Conv', 'BatchNorm']);
    expect(stem.children[1]).toMatchObject({ parameters: 32, buffers: 32 });
  });

  it('puts the nameless tensors of an export where they are read', async () => {
    const vit = await treeOfFixture('onnx-vit');
    const layer = at(vit, 'encoder.layers.encoder_layer_1');
    expect(leaves(at(layer, 'self_attention'))).toEqual(['weight 48×144', 'in_proj_bias 144']);
    expect(leaves(at(layer, 'mlp.0'))).toEqual(['weight 48×96', 'bias 96']);
    const resnet = await treeOfFixture('onnx-resnet');
    expect(leaves(at(resnet, 'layer2.0.downsample.0'))).toEqual(['weight 56×28×1×1', 'bias 56']);
    expect(resnet.children.map((m) => m.name)).toEqual([
      'conv1',
      'layer1',
      'layer2',
      'layer3',
      'layer4',
      'fc',
    ]);
    expect(resnet.tensors).toEqual([]);
  });

  it('shows the packed integers of a quantised layer and no other constant', () => {
    const int8 = { dtype: 'int8', role: 'constant', shape: [4, 2] } as const;
    const params = [
      { ...int8, name: 'fc.weight_quantized' },
      { ...int8, name: 'table' },
      weight('fc.weight_scale', [1]),
    ];
    const tree = moduleTree({
      model: graphOf(params, [
        {
          op: 'DequantizeLinear',
          name: 'd',
          inputs: ['fc.weight_quantized', 'fc.weight_scale'],
          outputs: ['w'],
          attrs: {},
        },
        { op: 'MatMul', name: 'm', inputs: ['x', 'w'], outputs: ['y'], attrs: {} },
        { op: 'Cast', name: 'c', inputs: ['table'], outputs: ['z'], attrs: {} },
      ]),
    });
    expect(tree.parameters).toBe(1);
    expect([...tensorsOf(tree)].map((t) => `${t.name}: ${t.role}`).sort()).toEqual([
      'fc.weight_quantized: quantised',
      'fc.weight_scale: weight',
    ]);
  });

  it('refuses graphs that disagree about a tensor', () => {
    const graphs = { a: graphOf([weight('w', [2])]), b: graphOf([weight('w', [3])]) };
    expect(() => moduleTree(graphs)).toThrow('parameter w is float32 [2] and float32 [3]');
  });
});

describe('siblings', () => {
  const named = (names: string) => names.split(' ').map((name) => ({ name }));
  it.each([
    ['0 1 10 11 2', '0 1 2 10 11'],
    ['linear_2 act linear_1', 'linear_1 act linear_2'],
    ['norm1 attn norm2 mlp', 'norm1 attn norm2 mlp'],
    ['b a', 'b a'],
    ['layer.10 x layer.9', 'layer.9 x layer.10'],
  ])('%s stand as %s', (before, after) => {
    expect(inOrder(named(before))).toEqual(named(after));
  });

  it('are folded where they follow each other and are equal', () => {
    const params = ['0', '1', '2', '4', '5', 'layer_0', 'layer_1'].flatMap((i) => [
      weight(`${i}.fc.weight`, i === '2' ? [3] : [2]),
    ]);
    const tree = moduleTree({ model: graphOf(params) });
    const runs = (mark: (name: string) => string) =>
      folding(tree, (t) => mark(t.name))(tree).map((run) => run.name);
    expect(runs(() => '')).toEqual(['0-1', '2', '4-5', 'layer_0-1']);
    expect(runs((name) => (name.startsWith('4') ? 'trains' : ''))).toEqual([
      '0-1',
      '2',
      '4',
      '5',
      'layer_0-1',
    ]);
  });
});
