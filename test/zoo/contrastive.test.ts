import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { int64, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { contrastiveOutputs } from '../../src/verify/contrastive.ts';
import { verifyFolder } from '../../src/verify/index.ts';
import { Sessions } from '../../src/verify/sessions.ts';
import { prepareArtifacts, readSafetensors, writeSafetensors } from '../../src/weights/index.ts';
import { fromCheckpointConfig } from '../../src/zoo/checkpoint/index.ts';
import { model } from '../../src/zoo/index.ts';
import type { SiglipConfig } from '../../src/zoo/siglip.ts';
import { oneThread } from '../one-thread.ts';
import { waves, withModel } from './run-model.ts';

describe('configurations of contrastive models', () => {
  const failure = (config: unknown): VersusError => {
    try {
      fromCheckpointConfig(config, []);
    } catch (error) {
      if (error instanceof VersusError) return error;
      throw error;
    }
    throw new Error('it was accepted');
  };
  const resnet = (vision: object, rest: object = {}) => ({
    ...{ architecture: 'clip_resnet', embed_dim: 64, vision_cfg: { layers: [1, 1, 1, 1], ...vision } },
    ...rest,
  });

  it.each([
    ['heads', { model_type: 'siglip', vision_config: { num_attention_heads: 7 } }, 'num_attention_heads'],
    ['a context of nothing', { model_type: 'siglip', text_config: { max_position_embeddings: 0 } }, 'max_'],
    ['towers of two widths', { model_type: 'siglip', text_config: { hidden_size: 384 } }, 'hidden_size'],
    ['a projection', { model_type: 'siglip', text_config: { projection_size: 512 } }, 'projection_size'],
    ['a large patch', { model_type: 'siglip_vision_model', patch_size: 300 }, 'image_size'],
    ['no layers', { model_type: 'siglip_vision_model', num_hidden_layers: 0 }, 'num_hidden_layers'],
    ['three stages', resnet({ layers: [1, 1, 1] }), 'layers'],
    ['an odd stem', resnet({ width: 5 }), 'vision_cfg.width'],
    ['a head of 60', resnet({ head_width: 60 }), 'vision_cfg.head_width'],
    ['an image of 100', resnet({ image_size: 100 }), 'vision_cfg.image_size'],
    ['heads of the text', resnet({}, { text_cfg: { heads: 7 } }), 'text_cfg.heads'],
    ['no common space', resnet({}, { embed_dim: 0 }), 'embed_dim'],
  ])('%s: the field is named', (_, config, field) => {
    const error = failure(config);
    expect(error.kind).toBe('input');
    expect(error.where).toContain(field);
  });

  it.each([
    ['a tower without its head', { model_type: 'siglip_vision_model', vision_use_head: false }, /use_head/],
    ["timm's tower", resnet({ timm_model_name: 'resnet50d' }), /timm_model_name/],
  ])('%s is unsupported', (_, config, message) => {
    const error = failure(config);
    expect(error.kind).toBe('unsupported');
    expect(error.message).toMatch(message);
  });

  it.each([
    ['siglip-tiny', (c: SiglipConfig) => ({ ...c, vision: { ...c.vision, heads: 5 } }), 'heads'],
    ['siglip-tiny', (c: SiglipConfig) => ({ ...c, text: { ...c.text, vocabulary: 0 } }), 'vocabulary'],
    ['sovit-tiny', (c: SiglipConfig) => ({ ...c, vision: { ...c.vision, patch: [8, 65] } }), 'image[1]'],
    ['clip-rn-tiny', (c: SiglipConfig) => ({ ...c, vision: { ...c.vision, image: [64, 72] } }), 'image[1]'],
    ['clip-rn-tiny', (c: SiglipConfig) => ({ ...c, vision: { ...c.vision, width: 15 } }), 'width'],
    ['clip-rn-tiny', (c: SiglipConfig) => ({ ...c, vision: { ...c.vision, depths: [1, 1, 1] } }), 'depths'],
    ['clip-rn-tiny', (c: SiglipConfig) => ({ ...c, projection: 1.5 }), 'projection'],
  ])('%s of our own: the field is named', async (name, change, field) => {
    const m = model(name);
    const error = await (async () => m.build(change(m.config as SiglipConfig)))().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(VersusError);
    expect((error as VersusError).kind).toBe('usage');
    expect((error as VersusError).where).toContain(field);
  });

  it("fills in the library's defaults", () => {
    const { config, text } = fromCheckpointConfig({ model_type: 'siglip' }, []).model;
    expect(config).toEqual({ ...(model('siglip-b-16').config as object), taps: false });
    expect(text).toEqual({ context: 64, pad: 1 });
    const rn50 = { ...resnet({ layers: [3, 4, 6, 3] }), embed_dim: 1024, quick_gelu: true };
    expect(fromCheckpointConfig(rn50, []).model.config).toEqual({
      ...(model('clip-rn50').config as object),
      taps: false,
    });
  });

  it('reads a tower alone under the names that it has beside the other', async () => {
    const { model: tower } = fromCheckpointConfig({ model_type: 'siglip_vision_model' }, []);
    const whole = model('siglip-b-16');
    const names = (m: ModelDef, graph: string) =>
      Promise.resolve(m.build(m.config)).then((g) =>
        g[graph]!.params.filter((p) => p.role === 'weight').map((p) => [p.name, p.shape]),
      );
    expect(await names(tower, 'model')).toEqual(await names(whole, 'vision'));
  });
});

describe("SigLIP's vision tower alone", () => {
  it('computes what the reference recorded of it beside the other', async () => {
    const source = join(import.meta.dirname, '..', 'fixtures', 'hf-siglip');
    const dir = mkdtempSync(join(tmpdir(), 'versus-sovit-'));
    try {
      const { vision_config } = JSON.parse(readFileSync(join(source, 'config.json'), 'utf8'));
      writeFileSync(join(dir, 'config.json'), JSON.stringify(vision_config));
      const weights = Object.entries(await readSafetensors(join(source, 'weights.safetensors')));
      const vision = weights.filter(([name]) => name.startsWith('vision_model.'));
      await writeSafetensors(join(dir, 'weights.safetensors'), Object.fromEntries(vision));
      const io = await readSafetensors(join(source, 'io.safetensors'));
      await writeSafetensors(join(dir, 'io.safetensors'), {
        'input.pixel_values': io['input.pixel_values']!,
        // SiglipModel's image features are the pooled output of SiglipVisionModel.
        'output.pooler_output': io['output.image_features']!,
        'output.last_hidden_state': io['output.vision_last_hidden_state']!,
      });
      const options = { cacheDir: join(dir, 'cache'), maxBytes: 1e9, tolerance: 1e-5 };
      const { outputs, family } = await verifyFolder(dir, oneThread(), options);
      expect(family).toBe('sovit');
      expect(outputs.map((o) => [o.name, o.agrees]).sort()).toEqual([
        ['last_hidden_state', true],
        ['pooler_output', true],
      ]);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe("SigLIP's text tower", () => {
  it('sees all of a text, and reads it at its last place', async () => {
    await withModel(model('siglip-tiny'), async (s) => {
      const embed = async (ids: number[]) =>
        toNumbers((await s.run('text', { input_ids: int64([1, ids.length], ids) })).text_embeds!);
      const distance = (a: ArrayLike<number>, b: ArrayLike<number>) =>
        Math.hypot(...Array.from(a, (v, i) => v - b[i]!));
      const text = await embed([5, 6, 7, 1, 1]);
      expect(Math.hypot(...text)).toBeCloseTo(1, 5);
      expect(distance(text, await embed([5, 6, 7, 1, 1]))).toBe(0);
      expect(distance(text, await embed([5, 8, 7, 1, 1]))).toBeGreaterThan(1e-3);
      // Other padding is another text: that is why its length is fixed.
      expect(distance(text, await embed([5, 6, 7, 1, 1, 1]))).toBeGreaterThan(1e-3);
      const { inputs } = await s.session('text');
      expect(inputs.map((i) => i.name)).toEqual(['input_ids']);
    });
  });

  it('cannot be verified against a mask that hides something', async () => {
    const mask = (values: number[]): Promise<Tensors> =>
      withModel(model('siglip-tiny'), (s) =>
        contrastiveOutputs(s, {
          inputs: { input_ids: int64([1, 3], [5, 6, 1]), attention_mask: int64([1, 3], values) },
          expected: {},
        }),
      );
    await expect(mask([1, 1, 0])).rejects.toThrow(/hides tokens/);
    expect(Object.keys(await mask([1, 1, 1]))).toEqual(['text_embeds']);
  });
});

describe('in half precision', () => {
  let cacheDir: string;
  beforeAll(() => {
    cacheDir = mkdtempSync(join(tmpdir(), 'versus-contrastive-'));
  });
  afterAll(() => rmSync(cacheDir, { recursive: true, force: true }));

  const run = async (name: string, precision: 'fp32' | 'fp16'): Promise<Tensors> => {
    const m = model(name);
    const artifacts = await prepareArtifacts(m, { cacheDir, maxBytes: 1e9, precision });
    const sessions = new Sessions(oneThread(), artifacts, { precision });
    const pixels = { pixel_values: waves([2, 3, 64, 64]) };
    try {
      if (m.task === 'classify') return await sessions.run('model', pixels);
      const ids = int64([2, 6], [1, 5, 9, 1023, 1, 1, 8, 7, 6, 5, 1023, 1]);
      return await contrastiveOutputs(sessions, { inputs: { ...pixels, input_ids: ids }, expected: {} });
    } finally {
      await sessions.close();
    }
  };

  it.each(['siglip-tiny', 'sovit-tiny', 'clip-rn-tiny'])('%s agrees with itself', async (name) => {
    const [full, half] = [await run(name, 'fp32'), await run(name, 'fp16')];
    expect(Object.keys(half)).toEqual(Object.keys(full));
    for (const [key, value] of Object.entries(full)) {
      const [a, b] = [toNumbers(value), toNumbers(half[key]!)];
      const scale = Math.max(1, ...a.map(Math.abs));
      expect(Math.max(...a.map((v, i) => Math.abs(v - b[i]!))) / scale).toBeLessThan(2e-2);
    }
  });
});
