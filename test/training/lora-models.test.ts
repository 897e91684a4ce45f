import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import type { Artifact, ModelDef, WeightSpec } from '../../src/core/model.ts';
import { bytesPerElement, elementCount, type Tensors } from '../../src/core/tensor.ts';
import { tensorWeights, withAdapters } from '../../src/training/adapters.ts';
import { merged } from '../../src/training/merge.ts';
import { addLora, type Lora } from '../../src/transform/lora.ts';
import type { LoraSpec } from '../../src/transform/lora-targets.ts';
import { quantise } from '../../src/transform/quantise.ts';
import { drawInputs } from '../../src/verify/draw.ts';
import { prepareArtifacts, seeded } from '../../src/weights/index.ts';
import { model } from '../../src/zoo/index.ts';
import { oneThread } from '../one-thread.ts';
import { apart, learnt } from '../transform/lora-numbers.ts';

const backend = oneThread();
let cacheDir: string;
beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'versus-lora-'));
});
afterAll(() => rm(cacheDir, { recursive: true, force: true }));

const prepare = (def: ModelDef, weights: WeightSpec, graphs?: Record<string, Graph>) =>
  prepareArtifacts(
    { ...def, weights, ...(graphs && { build: () => graphs }) },
    { cacheDir, maxBytes: 1e9, precision: 'fp32' },
  );

/** All outputs of all graphs, on inputs that their own shapes say. */
async function outputsOf(def: ModelDef, artifacts: Record<string, Artifact>): Promise<Tensors> {
  const found: Tensors = {};
  for (const [name, artifact] of Object.entries(artifacts)) {
    const sizes = { batch: 2, dims: { sequence: 4, past: 2, tokens: 4, source: 5 } };
    const { feeds } = drawInputs(name, await artifact.graph(), def, { ...sizes, seed: 1 });
    const session = await backend.open(artifact, { precision: 'fp32' });
    for (const [output, value] of Object.entries(await session.run(feeds)))
      found[`${name}/${output}`] = value;
    await session.close();
  }
  return found;
}

async function adapted(def: ModelDef, spec: LoraSpec, bits?: 4): Promise<Lora> {
  const built = Object.entries(await def.build(def.config));
  const graphs = Object.fromEntries(built.map(([name, g]) => [name, bits ? quantise(g, bits) : g]));
  return addLora(graphs, spec, { model: def.name });
}

const parameterBytes = (graphs: readonly Graph[]): number =>
  [...new Map(graphs.flatMap((g) => g.params).map((p) => [p.name, p])).values()]
    .filter((p) => p.role === 'weight')
    .reduce((sum, p) => sum + bytesPerElement(p.dtype) * elementCount(p.shape), 0);

describe('models with adapters', () => {
  it.each<[string, LoraSpec['targets']]>([
    ['vit-tiny', 'all-linear'],
    ['resnet-tiny', ['convolution']],
    ['llava-tiny', ['q_proj', 'linear_1', 'embed_tokens']],
    ['florence-2-tiny', /.*(q_proj|fc1|fc2|shared|qkv)/],
  ])('%s computes what it does with them merged (%s)', async (name, targets) => {
    const def = model(name);
    const lora = await adapted(def, { r: 4, alpha: 4, targets });
    const tensors = learnt(lora.targets, 0.2);
    const beside = withAdapters(seeded(1), lora.trained, tensorWeights(tensors, 'learnt'));
    const unmerged = await outputsOf(def, await prepare(def, beside, lora.graphs));
    const whole = await outputsOf(def, await prepare(def, merged(seeded(1), lora, tensors)));
    expect(Object.keys(whole).sort()).toEqual(Object.keys(unmerged).sort());
    expect(apart(unmerged, whole)).toBeLessThan(1e-5);
    if (name === 'llava-tiny')
      expect(apart(unmerged, await outputsOf(def, await prepare(def, seeded(1))))).toBeGreaterThan(1e-4);
  });

  it('in blocks (QLoRA) keep less than a sixth of the frozen bytes, and train what LoRA trains', async () => {
    const def = model('llama-tiny');
    const spec: LoraSpec = { r: 4, alpha: 4, targets: 'all-linear' };
    const [plain, packed] = [await adapted(def, spec), await adapted(def, spec, 4)];
    expect(packed.trained).toEqual(plain.trained);
    const artifacts = await prepare(def, seeded(1), packed.graphs);
    const outputs = await outputsOf(def, artifacts);
    // A fresh adapter changes nothing.
    const without = { model: quantise((await def.build(def.config)).model!, 4) };
    expect(apart(outputs, await outputsOf(def, await prepare(def, seeded(1), without)))).toBe(0);
    const learned = withAdapters(seeded(1), packed.trained, tensorWeights(learnt(packed.targets), 'learnt'));
    expect(apart(outputs, await outputsOf(def, await prepare(def, learned, packed.graphs)))).toBeGreaterThan(
      1e-3,
    );

    const blocked = plain.targets.reduce((sum, t) => sum + 4 * t.from * t.to, 0);
    const [before, after] = [plain, packed].map((lora) => parameterBytes(Object.values(lora.graphs)));
    // 4 bits and a scale of 32 for 32 weights: 5 bits of 32. The output layer is in blocks too; embeddings are not.
    const head = Object.values(plain.graphs)[0]!.params.find((p) => p.name === 'lm_head.weight')!;
    const products = blocked + 4 * elementCount(head.shape);
    expect(before! - after!).toBe(products - (products * 5) / 32);
    const file = await stat(join(dirname(artifacts.model!.path), 'weights.safetensors'));
    expect(file.size - after!).toBeGreaterThanOrEqual(0);
    expect(file.size - after!).toBeLessThan(64 << 10);
  });
});
