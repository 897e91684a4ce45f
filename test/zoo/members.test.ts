import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Graph, Param } from '../../src/core/graph.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { graphCost } from '../../src/graph/cost.ts';
import { fromCheckpointConfig } from '../../src/zoo/checkpoint/index.ts';
import { findModel, model, models } from '../../src/zoo/index.ts';

/** Counts, MACs and tensor names that were collected from the published checkpoints. */
interface Known {
  parameters: number;
  gmacs: number | null;
  tensors: number;
  patterns: Record<string, { count: number; first_shape: number[] }>;
  buffers: string[];
}
const KNOWN: Record<string, Known> = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'fixtures', 'zoo.json'), 'utf8'),
);

async function paramsOf(
  def: ModelDef,
): Promise<{ graphs: Record<string, Graph>; params: Map<string, Param> }> {
  const graphs = await def.build(def.config);
  const params = Object.values(graphs).flatMap((g) => g.params.filter((p) => p.role !== 'constant'));
  return { graphs, params: new Map(params.map((p) => [p.name, p])) };
}

function countOf(params: Iterable<Param>): number {
  let total = 0;
  for (const p of params) if (p.role === 'weight') total += p.shape.reduce((a, b) => a * b, 1);
  return total;
}

const pattern = (name: string) => name.replace(/(^|\.)\d+(?=\.|$)/g, '$1{n}');

function expectKnown(params: ReadonlyMap<string, Param>, known: Known): void {
  const weights = [...params.values()].filter((p) => p.role === 'weight');
  expect(countOf(weights)).toBe(known.parameters);
  expect(weights.length).toBe(known.tensors);
  const found: Record<string, number> = {};
  for (const { name, shape } of weights) {
    const p = pattern(name);
    if (found[p] === undefined) expect({ p, shape }).toEqual({ p, shape: known.patterns[p]?.first_shape });
    found[p] = (found[p] ?? 0) + 1;
  }
  expect(found).toEqual(Object.fromEntries(Object.entries(known.patterns).map(([p, v]) => [p, v.count])));
  const buffers = new Set(
    [...params.values()].filter((p) => p.role === 'buffer').map((p) => pattern(p.name)),
  );
  expect([...buffers].sort()).toEqual(known.buffers);
}

describe('the zoo', () => {
  const published = models().filter((m) => m.published?.parameters !== undefined);

  it('has unique names, the asked-for members among them', () => {
    const names = models().map((m) => m.name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of ['resnet-18', 'resnet-50', 'vit-b-16', 'deit-s-16', 'clip-vit-b-32', 'qwen2-0.5b']) {
      expect(names).toContain(name);
    }
    expect(findModel('resnet-19')).toBeUndefined();
    expect(() => model('resnet-19')).toThrow(/resnet-19/);
  });

  it.each(published.map((m) => [m.name, m] as const))('%s has the published count', async (_, m) => {
    const { graphs, params } = await paramsOf(m);
    expect(countOf(params.values())).toBe(m.published?.parameters);
    if (m.published?.macs !== undefined) {
      let macs = 0;
      for (const g of Object.values(graphs)) macs += Number(graphCost(g, { batch: 1, ...m.dims }).macs);
      expect(Math.abs(macs / m.published.macs - 1)).toBeLessThan(0.01);
    }
  });

  const inZoo = Object.keys(KNOWN).filter((name) => findModel(name));
  it.each(inZoo)("%s has the reference checkpoint's tensors", async (name) => {
    const m = model(name);
    const { params } = await paramsOf(m);
    const known = KNOWN[name]!;
    expectKnown(params, known);
    if (known.gmacs !== null) expect(m.published?.macs).toBe(known.gmacs * 1e9);
  });

  it("a timm CLIP classifier has its checkpoint's tensors", async () => {
    const config = {
      ...{ architecture: 'vit_clip_timm', img_size: 336, patch_size: 14, embed_dim: 1024, depth: 24 },
      ...{ num_heads: 16, pre_norm: true, norm_eps: 1e-5 },
    };
    const { params } = await paramsOf(fromCheckpointConfig(config, []).model);
    expectKnown(params, KNOWN['vit-l-14-336']!);
  });

  it("names torchvision's tensors where asked", async () => {
    const names = async (name: string) => {
      const m = model(name);
      return (await paramsOf({ ...m, config: { ...(m.config as object), naming: 'torchvision' } })).params;
    };
    const resnet = await names('resnet-50');
    expect(countOf(resnet.values())).toBe(25_557_032);
    expect(resnet.get('layer4.2.conv3.weight')?.shape).toEqual([2048, 512, 1, 1]);
    expect(resnet.get('layer1.0.downsample.1.running_var')?.role).toBe('buffer');
    const vit = await names('vit-b-16');
    expect(countOf(vit.values())).toBe(86_567_656);
    expect(vit.get('encoder.layers.encoder_layer_11.self_attention.in_proj_weight')?.shape).toEqual([
      2304, 768,
    ]);
  });

  it('language models take and give what exporters for the hub agreed on', async () => {
    const { graphs } = await paramsOf(model('qwen2-tiny'));
    const { inputs, outputs } = graphs.model!;
    expect(inputs.map((i) => [i.name, i.shape])).toEqual([
      ['input_ids', ['batch', 'sequence']],
      ['attention_mask', ['batch', 'past+sequence']],
      ['position_ids', ['batch', 'sequence']],
      ...[0, 1].flatMap((i) =>
        ['key', 'value'].map((part) => [`past_key_values.${i}.${part}`, ['batch', 2, 'past', 16]]),
      ),
    ]);
    expect(outputs.find((o) => o.name === 'logits')?.shape).toEqual(['batch', 1, 512]);
    expect(outputs.find((o) => o.name === 'present.1.value')?.shape).toEqual([
      'batch',
      2,
      'past+sequence',
      16,
    ]);
    const vlm = await paramsOf(model('llava-tiny'));
    expect(Object.keys(vlm.graphs).sort()).toEqual(['decoder', 'embed', 'vision']);
  });
});
