import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { type LoraSpec, type LoraTarget, loraTargets } from '../../src/transform/lora-targets.ts';
import { model } from '../../src/zoo/index.ts';

async function wrapped(name: string, targets: LoraSpec['targets'], r: number): Promise<LoraTarget[]> {
  const def = model(name);
  const graphs = Object.values(await def.build(def.config));
  return loraTargets(graphs, { r, alpha: r, targets }, { model: name });
}
const trainable = (targets: readonly LoraTarget[]): number => targets.reduce((n, t) => n + t.parameters, 0);

describe('LoRA counts', () => {
  // PEFT's print_trainable_parameters, from its documentation and from logs of fine-tuning tools.
  it.each([
    ['vicuna-7b', ['q_proj', 'v_proj'], 8, 4_194_304],
    ['vicuna-7b', 'all-linear', 8, 19_988_480],
    ['vit-b-16', ['query', 'value'], 16, 589_824],
    ['qwen2-0.5b', 'all-linear', 8, 4_399_104],
    // 12 layers of 768 and 12 of 512, two matrices each.
    ['clip-vit-b-32', ['q_proj', 'v_proj'], 16, 2 * 12 * 16 * 2 * (768 + 512)],
    // PEFT wraps the tower's last layer too, which nothing reads.
    ['llava-1.5-7b', ['q_proj', 'v_proj'], 8, 4_194_304 + 2 * 24 * 8 * 2048],
  ] as const)('%s, %j, r=%i: %i', async (name, targets, r, expected) => {
    expect(trainable(await wrapped(name, targets, r))).toBe(expected);
  });

  it('follow the layout of a convolution and of an embedding', async () => {
    const [stem] = await wrapped('resnet-18', /resnet\.embedder\.embedder\.convolution/, 4);
    expect(stem).toMatchObject({ kind: 'conv', a: [4, 3, 7, 7], b: [64, 4, 1, 1], parameters: 588 + 256 });
    const [table] = await wrapped('qwen2-tiny', ['embed_tokens'], 4);
    expect(table).toMatchObject({ kind: 'embedding', a: [4, 512], b: [64, 4], output: true, idle: false });
  });

  it('leave the layer of the logits and tied tables out of all-linear', async () => {
    for (const name of ['vicuna-7b', 'qwen2-tiny']) {
      const modules = (await wrapped(name, 'all-linear', 1)).map((t) => t.module);
      expect(modules.filter((m) => /lm_head|embed/.test(m))).toEqual([]);
    }
    expect((await wrapped('vit-tiny', 'all-linear', 1)).map((t) => t.module)).toContain('classifier');
  });

  it('know a table as tied in whatever order the graphs come', async () => {
    const def = model('llava-tiny');
    const graphs = Object.values(await def.build(def.config));
    for (const order of [graphs, [...graphs].reverse()]) {
      const wraps = (targets: LoraSpec['targets']) =>
        loraTargets(order, { r: 1, alpha: 1, targets }, { model: 'm' }).map((t) => [
          t.module,
          t.kind,
          t.output,
        ]);
      expect(
        wraps('all-linear')
          .flat()
          .filter((module) => /embed/.test(String(module))),
      ).toEqual([]);
      expect(wraps(['embed_tokens'])).toEqual([['language_model.model.embed_tokens', 'embedding', true]]);
    }
  });

  it('mark what no graph reads, and wrap what graphs share once', async () => {
    const targets = await wrapped('llava-tiny', ['q_proj', 'embed_tokens'], 2);
    expect(targets.filter((t) => t.idle).map((t) => t.module)).toEqual([
      'vision_tower.vision_model.encoder.layers.2.self_attn.q_proj',
    ]);
    expect(targets.filter((t) => t.kind === 'embedding')).toHaveLength(1);
  });

  it('are r (in + out) for any linear layers, kept by rows or by columns', () => {
    const layer = fc.record({
      from: fc.integer({ min: 1, max: 9 }),
      to: fc.integer({ min: 1, max: 9 }),
      rows: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(layer, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 5 }),
        (layers, r) => {
          const g = new GraphBuilder('g');
          layers.forEach(({ from, to, rows }, i) => {
            const x = g.input(`x${i}`, 'float32', ['n', from]);
            const w = g.param(`layers.${i}.fc.weight`, rows ? [to, from] : [from, to]);
            g.output(`y${i}`, rows ? g.gemm(x, w, null, { transB: 1 }) : g.matmul(x, w));
          });
          const targets = loraTargets([g.build()], { r, alpha: 1, targets: ['fc'] }, { model: 'm' });
          expect(trainable(targets)).toBe(layers.reduce((n, { from, to }) => n + r * (from + to), 0));
          expect(targets.map((t) => [t.a, t.b])).toEqual(
            layers.map(({ from, to }) => [
              [r, from],
              [to, r],
            ]),
          );
        },
      ),
    );
  });
});

describe('LoRA targets', () => {
  it('are ends of module names, or a pattern for the whole name', async () => {
    const names = async (targets: LoraSpec['targets']) =>
      (await wrapped('qwen2-tiny', targets, 1)).map((t) => t.module);
    const layers = [0, 1].map((i) => `model.layers.${i}.self_attn.q_proj`);
    expect(await names(['q_proj'])).toEqual(layers);
    expect(await names(['self_attn.q_proj'])).toEqual(layers);
    expect(await names(['model.layers.1.self_attn.q_proj'])).toEqual(layers.slice(1));
    expect(await names(/.*\.q_proj/)).toEqual(layers);
    await expect(names(/q_proj/)).rejects.toThrow('fits no module');
    await expect(names(['proj'])).rejects.toThrow("'proj' fits no module");
  });

  it('take a fused matrix as one, and nameless ones by the module that reads them', () => {
    const graph: Graph = {
      ...{ name: 'g', opset: { '': 17 }, inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 4] }] },
      outputs: [{ name: 'z', dtype: 'float32', shape: ['n', 12] }],
      params: [
        { name: 'attn.in_proj_weight', dtype: 'float32', shape: [12, 4], role: 'weight' },
        { name: 'onnx::MatMul_9', dtype: 'float32', shape: [12, 12], role: 'weight' },
      ],
      nodes: [
        { op: 'Gemm', name: 'a', inputs: ['x', 'attn.in_proj_weight'], outputs: ['y'], attrs: { transB: 1 } },
        { op: 'MatMul', name: '/mlp/fc/MatMul', inputs: ['y', 'onnx::MatMul_9'], outputs: ['z'], attrs: {} },
      ],
    };
    const spec = { r: 2, alpha: 2, targets: ['in_proj', 'mlp.fc'] };
    expect(loraTargets([graph], spec, { model: 'm' }).map((t) => [t.module, t.tensor, t.a, t.b])).toEqual([
      ['attn.in_proj', 'attn.in_proj_weight', [2, 4], [12, 2]],
      ['mlp.fc', 'onnx::MatMul_9', [2, 12], [12, 2]],
    ]);
  });

  it('say what is near, what cannot be wrapped, and what lies outside the scope', async () => {
    await expect(wrapped('qwen2-tiny', ['q_prj'], 1)).rejects.toMatchObject({
      kind: 'usage',
      next: expect.stringContaining("'q_proj'"),
    });
    await expect(wrapped('qwen2-tiny', ['q_proj', 'nothing'], 1)).rejects.toThrow("'nothing' fits no module");
    await expect(wrapped('qwen2-tiny', ['input_layernorm'], 1)).rejects.toThrow('(RMSNorm)');
    const def = model('qwen2-tiny');
    const graphs = Object.values(await def.build(def.config));
    const within = new Set(['model.layers.0.self_attn.q_proj.weight']);
    const asked = (target: string) =>
      loraTargets(graphs, { r: 1, alpha: 1, targets: [target] }, { model: 'm', within });
    expect(asked('q_proj')).toHaveLength(1);
    expect(() => asked('v_proj')).toThrow('fits 2 modules of m, none of them in the scope');
  });

  it('want a rank that the groups of a convolution divide', () => {
    const g = new GraphBuilder('g');
    const x = g.input('x', 'float32', ['n', 4, 8, 8]);
    g.output('y', g.conv(x, g.param('dw.weight', [4, 1, 3, 3]), null, { group: 4 }));
    const asked = (r: number) => loraTargets([g.build()], { r, alpha: 1, targets: ['dw'] }, { model: 'm' });
    expect(asked(8)[0]).toMatchObject({ a: [8, 4, 3, 3], b: [4, 2, 1, 1] });
    expect(() => asked(6)).toThrow('4 groups of dw');
  });
});
