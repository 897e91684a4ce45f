import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { int64, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { validateGraph } from '../../src/graph/validate.ts';
import { dropoutMasks } from '../../src/training/dropout.ts';
import { merged } from '../../src/training/merge.ts';
import { addLora } from '../../src/transform/lora.ts';
import type { LoraSpec } from '../../src/transform/lora-targets.ts';
import { quantise } from '../../src/transform/quantise.ts';
import { seeded } from '../../src/weights/index.ts';
import { apart, KINDS, layered, learnt, numbersOf } from './lora-numbers.ts';

const EVERYTHING: LoraSpec['targets'] = /.*(fc|shared|embed_tokens)/;
const drawn = (graph: Graph): Promise<Tensors> =>
  numbersOf(
    seeded(3),
    graph.params.filter((p) => p.role === 'weight'),
  );

describe('adapters', () => {
  const kinds = fc.array(fc.constantFrom(...KINDS), { minLength: 1, maxLength: 4 });
  const ids = int64([2, 3], [1, 5, 11, 0, 5, 2]);

  it('compute what the weights with them merged do, beside layers of any kind', async () => {
    const settings = fc.record({
      r: fc.integer({ min: 1, max: 5 }),
      alpha: fc.constantFrom(1, 4, 16),
      rankStabilised: fc.boolean(),
      fixed: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(kinds, settings, async (layers, { fixed, ...numbers }) => {
        const graph = layered(layers, fixed ? [2, 3] : ['batch', 'sequence']);
        const spec: LoraSpec = { ...numbers, targets: EVERYTHING };
        const lora = addLora({ model: graph }, spec, { model: 'm' });
        validateGraph(lora.graphs.model);
        const base = await drawn(graph);
        const plain = interpret(graph, base, { ids });
        // A fresh adapter changes nothing.
        const fresh = interpret(lora.graphs.model, await drawn(lora.graphs.model), { ids });
        expect(apart(fresh, plain)).toBe(0);
        const tensors = learnt(lora.targets);
        const beside = interpret(lora.graphs.model, { ...base, ...tensors }, { ids });
        const weights = graph.params.filter((p) => p.role === 'weight');
        const whole = await numbersOf(merged(seeded(3), { targets: lora.targets }, tensors), weights);
        expect(apart(beside, plain)).toBeGreaterThan(1e-3);
        expect(apart(beside, interpret(graph, whole, { ids }))).toBeLessThan(1e-5);
      }),
      { numRuns: 40 },
    );
  });

  it('are two products each, of which the second adds onto the layer', () => {
    const { graphs, trained } = addLora({ model: layered(['rows', 'rows'], [2, 3]) }, spec(['fc']), {
      model: 'm',
    });
    const ops = graphs.model.nodes.filter((n) => n.name.includes('/lora/')).map((n) => n.op);
    expect(ops).toEqual(['Gemm', 'Gemm', 'Gemm', 'Gemm']);
    expect(trained).toEqual(
      [0, 1].flatMap((i) => ['A', 'B'].map((m) => `model.layers.${i}.fc.lora_${m}.weight`)),
    );
    const [a, b] = trained.slice(0, 2).map((name) => graphs.model.params.find((p) => p.name === name)!);
    // kaiming_uniform_(a=√5): ±1 ÷ √fan-in.
    expect(a).toMatchObject({ shape: [2, 8], init: { kind: 'uniform', std: 1 / Math.sqrt(24) } });
    expect(b).toMatchObject({ shape: [8, 2], init: { kind: 'constant', value: 0 } });
  });

  it('of a tied table may leave the logits alone, and cannot be merged then', async () => {
    const graph = layered(['rows'], [2, 3]);
    const one = spec(['embed_tokens']);
    const apartFrom = (tied: boolean) => addLora({ model: graph }, { ...one, tied }, { model: 'm' });
    const counts = [true, false].map(
      (tied) => apartFrom(tied).graphs.model.nodes.filter((n) => n.name.includes('/lora/')).length,
    );
    expect(counts[0]).toBeGreaterThan(counts[1]!);
    const { targets } = apartFrom(false);
    expect(targets.map((t) => t.names)).toEqual([
      { a: 'model.embed_tokens.lora_embedding_A', b: 'model.embed_tokens.lora_embedding_B' },
    ]);
    await expect(merged(seeded(), { targets, tied: false }, learnt(targets)).open([])).rejects.toThrow(
      'logits',
    );
  });

  it('of a weight in several graphs are the same parameters in each', () => {
    const [first, second] = ['first', 'second'].map((name) => {
      const g = new GraphBuilder(name);
      g.output('y', g.matmul(g.input('x', 'float32', ['n', 4]), g.param('shared.weight', [4, 6])));
      return g.build();
    });
    const { graphs, trained } = addLora({ first: first!, second: second! }, spec(['shared']), { model: 'm' });
    for (const graph of Object.values(graphs))
      expect(graph.params.map((p) => p.name)).toEqual(['shared.weight', ...trained]);
  });

  it('of convolutions in groups follow the groups, and are not merged', async () => {
    const g = new GraphBuilder('grouped');
    const x = g.input('x', 'float32', ['n', 4, 5, 5]);
    const y = g.conv(x, g.param('dw.weight', [8, 2, 3, 3]), null, { group: 2, pads: [1, 1, 1, 1] });
    g.output('y', y);
    const { graphs, targets } = addLora({ model: g.build() }, spec(['dw']), { model: 'm' });
    const convs = graphs.model.nodes.filter((n) => n.op === 'Conv');
    expect(convs.map((n) => n.attrs.group ?? 1)).toEqual([2, 1, 2]);
    await expect(merged(seeded(), { targets }, learnt(targets)).open([])).rejects.toThrow('2 groups');
  });

  it('drop a share of their input by masks that the host makes', async () => {
    const graph = layered(['rows', 'conv'], [2, 3]);
    const { graphs, masks, targets } = addLora(
      { model: graph },
      { ...spec(['fc']), dropout: 0.25 },
      { model: 'm' },
    );
    expect(masks.map((m) => m.name)).toEqual([0, 1].map((i) => `model.layers.${i}.fc.lora_dropout`));
    const made = (step: number, seed = 1) => dropoutMasks(masks, { dropout: 0.25, seed, step });
    expect(made(3)).toEqual(made(3));
    expect(made(3)).not.toEqual(made(4));
    expect(made(3)).not.toEqual(made(3, 2));
    const [long] = Object.values(
      dropoutMasks([{ name: 'm', dtype: 'float32', shape: [10_000] }], { dropout: 0.25, seed: 1, step: 0 }),
    );
    const passed = toNumbers(long!).filter((v) => v !== 0);
    expect(new Set(passed)).toEqual(new Set([Math.fround(4 / 3)]));
    expect(passed.length / 10_000).toBeCloseTo(0.75, 1);
    const base = { ...(await drawn(graph)), ...learnt(targets) };
    const all = addLora({ model: graph }, spec(['fc']), { model: 'm' }).graphs.model;
    const without = interpret(all, base, { ids });
    const whole = dropoutMasks(masks, { dropout: 0, seed: 1, step: 0 });
    expect(interpret(graphs.model, base, { ids, ...whole })).toEqual(without);
    expect(apart(interpret(graphs.model, base, { ids, ...made(3) }), without)).toBeGreaterThan(1e-3);
  });

  it('stand beside a base in blocks as beside the base itself', () => {
    const g = new GraphBuilder('wide');
    const x = g.input('x', 'float32', ['b', 's', 32]);
    const square = g.matmul(x, g.param('a.q_proj.weight', [32, 32]));
    const rows = g.op('Reshape', [square, g.ints([-1, 32])])[0]!;
    g.output('y', g.gemm(rows, g.param('b.q_proj.weight', [16, 32]), null, { transB: 1 }));
    const graph = g.build();
    const [plain, packed] = [graph, quantise(graph, 4)].map((one) =>
      addLora({ model: one }, spec(['q_proj']), { model: 'm' }),
    );
    expect(packed!.targets).toEqual(plain!.targets);
    expect(plain!.targets.map((t) => [t.tensor, t.transposed])).toEqual([
      ['a.q_proj.weight', true],
      ['b.q_proj.weight', false],
    ]);
    expect(packed!.graphs.model.nodes.map((n) => n.op)).toEqual(
      plain!.graphs.model.nodes.map((n) =>
        n.name.includes('/lora/') || n.op === 'Reshape' ? n.op : 'MatMulNBits',
      ),
    );
  });

  it('are refused where they could not follow the weight, twice, and for nonsense', () => {
    const g = new GraphBuilder('odd');
    const x = g.input('x', 'float32', [4, 4]);
    const w = g.param('fc.weight', [4, 4]);
    g.output('y', g.add(g.matmul(x, w), w));
    const odd = g.build();
    expect(() => addLora({ model: odd }, spec(['fc']), { model: 'm' })).toThrow('also read by Add');
    const graph = layered(['rows'], [1, 1]);
    const once = addLora({ model: graph }, spec(['fc']), { model: 'm' }).graphs;
    expect(() => addLora(once, spec(['fc']), { model: 'm' })).toThrow('has an adapter already');
    expect(() => addLora({ model: graph }, { ...spec(['fc']), dropout: 1 }, { model: 'm' })).toThrow(
      'dropout',
    );
  });
});

function spec(targets: LoraSpec['targets']): LoraSpec {
  return { r: 2, alpha: 4, targets };
}
