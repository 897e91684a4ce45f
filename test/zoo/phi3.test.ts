import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CropsPreprocess, ModelDef } from '../../src/core/model.ts';
import { float32, int64, type Tensor } from '../../src/core/tensor.ts';
import { cropTokens } from '../../src/data/crops.ts';
import { bindDim } from '../../src/graph/dims.ts';
import { compareOutputs } from '../../src/stats/parity.ts';
import { CachedDecoder } from '../../src/verify/cached-decoder.ts';
import { Sessions } from '../../src/verify/sessions.ts';
import { joined, span } from '../../src/verify/tokens.ts';
import { prepareArtifacts } from '../../src/weights/index.ts';
import { buildDecoder, type DecoderConfig } from '../../src/zoo/decoder.ts';
import { model } from '../../src/zoo/index.ts';
import { longRopeScale } from '../../src/zoo/long-rope.ts';
import { buildPhi3Vision, type Phi3VisionConfig } from '../../src/zoo/phi3-vision.ts';
import { oneThread } from '../one-thread.ts';
import { waves, withModel } from './run-model.ts';

/** Up to 8 positions the short factors hold. */
const TEXT: DecoderConfig = {
  ...(model('phi-3.5-tiny').config as DecoderConfig),
  ...{ vocabulary: 17, width: 24, heads: 4, kvHeads: 2, headWidth: 6, mlpWidth: 20, logits: 'all' },
  rotary: { theta: 1e4, short: [1, 1.1, 1.3], long: [1.5, 4, 20], original: 8, extended: 64 },
};
const decoder = (change: Partial<DecoderConfig> = {}): ModelDef<DecoderConfig> => ({
  ...{ name: 'phi3', family: 'phi3', task: 'generate', build: buildDecoder },
  config: { ...TEXT, ...change },
});
const ids = (length: number, batch = 1, seed = 3) =>
  int64(
    [batch, length],
    Array.from({ length: batch * length }, (_, i) => (i * i * 5 + i * 7 + seed) % 17),
  );
const open = (s: Sessions) => new CachedDecoder(s, 'model', 'input_ids');

function expectClose(actual: Tensor, expected: Tensor, tolerance = 1e-5) {
  const [difference] = compareOutputs({ it: actual }, { it: expected }, tolerance);
  expect(difference).toMatchObject({ agrees: true });
}

describe('a Phi-3 decoder', () => {
  it('gives the same logits token by token as for the whole prompt, on either side of the border', async () => {
    await withModel(decoder(), async (s) => {
      for (const [length, first] of [
        [8, 1],
        [8, 5],
        [12, 9],
        [11, 10],
      ] as const) {
        const prompt = ids(length, 2);
        const whole = await open(s).step(prompt);
        const stepwise = open(s);
        const parts = [await stepwise.step(span(prompt, 0, first))];
        for (let at = first; at < length; at++) parts.push(await stepwise.step(span(prompt, at, at + 1)));
        expectClose(joined(parts), whole);
      }
    });
  });

  it('turns to the long factors for all positions of a call that reaches past the border', async () => {
    await withModel(decoder(), async (s) => {
      const [within, beyond, across] = [open(s), open(s), open(s)];
      const key = (d: CachedDecoder, from: number, to: number) => {
        const cache = d.cache('present.')['present.0.key']!;
        const flat = float32([cache.shape[1]!, ...cache.shape.slice(2)], cache.data as Float32Array);
        return span(flat, from, to);
      };
      await within.step(ids(8));
      await beyond.step(ids(9));
      await across.step(span(ids(9), 0, 8));
      await across.step(span(ids(9), 8, 9));
      // Position 0 is not turned at all; what is cached stays as it was turned, what is new is long.
      expectClose(key(within, 0, 1), key(beyond, 0, 1));
      expect(compareOutputs({ k: key(within, 1, 8) }, { k: key(beyond, 1, 8) }, 1e-2)[0]?.agrees).toBe(false);
      expectClose(key(across, 0, 8), key(within, 0, 8));
      expectClose(key(across, 8, 9), key(beyond, 8, 9));
    });
  });

  it('stretches cosine and sine in both regimes', async () => {
    const plain = { theta: 1e4, factor: 1 };
    const stretched = { theta: 1e4, short: [1, 1, 1], long: [1, 1, 1], original: 4, extended: 64 };
    expect(longRopeScale(stretched)).toBeCloseTo(Math.sqrt(1 + 4 / 2), 12);
    expect(longRopeScale({ ...stretched, extended: 4 })).toBe(1);
    // All factors 1: keys are those of plain positions, longer by the scale.
    const keys = async (config: Partial<DecoderConfig>, length: number) =>
      withModel(decoder(config), async (s) => {
        const d = open(s);
        await d.step(ids(length));
        return d.cache('present.')['present.0.key']!;
      });
    for (const length of [3, 7]) {
      const expected = await keys({ rotary: plain }, length);
      const scaled = (expected.data as Float32Array).map((v) => v * longRopeScale(stretched));
      expectClose(await keys({ rotary: stretched }, length), float32(expected.shape, scaled));
    }
  });

  it('sees nothing at padding', async () => {
    await withModel(decoder({ logits: 'last' }), async (s) => {
      for (const length of [4, 10]) {
        const prompt = ids(length);
        const padding = int64([1, 3], [4, 5, 6]);
        const mask = int64(
          [1, length + 3],
          Array.from({ length: length + 3 }, (_, i) => Number(i > 2)),
        );
        const positions = int64(
          [1, length + 3],
          Array.from({ length: length + 3 }, (_, i) => Math.max(i - 3, 0)),
        );
        const padded = await open(s).step(joined([padding, prompt]), { mask, positions });
        expectClose(padded, await open(s).step(prompt));
      }
    });
  });

  it('computes every sequence of a batch by itself', async () => {
    await withModel(decoder(), async (s) => {
      const [a, b] = [ids(9, 1, 3), ids(9, 1, 8)];
      const both = int64([2, 9], [...a.data, ...b.data].map(Number));
      const half = (await open(s).step(both)).data as Float32Array;
      const shape = [1, 9, TEXT.vocabulary];
      expectClose(float32(shape, half.slice(0, half.length / 2)), await open(s).step(a));
      expectClose(float32(shape, half.slice(half.length / 2)), await open(s).step(b));
    });
  });

  it('looks back as far as its window, with a cache and without', async () => {
    const changed = (at: number) =>
      int64(
        [1, 7],
        [...ids(7).data].map((id, i) => (i === at ? 16 : Number(id))),
      );
    await withModel(decoder({ depth: 1, window: 3, logits: 'last' }), async (s) => {
      const plain = await open(s).step(ids(7));
      expectClose(await open(s).step(changed(3)), plain, 1e-7);
      const seen = await open(s).step(changed(4));
      expect(compareOutputs({ l: seen }, { l: plain }, 1e-4)[0]?.agrees).toBe(false);
      const stepwise = open(s);
      await stepwise.step(span(ids(7), 0, 2));
      for (let at = 2; at < 6; at++) await stepwise.step(span(ids(7), at, at + 1));
      expectClose(await stepwise.step(span(ids(7), 6, 7)), plain);
    });
    const logits = (window?: number) =>
      withModel(decoder({ ...(window && { window }), logits: 'last' }), (s) => open(s).step(ids(7)));
    expectClose(await logits(7), await logits());
  });
});

/** Crops of 4 × 4 patches: 2 × 2 tokens. */
const VISION: Phi3VisionConfig = {
  ...(model('phi-3.5-vision-tiny').config as Phi3VisionConfig),
  text: TEXT,
  vision: {
    ...{ width: 8, depth: 2, heads: 2, mlpWidth: 16, eps: 1e-5, activation: 'quick_gelu', channels: 3 },
    ...{ image: [8, 8], patch: [2, 2] },
  },
};
const visual = (change: Partial<Phi3VisionConfig> = {}): ModelDef<Phi3VisionConfig> => ({
  ...{ name: 'phi3-vision', family: 'phi3-vision', task: 'generate', build: buildPhi3Vision },
  config: { ...VISION, ...change },
});
const SIDE = 2;
const VIEW = 3 * 8 * 8;
const WIDTH = TEXT.width;

const look = async (s: Sessions, whole: Tensor, crops: Tensor) =>
  (await s.run('vision', { global_view: whole, crops })).image_features!;
const view = (crops: Tensor, i: number, rank: 4 | 6) =>
  float32(
    rank === 4 ? [1, 3, 8, 8] : [1, 1, 1, 3, 8, 8],
    (crops.data as Float32Array).slice(i * VIEW, (i + 1) * VIEW),
  );

describe("Phi-3.5-vision's view", () => {
  it('puts crops together row by row, a separator behind each row', async () => {
    await withModel(visual(), async (s) => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 3 }),
          fc.integer({ min: 1, max: 3 }),
          async (rows, columns) => {
            const crops = waves([1, rows, columns, 3, 8, 8]);
            const dimmed = (waves([1, 3, 8, 8]).data as Float32Array).map((v) => v / 2);
            const whole = float32([1, 3, 8, 8], dimmed);
            // What each crop alone becomes: SIDE rows of SIDE tokens and a separator; then the whole.
            const alone: Tensor[] = [];
            for (let i = 0; i < rows * columns; i++) alone.push(await look(s, whole, view(crops, i, 6)));
            const token = (t: Tensor, i: number) => [
              ...(t.data as Float32Array).subarray(i * WIDTH, (i + 1) * WIDTH),
            ];
            const expected: number[][] = [];
            for (let y = 0; y < rows * SIDE; y++) {
              for (let x = 0; x < columns * SIDE; x++) {
                const crop = alone[Math.floor(y / SIDE) * columns + Math.floor(x / SIDE)]!;
                expected.push(token(crop, (y % SIDE) * (SIDE + 1) + (x % SIDE)));
              }
              expected.push(token(alone[0]!, SIDE));
            }
            for (let i = SIDE * (SIDE + 1); i < alone[0]!.shape[1]!; i++) expected.push(token(alone[0]!, i));
            const found = await look(s, whole, crops);
            expectClose(found, float32([1, expected.length, WIDTH], expected.flat()));
          },
        ),
        { numRuns: 6 },
      );
    });
  });

  it('sees every image of a batch by itself', async () => {
    await withModel(visual(), async (s) => {
      const whole = waves([2, 3, 8, 8]);
      const crops = waves([2, 1, 2, 3, 8, 8]);
      const both = await look(s, whole, crops);
      const size = both.data.length / 2;
      for (const i of [0, 1]) {
        const data = (crops.data as Float32Array).slice(i * 2 * VIEW, (i + 1) * 2 * VIEW);
        const one = await look(s, view(whole, i, 4), float32([1, 1, 2, 3, 8, 8], data));
        const half = (both.data as Float32Array).slice(i * size, (i + 1) * size);
        expectClose(float32(one.shape, half), one);
      }
    });
  });

  it('can put the whole first', async () => {
    const [whole, crops] = [waves([1, 3, 8, 8]), waves([1, 2, 1, 3, 8, 8])];
    const behind = await withModel(visual(), (s) => look(s, whole, crops));
    const first = await withModel(visual({ globalFirst: true }), (s) => look(s, whole, crops));
    const grid = 2 * SIDE * (SIDE + 1);
    const total = behind.shape[1]!;
    const parts = [span(behind, grid + 1, total), span(behind, grid, grid + 1), span(behind, 0, grid)];
    expectClose(first, joined(parts));
  });

  it('makes as many tokens as its processor counts', async () => {
    const m = model('phi-3.5-vision');
    const { vision } = await m.build(m.config);
    const tokens = vision!.outputs[0]!.shape[1]!;
    const spec = m.tiling as CropsPreprocess;
    expect(bindDim(tokens, { rows: 2, columns: 2 })).toBe(757);
    expect(bindDim(tokens, m.dims!)).toBe(
      cropTokens({ ...spec, maxCrops: 4 }, { width: 640, height: 480 }, 12),
    );
    expect(bindDim(tokens, { rows: 3, columns: 4 })).toBe(
      cropTokens(spec, { width: 1344, height: 1008 }, 12),
    );
  });

  it('holds in half precision', async () => {
    const cacheDir = mkdtempSync(join(tmpdir(), 'versus-phi3-'));
    const results = async (precision: 'fp32' | 'fp16') => {
      const artifacts = await prepareArtifacts(visual(), { cacheDir, maxBytes: 1e9, precision });
      const s = new Sessions(oneThread(), artifacts, { precision });
      const image_features = await look(s, waves([1, 3, 8, 8]), waves([1, 2, 2, 3, 8, 8]));
      const text = new CachedDecoder(s, 'decoder', 'inputs_embeds');
      const logits = [await text.step(image_features), await text.step(span(image_features, 3, 4))];
      await s.close();
      return { image_features, logits: joined(logits) };
    };
    try {
      const [half, full] = [await results('fp16'), await results('fp32')];
      for (const o of compareOutputs(half, full, 1e-2)) expect(o).toMatchObject({ agrees: true });
    } finally {
      rmSync(cacheDir, { recursive: true, force: true });
    }
  });
});
