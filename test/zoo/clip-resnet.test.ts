import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reference } from '../../src/backends/reference.ts';
import { random } from '../../src/core/random.ts';
import { float32, int64, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { graphCost } from '../../src/graph/cost.ts';
import { verifyFolder } from '../../src/verify/index.ts';
import { writeSafetensors } from '../../src/weights/index.ts';
import { fromCheckpointConfig } from '../../src/zoo/checkpoint/index.ts';
import type { ClipResNetConfig } from '../../src/zoo/clip-resnet.ts';
import { model } from '../../src/zoo/index.ts';
import { oneThread } from '../one-thread.ts';
import {
  type Array64,
  imageFeatures,
  normalised,
  textFeatures,
  type Weights,
} from './clip-resnet.reference.ts';

/** Wider than high, so that rows and columns cannot be mistaken; the end of text in the middle. */
const CONFIG = {
  ...{ architecture: 'clip_resnet', embed_dim: 24, quick_gelu: true },
  vision_cfg: { layers: [1, 2, 1, 1], width: 4, head_width: 32, image_size: [64, 96] },
  text_cfg: { context_length: 10, vocab_size: 50, width: 32, heads: 4, layers: 2 },
};
const IDS = [
  [3, 17, 49, 2, 9, 9, 0],
  [49, 1, 2, 3, 4, 5, 6],
];

async function writeFolder(dir: string): Promise<void> {
  const def = fromCheckpointConfig(CONFIG, []).model;
  const { vision, text, similarity } = await def.build(def.config);
  const draw = random(11);
  const between = (low: number, high: number) => low + (high - low) * draw.uniform();
  const weights: Tensors = {};
  for (const p of [vision!, text!, similarity!].flatMap((g) => g.params)) {
    if (p.role === 'constant' || weights[p.name]) continue;
    const fanIn = p.shape.slice(1).reduce((a, b) => a * b, 1);
    const value = () => {
      if (p.name === 'logit_scale') return 1.7;
      if (p.name.endsWith('running_var')) return between(0.5, 2);
      if (p.shape.length === 1) return p.name.endsWith('weight') ? between(0.6, 1.4) : between(-0.3, 0.3);
      return between(-2, 2) / Math.sqrt(fanIn);
    };
    const count = p.shape.reduce((a, b) => a * b, 1);
    weights[p.name] = float32(p.shape, Float32Array.from({ length: count }, value));
  }
  const images = float32(
    [2, 3, 64, 96],
    Float32Array.from({ length: 2 * 3 * 64 * 96 }, () => between(-2, 2)),
  );
  const of: Weights = (name) => {
    const found = weights[name];
    if (!found) throw new Error(`the graphs have no ${name}`);
    return { shape: found.shape, data: toNumbers(found) };
  };
  const pixels: Array64 = { shape: images.shape, data: toNumbers(images) };
  const [image, texts] = [imageFeatures(pixels, of, [1, 2, 1, 1], 4), textFeatures(IDS, of, 2, 4)];
  const [a, b] = [normalised(image), normalised(texts)];
  const logits = [0, 1].flatMap((i) =>
    [0, 1].map((j) => {
      let dot = 0;
      for (let k = 0; k < 24; k++) dot += a.data[i * 24 + k]! * b.data[j * 24 + k]!;
      return dot * Math.exp(of('logit_scale').data[0]!);
    }),
  );
  const io = (x: Array64) => float32(x.shape, x.data);
  await writeSafetensors(join(dir, 'weights.safetensors'), {
    ...weights,
    // What BatchNorm2d writes besides.
    'visual.bn1.num_batches_tracked': int64([], [7]),
  });
  writeFileSync(join(dir, 'config.json'), JSON.stringify(CONFIG));
  await writeSafetensors(join(dir, 'io.safetensors'), {
    ...{ 'input.pixel_values': images, 'input.input_ids': int64([2, 7], IDS.flat()) },
    ...{ 'output.image_features': io(image), 'output.text_features': io(texts) },
    ...{ 'output.image_embeds': io(a), 'output.text_embeds': io(b) },
    'output.logits_per_image': float32([2, 2], logits),
  });
}

describe("CLIP's residual networks", () => {
  let dir: string;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'versus-clip-resnet-'));
    await writeFolder(dir);
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it.each([oneThread(), reference])('compute what plain loops compute, on $name', async (backend) => {
    const options = { cacheDir: join(dir, 'cache'), maxBytes: 1e9, tolerance: 1e-5 };
    const result = await verifyFolder(dir, backend, options);
    expect(result.outputs.filter((o) => !o.agrees)).toEqual([]);
    expect(result.outputs).toHaveLength(5);
  });

  // open_clip's profile (docs/model_profile.csv): 12.22 and 19.54 GFLOPs for the image, 5.96 for the text.
  it.each([
    ['clip-rn50', 12.22],
    ['clip-rn101', 19.54],
  ])('%s costs what open_clip counts, less the answers of the attention pool that it throws away', async (name, gflops) => {
    const m = model(name);
    const { vision, projection } = m.config as ClipResNetConfig;
    const graphs = await m.build(m.config);
    const macs = (graph: string) => Number(graphCost(graphs[graph]!, { batch: 1, ...m.dims }).macs);
    const channels = 32 * vision.width;
    const places = 49;
    const thrownAway = places * (channels * channels + channels * projection + 2 * (places + 1) * channels);
    expect(Math.abs((macs('vision') + thrownAway) / (gflops * 5e8) - 1)).toBeLessThan(0.005);
    expect(Math.abs(macs('text') / (5.96 * 5e8) - 1)).toBeLessThan(0.01);
  });
});
