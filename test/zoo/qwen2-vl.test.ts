import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { gridPositions, patchPositions, type Run } from '../../src/core/positions.ts';
import { float32, int64, type Tensor, tensor } from '../../src/core/tensor.ts';
import { graphCost } from '../../src/graph/cost.ts';
import { compareOutputs } from '../../src/stats/parity.ts';
import { CachedDecoder } from '../../src/verify/cached-decoder.ts';
import { Sessions } from '../../src/verify/sessions.ts';
import { joined, span } from '../../src/verify/tokens.ts';
import { prepareArtifacts } from '../../src/weights/index.ts';
import { fromCheckpointConfig } from '../../src/zoo/checkpoint/index.ts';
import { buildDecoder, type DecoderConfig } from '../../src/zoo/decoder.ts';
import { model } from '../../src/zoo/index.ts';
import type { Qwen2VlConfig } from '../../src/zoo/qwen2-vl.ts';
import { oneThread } from '../one-thread.ts';
import { waves, withModel } from './run-model.ts';

const tiny = model('qwen2-vl-tiny') as ModelDef<Qwen2VlConfig>;
const agrees = (a: Tensor, b: Tensor, tolerance = 1e-5) =>
  compareOutputs({ a }, { a: b }, tolerance)[0]?.agrees;

/** int64 [3, 1, length] of a prompt. */
function positionsOf(runs: readonly Run[]): Tensor {
  const { places } = gridPositions(runs);
  return int64(
    [3, 1, places.length],
    [0, 1, 2].flatMap((axis) => places.map((p) => p[axis]!)),
  );
}

/** The columns `from` to `to` of positions [3, 1, length]. */
function columns(positions: Tensor, from: number, to: number): Tensor {
  const [, , length = 0] = positions.shape;
  const rows = [0, 1, 2].flatMap((a) => [
    ...(positions.data as BigInt64Array).subarray(a * length + from, a * length + to),
  ]);
  return tensor('int64', [3, 1, to - from], BigInt64Array.from(rows));
}

describe('positions on several axes', () => {
  const sections = fc
    .array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 })
    .map((s): readonly number[] => s);

  it('equal plain rotary positions where all axes are equal', async () => {
    const ids = int64([2, 4], [3, 1, 4, 1, 5, 9, 2, 6]);
    const places = [0, 1, 5, 7, 2, 3, 4, 9];
    const run = (config: DecoderConfig, positions: Tensor) =>
      withModel({ ...tiny, config, build: buildDecoder } as unknown as ModelDef, (s) =>
        new CachedDecoder(s, 'model', 'input_ids').step(ids, { positions }),
      );
    await fc.assert(
      fc.asyncProperty(sections, async (s) => {
        const pairs = s.reduce((a, b) => a + b, 0);
        const base: DecoderConfig = {
          ...tiny.config.text,
          ...{
            vocabulary: 13,
            width: 8,
            heads: 2,
            kvHeads: 1,
            headWidth: 2 * pairs,
            mlpWidth: 8,
            logits: 'all',
          },
        };
        const plain = { ...base, rotary: { theta: 1e4, factor: 1 } };
        const axes = { ...base, rotary: { ...plain.rotary, sections: s } };
        const same = s.flatMap(() => places);
        const [a, b] = [
          await run(axes, int64([s.length, 2, 4], same)),
          await run(plain, int64([2, 4], places)),
        ];
        expect(agrees(a, b, 1e-6)).toBe(true);
        if (s.length === 1) return;
        // … and only there.
        const other = int64(
          [s.length, 2, 4],
          s.flatMap((_, i) => places.map((p) => p * (1 + i))),
        );
        expect(agrees(await run(axes, other), b, 1e-6)).toBe(false);
      }),
      { numRuns: 8 },
    );
  });

  it('give the same logits token by token as for the whole prompt with an image', async () => {
    const config = { ...tiny.config, text: { ...tiny.config.text, logits: 'all' as const } };
    const positions = positionsOf([{ text: 2 }, { grid: [1, 2, 3] }, { text: 3 }]);
    const embeds = waves([1, 11, config.text.width]);
    await withModel({ ...tiny, config }, async (s) => {
      const whole = await new CachedDecoder(s, 'decoder', 'inputs_embeds').step(embeds, { positions });
      const stepwise = new CachedDecoder(s, 'decoder', 'inputs_embeds');
      const parts = [await stepwise.step(span(embeds, 0, 4), { positions: columns(positions, 0, 4) })];
      for (let at = 4; at < 11; at++) {
        const step = span(embeds, at, at + 1);
        parts.push(await stepwise.step(step, { positions: columns(positions, at, at + 1) }));
      }
      expect(agrees(joined(parts), whole)).toBe(true);
      // The grid matters: as a row of text the same prompt gives other logits.
      const text = await new CachedDecoder(s, 'decoder', 'inputs_embeds').step(embeds, {
        positions: positionsOf([{ text: 11 }]),
      });
      expect(agrees(text, whole, 1e-3)).toBe(false);
    });
  });
});

describe('the tower', () => {
  const pixels = (batch: number, patches: number) => waves([batch, patches, 3 * 2 * 14 * 14]);
  const rowsOf = (t: Tensor, from: number, to: number) => t.data.slice(from, to) as Float32Array;

  it('gives every image of a batch what it gives the image alone', async () => {
    const both = pixels(2, 24);
    const cells = patchPositions(4, 6, 2);
    await withModel(tiny, async (s) => {
      const features = async (pixel_values: Tensor) =>
        (await s.run('vision', { pixel_values, patch_positions: cells })).image_features!;
      const together = await features(both);
      expect(together.shape).toEqual([2, 6, 64]);
      const size = both.data.length / 2;
      const tokens = together.data.length / 2;
      for (const i of [0, 1]) {
        const alone = await features(float32([1, 24, 1176], rowsOf(both, i * size, (i + 1) * size)));
        expect(agrees(alone, float32([1, 6, 64], rowsOf(together, i * tokens, (i + 1) * tokens)))).toBe(true);
      }
    });
  });

  it('knows patches by their cells: squares in another order give tokens in that order', async () => {
    const image = pixels(1, 16);
    const cells = patchPositions(4, 4, 2);
    const order = [2, 0, 3, 1];
    const width = image.data.length / 4;
    const moved = float32(
      [1, 16, 1176],
      order.flatMap((s) => [...rowsOf(image, s * width, (s + 1) * width)]),
    );
    const places = [...(cells.data as BigInt64Array)].map(Number);
    // Further down and to the right, too: only distances count.
    const placed = int64(
      [16, 2],
      order.flatMap((s) => places.slice(8 * s, 8 * s + 8).map((p) => p + 5)),
    );
    await withModel(tiny, async (s) => {
      const one = (await s.run('vision', { pixel_values: image, patch_positions: cells })).image_features!;
      const two = (await s.run('vision', { pixel_values: moved, patch_positions: placed })).image_features!;
      const expected = order.flatMap((i) => [...rowsOf(one, 64 * i, 64 * (i + 1))]);
      expect(agrees(two, float32([1, 4, 64], expected))).toBe(true);
      const wrong = (await s.run('vision', { pixel_values: moved, patch_positions: cells })).image_features!;
      expect(agrees(wrong, float32([1, 4, 64], expected), 1e-3)).toBe(false);
    });
  });

  it('takes images of any size, and its cost follows them', async () => {
    const { vision } = (await tiny.build(tiny.config)) as Record<
      string,
      NonNullable<unknown> & Parameters<typeof graphCost>[0]
    >;
    expect(vision!.inputs.map((i) => [i.name, i.shape])).toEqual([
      ['pixel_values', ['batch', '4*tokens', 1176]],
      ['patch_positions', ['4*tokens', 2]],
    ]);
    expect(vision!.outputs[0]!.shape).toEqual(['batch', 'tokens', 64]);
    const macs = (tokens: number) => graphCost(vision!, { batch: 1, tokens }).macs!;
    expect(macs(64)).toBeGreaterThan(2 * macs(32));
  });

  it('in float16 agrees with float32, and so does the decoder behind an image', async () => {
    const cacheDir = mkdtempSync(join(tmpdir(), 'versus-half-'));
    const outputs = async (precision: 'fp32' | 'fp16') => {
      const artifacts = await prepareArtifacts(tiny, { cacheDir, maxBytes: 1e9, precision });
      const s = new Sessions(oneThread(), artifacts, { precision });
      const patch_positions = patchPositions(40, 6, 2);
      const { image_features } = await s.run('vision', { pixel_values: pixels(1, 240), patch_positions });
      const decoder = new CachedDecoder(s, 'decoder', 'inputs_embeds');
      // Positions that float16 does not hold.
      const positions = positionsOf([{ text: 4099 }, { grid: [1, 20, 3] }]);
      const logits = await decoder.step(image_features!, { positions: columns(positions, 4099, 4159) });
      await s.close();
      return { image_features: image_features!, logits };
    };
    const [full, half] = [await outputs('fp32'), await outputs('fp16')];
    rmSync(cacheDir, { recursive: true, force: true });
    for (const name of Object.keys(full) as (keyof typeof full)[]) {
      expect({ name, agrees: apart(half[name], full[name]) < 0.02 }).toEqual({ name, agrees: true });
      expect(apart(half[name], full[name])).toBeGreaterThan(0);
    }
  });
});

function apart(a: Tensor, b: Tensor): number {
  const [x, y] = [a.data as Float32Array, b.data as Float32Array];
  const scale = y.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3);
  return x.reduce((m, v, i) => Math.max(m, Math.abs(v - y[i]!)), 0) / scale;
}

describe('impossible configurations', () => {
  const change = (vision: object, text: object = {}): Qwen2VlConfig => ({
    ...tiny.config,
    vision: { ...tiny.config.vision, ...vision },
    text: { ...tiny.config.text, ...text },
  });
  const rotary = (sections?: readonly number[]) => ({
    rotary: { theta: 1e6, factor: 1, ...(sections && { sections }) },
  });

  it.each([
    ['heads', change({ heads: 3 })],
    ['width / heads / 4', change({ width: 20, heads: 2 })],
    ['merge', change({ merge: 0 })],
    ['temporal', change({ temporal: 1.5 })],
    ['eps', change({ eps: 0 })],
    ['rotary.sections', change({}, rotary([2, 6]))],
    ['rotary.sections', change({}, rotary())],
    ['rotary.sections', change({}, rotary([2, 3, 4]))],
    ['rotary.sections[1]', change({}, rotary([5, 0, 3]))],
    ['kvHeads', change({}, { kvHeads: 3 })],
  ])('are refused, naming %s', (field, config) => {
    try {
      tiny.build(config);
    } catch (error) {
      expect(error).toBeInstanceOf(VersusError);
      expect((error as VersusError).kind).toBe('usage');
      expect((error as VersusError).where).toContain(field);
      return;
    }
    throw new Error('it was accepted');
  });
});

const PUBLISHED = {
  ...{ model_type: 'qwen2_vl', vocab_size: 151936, hidden_size: 1536, intermediate_size: 8960 },
  ...{ num_hidden_layers: 28, num_attention_heads: 12, num_key_value_heads: 2, rms_norm_eps: 1e-6 },
  ...{ rope_theta: 1e6, rope_scaling: { type: 'mrope', mrope_section: [16, 24, 24] } },
  ...{ tie_word_embeddings: true, use_sliding_window: false, vision_config: { hidden_size: 1536 } },
};

describe("a checkpoint's config.json", () => {
  const configOf = (config: object) => fromCheckpointConfig(config, []).model.config as Qwen2VlConfig;

  it('of the published 2B is the member of the zoo', () => {
    expect(configOf(PUBLISHED)).toEqual(model('qwen2-vl-2b').config);
  });

  it('may nest the language model, as later versions of transformers write it', () => {
    const { vision_config, model_type, tie_word_embeddings, rope_theta, rope_scaling, ...text } = PUBLISHED;
    const rope_parameters = { rope_type: 'default', rope_theta, mrope_section: [16, 24, 24] };
    const nested = {
      model_type,
      vision_config,
      tie_word_embeddings,
      text_config: { ...text, rope_parameters },
    };
    expect(configOf(nested)).toEqual(configOf(PUBLISHED));
    expect(rope_scaling.type).toBe('mrope');
  });

  it.each([
    ['mrope_section', { rope_scaling: { type: 'mrope', mrope_section: [16, 24, 23] } }],
    ['mrope_section', { rope_scaling: { type: 'mrope', mrope_section: [32, 32] } }],
    ['mrope_section', { rope_scaling: null }],
    ['num_attention_heads', { num_attention_heads: 7 }],
    ['num_key_value_heads', { num_key_value_heads: 5 }],
    ['num_heads', { vision_config: { hidden_size: 1536, num_heads: 7 } }],
    ['num_heads', { vision_config: { hidden_size: 1536, num_heads: 640 } }],
    ['hidden_size', { vision_config: { hidden_size: 1535 } }],
    ['depth', { vision_config: { depth: 0 } }],
    ['mlp_ratio', { vision_config: { hidden_size: 1536, mlp_ratio: 1e-5 } }],
    ['spatial_merge_size', { vision_config: { spatial_merge_size: 0 } }],
    ['vocab_size', { vocab_size: -1 }],
  ])('with a wrong %s is refused: %j', (field, change) => {
    const reading = () => configOf({ ...PUBLISHED, ...change });
    expect(reading).toThrow(VersusError);
    try {
      reading();
    } catch (error) {
      expect((error as VersusError).kind).toBe('input');
      expect((error as VersusError).where).toContain(field);
    }
  });

  it.each([
    ['yarn', { rope_scaling: { type: 'yarn', mrope_section: [16, 24, 24] } }],
    ['sliding', { use_sliding_window: true, max_window_layers: 1 }],
  ])('with %s is not supported', (what, change) => {
    expect(() => configOf({ ...PUBLISHED, ...change })).toThrow(new RegExp(what));
  });
});
