import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { float32, int64, type Tensors, tensor, toFloat16, toNumbers } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { loadAdapter, saveAdapter } from '../../src/training/adapter.ts';
import { addLora, type Lora } from '../../src/transform/lora.ts';
import type { LoraSpec } from '../../src/transform/lora-targets.ts';
import { readSafetensors, seeded, writeSafetensors } from '../../src/weights/index.ts';
import { model } from '../../src/zoo/index.ts';
import { apart, KINDS, layered, learnt, numbersOf } from '../transform/lora-numbers.ts';

let root: string;
let count = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'versus-adapter-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));
const place = (): string => join(root, String(count++));

/** What a folder of PEFT's holds, as somebody else would write it. */
async function folderOf(
  config: unknown,
  tensors: Tensors,
  name = 'adapter_model.safetensors',
): Promise<string> {
  const folder = await mkdtemp(join(root, 'given-'));
  await writeFile(
    join(folder, 'adapter_config.json'),
    typeof config === 'string' ? config : JSON.stringify(config),
  );
  await writeSafetensors(join(folder, name), tensors, { format: 'pt' });
  return folder;
}

const wave = (shape: readonly number[]) =>
  float32(
    shape,
    Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => ((i % 7) - 3) / 8),
  );

const one = (spec: Partial<LoraSpec> = {}): { graph: Graph; lora: Lora } => {
  const graph = layered(['rows', 'pointwise'], [2, 3]);
  const whole: LoraSpec = { r: 2, alpha: 4, targets: ['fc', 'embed_tokens'], ...spec };
  return { graph, lora: addLora({ model: graph }, whole, { model: 'm' }) };
};

describe('an adapter as files', () => {
  it('are those of PEFT, byte by byte', async () => {
    const { lora } = one({ dropout: 0.05, ranks: new Map([['model.layers.1.fc', 3]]) });
    const folder = place();
    const tensors = Object.fromEntries(
      lora.targets.flatMap(({ names, a, b }) => [
        [names.a, wave(a)],
        [names.b, wave(b)],
      ]),
    );
    await saveAdapter(folder, lora, tensors, { baseModel: 'somebody/model', task: 'CAUSAL_LM' });
    expect(await readFile(join(folder, 'adapter_config.json'), 'utf8')).toBe(`{
  "alpha_pattern": {},
  "auto_mapping": null,
  "base_model_name_or_path": "somebody/model",
  "bias": "none",
  "ensure_weight_tying": true,
  "fan_in_fan_out": false,
  "inference_mode": true,
  "init_lora_weights": true,
  "layer_replication": null,
  "layers_pattern": null,
  "layers_to_transform": null,
  "loftq_config": {},
  "lora_alpha": 4,
  "lora_dropout": 0.05,
  "megatron_config": null,
  "megatron_core": "megatron.core",
  "modules_to_save": null,
  "peft_type": "LORA",
  "r": 2,
  "rank_pattern": {
    "model.layers.1.fc": 3
  },
  "revision": null,
  "target_modules": [
    "embed_tokens",
    "fc"
  ],
  "task_type": "CAUSAL_LM",
  "use_dora": false,
  "use_rslora": false
}`);
    const path = join(folder, 'adapter_model.safetensors');
    const shapes = Object.entries(await readSafetensors(path))
      .map(([name, t]) => [name, ...t.shape])
      .sort();
    const prefix = 'base_model.model.model';
    expect(shapes).toEqual([
      [`${prefix}.embed_tokens.lora_embedding_A`, 2, 12],
      [`${prefix}.embed_tokens.lora_embedding_B`, 8, 2],
      [`${prefix}.layers.0.fc.lora_A.weight`, 2, 8],
      [`${prefix}.layers.0.fc.lora_B.weight`, 8, 2],
      [`${prefix}.layers.1.fc.lora_A.weight`, 3, 8, 1, 1],
      [`${prefix}.layers.1.fc.lora_B.weight`, 8, 3, 1, 1],
    ]);
    const sha256 = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
    expect(sha256).toBe('564413333d33967962808e469647e05d346832a89b4d8a991ed4b695b5bee209');
  });

  it('come back as they were', async () => {
    const settings = fc.record({
      kinds: fc.array(fc.constantFrom(...KINDS), { minLength: 1, maxLength: 3 }),
      r: fc.integer({ min: 1, max: 3 }),
      alpha: fc.constantFrom(1, 2.5),
      rankStabilised: fc.boolean(),
      first: fc.option(fc.record({ r: fc.integer({ min: 1, max: 4 }), alpha: fc.constantFrom(3, 8) })),
      targets: fc.constantFrom<LoraSpec['targets']>(['embed_tokens'], /.*(fc|shared|embed_tokens)/),
    });
    await fc.assert(
      fc.asyncProperty(settings, async ({ kinds, first, ...numbers }) => {
        const graph = layered(kinds, ['b', 's']);
        const own = ([key, value]: ['ranks' | 'alphas', number | undefined]) =>
          value === undefined ? {} : { [key]: new Map([['model.embed_tokens', value]]) };
        const spec: LoraSpec = { ...numbers, ...own(['ranks', first?.r]), ...own(['alphas', first?.alpha]) };
        const lora = addLora({ model: graph }, spec, { model: 'm' });
        const tensors = learnt(lora.targets);
        const folder = place();
        await saveAdapter(folder, lora, tensors);
        const loaded = await loadAdapter(folder, [graph], { model: 'm' });
        expect(loaded.tensors).toEqual(tensors);
        const again = addLora({ model: graph }, loaded.spec, { model: 'm' });
        expect(again.targets).toEqual(lora.targets);
        expect(again.graphs).toEqual(lora.graphs);
      }),
      { numRuns: 15 },
    );
  });

  it('load as somebody else writes them: half precision, few fields, patterns, an adapter name', async () => {
    const def = model('qwen2-tiny');
    const graphs = Object.values(await def.build(def.config));
    const half = (shape: number[]) => {
      const { data } = wave(shape);
      return tensor('float16', shape, Uint16Array.from(data as Float32Array, toFloat16));
    };
    const layer = 'base_model.model.model.layers.0.self_attn';
    const width = graphs[0]!.params.find((p) => p.name.endsWith('layers.0.self_attn.q_proj.weight'))!
      .shape[0]!;
    const folder = await folderOf(
      {
        ...{
          peft_type: 'LORA',
          target_modules: ['q_proj', 'o_proj'],
          r: 4,
          lora_alpha: 16,
          use_rslora: true,
        },
        ...{ rank_pattern: { o_proj: 2 }, alpha_pattern: { '^model.layers.0.self_attn.o_proj': 6 } },
        ...{ base_model_name_or_path: '../../etc/\u001b[31mpasswd', a_field_of_the_future: 7 },
      },
      {
        [`${layer}.q_proj.lora_A.default.weight`]: half([4, width]),
        [`${layer}.q_proj.lora_B.default.weight`]: half([width, 4]),
        [`${layer}.o_proj.lora_A.default.weight`]: half([2, width]),
        [`${layer}.o_proj.lora_B.default.weight`]: half([width, 2]),
      },
    );
    const { spec, tensors, baseModel } = await loadAdapter(folder, graphs, { model: 'qwen2-tiny' });
    expect(baseModel).toBe('../../etc/passwd');
    const lora = addLora({ model: graphs[0]! }, spec, { model: 'qwen2-tiny' });
    expect(lora.targets.map((t) => [t.module, t.a[0], t.scale])).toEqual([
      ['model.layers.0.self_attn.q_proj', 4, 16 / 2],
      ['model.layers.0.self_attn.o_proj', 2, 6 / Math.SQRT2],
    ]);
    const a = tensors['model.layers.0.self_attn.q_proj.lora_A.weight']!;
    expect(a.dtype).toBe('float32');
    expect(toNumbers(a)).toEqual(toNumbers(half([4, width])));
  });

  it('load under the names that transformers has given LLaVA since', async () => {
    const def = model('llava-tiny');
    const graphs = Object.values(await def.build(def.config));
    const { spec, targets, trained } = addLora(
      Object.fromEntries(graphs.map((g) => [g.name, g])),
      { r: 2, alpha: 2, targets: ['v_proj'] },
      { model: 'm' },
    );
    const tensors = learnt(targets);
    const renamed = Object.entries(tensors).map(([name, t]) => [
      `base_model.model.${name.replace(/^language_model\.model/, 'model.language_model').replace(/^vision_tower/, 'model.vision_tower')}`,
      t,
    ]);
    const folder = await folderOf(
      { peft_type: 'LORA', r: spec.r, lora_alpha: 2 },
      Object.fromEntries(renamed),
    );
    const loaded = await loadAdapter(folder, graphs, { model: 'm' });
    expect(loaded.tensors).toEqual(tensors);
    expect(Object.keys(loaded.tensors)).toEqual(expect.arrayContaining([...trained]));
  });

  it("call a MultiheadAttention's two projections as PEFT does", async () => {
    const g = new GraphBuilder('attention');
    const x = g.input('x', 'float32', ['n', 4]);
    const packed = g.gemm(x, g.param('attn.in_proj_weight', [12, 4]), null, { transB: 1 });
    g.output('y', g.gemm(packed, g.param('attn.out_proj.weight', [4, 12]), null, { transB: 1 }));
    const graph = g.build();
    for (const targets of [['in_proj', 'out_proj'], ['out_proj']]) {
      const lora = addLora({ model: graph }, { r: 1, alpha: 1, targets }, { model: 'm' });
      const folder = place();
      await saveAdapter(folder, lora, learnt(lora.targets));
      const names = Object.keys(await readSafetensors(join(folder, 'adapter_model.safetensors')));
      const inner = targets.length === 2 ? 'base_layer.out_proj' : 'out_proj';
      const owners = targets.length === 2 ? ['attn', `attn.${inner}`] : [`attn.${inner}`];
      expect(names).toEqual(
        owners.flatMap((o) => ['A', 'B'].map((m) => `base_model.model.${o}.lora_${m}.weight`)).sort(),
      );
      expect((await loadAdapter(folder, [graph], { model: 'm' })).tensors).toEqual(learnt(lora.targets));
    }
  });

  it('compute after loading what they computed when saved', async () => {
    const { graph, lora } = one();
    const folder = place();
    await saveAdapter(folder, lora, learnt(lora.targets));
    const { spec, tensors } = await loadAdapter(folder, [graph], { model: 'm' });
    const params = await numbersOf(
      seeded(1),
      graph.params.filter((p) => p.role === 'weight'),
    );
    const feeds = { ids: int64([2, 3], [0, 1, 2, 3, 4, 5]) };
    const run = (l: Lora, own: Tensors) => interpret(l.graphs.model!, { ...params, ...own }, feeds);
    const loaded = addLora({ model: graph }, spec, { model: 'm' });
    expect(apart(run(loaded, tensors), run(lora, learnt(lora.targets)))).toBe(0);
  });
});

describe('an adapter that cannot be used', () => {
  const fc0 = 'base_model.model.model.layers.0.fc';
  const good = { [`${fc0}.lora_A.weight`]: wave([8, 8]), [`${fc0}.lora_B.weight`]: wave([8, 8]) };
  const load = async (folder: string) => loadAdapter(folder, [one().graph], { model: 'm' });

  it('is fine otherwise', async () => {
    const { spec } = await load(await folderOf({ peft_type: 'LORA' }, good));
    expect(spec).toMatchObject({ r: 8, alpha: 8, dropout: 0, tied: false });
  });

  it.each<[string, unknown]>([
    ['type LOHA', { peft_type: 'LOHA' }],
    ['peft_type', {}],
    ['r: ', { peft_type: 'LORA', r: 0 }],
    ['lora_alpha', { peft_type: 'LORA', lora_alpha: 'x' }],
    ['rank_pattern.q', { peft_type: 'LORA', rank_pattern: { q: 1.5 } }],
    ['no JSON object', [1]],
    ['cannot be read', '{'],
    ['use_dora', { peft_type: 'LORA', use_dora: true }],
    ['modules_to_save', { peft_type: 'LORA', modules_to_save: ['lm_head'] }],
    ['trains biases', { peft_type: 'LORA', bias: 'all' }],
    ["started from 'pissa'", { peft_type: 'LORA', init_lora_weights: 'pissa' }],
    ['"(a+)+" is not a module', { peft_type: 'LORA', alpha_pattern: { '(a+)+': 2 } }],
    ['rank 8, the configuration says 4', { peft_type: 'LORA', r: 4 }],
    ['rank 8, the configuration says 2', { peft_type: 'LORA', rank_pattern: { fc: 2 } }],
  ])('says so: %s', async (message, config) => {
    await expect(load(await folderOf(config, good))).rejects.toThrow(message);
  });

  it.each<[string, Tensors]>([
    ['no adapter', {}],
    [
      '1 of its tensors fit no layer of m: "base_model.model.other',
      { ...good, 'base_model.model.other.lora_A.weight': wave([8, 8]) },
    ],
    ['only one of its two matrices', { [`${fc0}.lora_A.weight`]: wave([8, 8]) }],
    [
      'is float32 [8, 7], m wants [8,8]'.replace(', 7', ',7'),
      { ...good, [`${fc0}.lora_B.weight`]: wave([8, 7]) },
    ],
    ['int64', { ...good, [`${fc0}.lora_B.weight`]: int64([8, 8], new Array(64).fill(1)) }],
  ])('says so: %s', async (message, tensors) => {
    await expect(load(await folderOf({ peft_type: 'LORA' }, tensors))).rejects.toThrow(message);
  });

  it('says so: no folder, a pickle, a link that leads out of the folder', async () => {
    await expect(load(join(root, 'nowhere'))).rejects.toThrow('no such folder');
    await expect(load(await folderOf({ peft_type: 'LORA' }, good, 'adapter_model.bin'))).rejects.toThrow(
      'pickle',
    );
    const outside = await folderOf({ peft_type: 'LORA' }, good);
    const folder = await folderOf({ peft_type: 'LORA' }, good, 'other.safetensors');
    await symlink(join(outside, 'adapter_model.safetensors'), join(folder, 'adapter_model.safetensors'));
    await expect(load(folder)).rejects.toThrow('leads out of its folder');
  });

  it('is not written either', async () => {
    const { lora } = one();
    await expect(saveAdapter(place(), lora, {})).rejects.toThrow('found nothing');
  });
});
