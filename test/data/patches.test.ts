import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PatchesPreprocess } from '../../src/core/model.ts';
import { qwen2VlPreprocess } from '../../src/core/processors.ts';
import { toNumbers } from '../../src/core/tensor.ts';
import { imageSize } from '../../src/data/image.ts';
import { patchFeeds, smartResize, tokenGrid } from '../../src/data/patches.ts';
import { preprocessPixels } from '../../src/data/preprocess.ts';
import { fromPatchesConfig, fromProcessorConfig } from '../../src/data/processor-config.ts';
import { tiledFeeds } from '../../src/data/tiling.ts';
import { readSafetensors } from '../../src/weights/index.ts';

const folder = path.join(import.meta.dirname, '../fixtures/preprocess');
const config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8')) as {
  cases: { name: string; image_std: [number, number, number] }[];
  qwen2vl_smart_resize: {
    min_pixels: number;
    max_pixels: number;
    cases: { height: number; width: number; out_height: number; out_width: number }[];
  };
};
const entry = config.cases.find((c) => c.name === 'qwen2vl')!;
const io = await readSafetensors(path.join(folder, 'io.safetensors'));
const image = (i: number) => {
  const { shape, data } = io[`input.image_u8.${i}`]!;
  return { width: shape[1]!, height: shape[0]!, data: data as Uint8Array };
};
const plain = (width: number, height: number) => ({
  width,
  height,
  data: new Uint8Array(width * height * 3),
});

describe('patches equal the published processor', () => {
  const spec = fromPatchesConfig(entry);

  it.each([0, 1, 2])('image %i', (i) => {
    const expected = io[`output.qwen2vl.${i}`]!;
    const feeds = patchFeeds(image(i), spec);
    expect(feeds.pixel_values!.shape).toEqual([1, ...expected.shape]);
    const [t, h, w] = toNumbers(io[`output.qwen2vl_grid_thw.${i}`]!);
    expect(tokenGrid(feeds, spec)).toEqual([t, h! / spec.merge, w! / spec.merge]);
    const [a, b] = [toNumbers(feeds.pixel_values!), toNumbers(expected)];
    const differences = a.map((v, k) => Math.abs(v - b[k]!));
    const steps = Math.max(...differences) * 255 * Math.max(...entry.image_std);
    expect(steps).toBeLessThan(1e-3);
    expect(differences.reduce((x, y) => x + y, 0) / a.length).toBeLessThan(1e-5);
  });

  const { min_pixels: minPixels, max_pixels: maxPixels, cases } = config.qwen2vl_smart_resize;
  it.each(cases)('$width × $height become $out_width × $out_height', (c) => {
    const size = smartResize(c, qwen2VlPreprocess({ minPixels, maxPixels }));
    expect(size).toEqual({ width: c.out_width, height: c.out_height });
  });
});

const specs = fc
  .record({
    patch: fc.integer({ min: 1, max: 5 }),
    merge: fc.integer({ min: 1, max: 3 }),
    temporal: fc.integer({ min: 1, max: 3 }),
    minPixels: fc.integer({ min: 1, max: 500 }),
    more: fc.integer({ min: 900, max: 3000 }),
  })
  .map(({ more, ...s }): PatchesPreprocess => qwen2VlPreprocess({ ...s, maxPixels: s.minPixels + more }));
const sizes = fc.record({ width: fc.integer({ min: 1, max: 90 }), height: fc.integer({ min: 1, max: 90 }) });

describe('sizes and order', () => {
  it('are whole squares within the limits', () => {
    fc.assert(
      fc.property(specs, sizes, (spec, size) => {
        const { width, height } = smartResize(size, spec);
        const factor = spec.patch * spec.merge;
        expect([width % factor, height % factor]).toEqual([0, 0]);
        expect(Math.min(width, height)).toBeGreaterThanOrEqual(factor);
        // Only an edge of a single square may leave the limits: it cannot shrink.
        if (width > factor && height > factor) expect(width * height).toBeLessThanOrEqual(spec.maxPixels);
        expect(width * height).toBeGreaterThanOrEqual(Math.min(spec.minPixels, factor * factor));
      }),
    );
  });

  it('hold every pixel of the resized image once per frame, at its place', () => {
    fc.assert(
      fc.property(specs, sizes, (spec, size) => {
        const pixels = {
          ...size,
          data: Uint8Array.from({ length: size.width * size.height * 3 }, (_, i) => (i * 37) % 256),
        };
        const { pixel_values: values, patch_positions: cells } = patchFeeds(pixels, spec);
        const { patch, temporal } = spec;
        const whole = preprocessPixels(pixels, { ...spec, resize: smartResize(size, spec) });
        const [, height, width] = whole.shape as [number, number, number];
        expect(cells!.shape).toEqual([(height / patch) * (width / patch), 2]);
        const places = toNumbers(cells!);
        const rows = toNumbers(values!);
        const expected = toNumbers(whole);
        let at = 0;
        for (let p = 0; p < cells!.shape[0]!; p++) {
          for (let ct = 0; ct < 3 * temporal; ct++) {
            for (let y = 0; y < patch; y++) {
              for (let x = 0; x < patch; x++) {
                const c = Math.floor(ct / temporal);
                const [top, left] = [places[2 * p]! * patch + y, places[2 * p + 1]! * patch + x];
                if (rows[at++] !== expected[(c * height + top) * width + left]) throw new Error(`patch ${p}`);
              }
            }
          }
        }
        expect(at).toBe(rows.length);
      }),
      { numRuns: 40 },
    );
  });

  it('come square by square, so that merging joins neighbours', () => {
    const spec = qwen2VlPreprocess({ patch: 2, merge: 2, minPixels: 1 });
    const { patch_positions } = patchFeeds(plain(8, 4), spec);
    expect([...toNumbers(patch_positions!)].join('')).toBe('0001101102031213');
  });
});

describe('batches', () => {
  const spec = qwen2VlPreprocess({ patch: 2, merge: 2, minPixels: 1 });

  it('stack along the first axis and share their positions', () => {
    const other = { ...plain(8, 4), data: new Uint8Array(96).fill(200) };
    const feeds = tiledFeeds([plain(8, 4), other], spec);
    expect(feeds.pixel_values!.shape).toEqual([2, 8, 24]);
    expect(feeds.patch_positions!.shape).toEqual([8, 2]);
    const one = patchFeeds(other, spec).pixel_values!;
    expect(feeds.pixel_values!.data.slice(one.data.length)).toEqual(one.data);
  });

  it('refuse images that come out with different sizes, and none', () => {
    expect(() => tiledFeeds([plain(8, 4), plain(4, 8), plain(8, 8)], spec)).toThrow(/different sizes/);
    expect(() => tiledFeeds([], spec)).toThrow(/without images/);
  });
});

describe('limits', () => {
  it('refuse a strip', () => {
    expect(() => smartResize({ width: 2010, height: 10 }, qwen2VlPreprocess())).toThrow(/too narrow/);
    expect(smartResize({ width: 2000, height: 10 }, qwen2VlPreprocess())).toEqual({ width: 812, height: 28 });
  });

  it.each([
    [{}, /image_processor_type/],
    [{ image_processor_type: 'CLIPImageProcessor' }, /no patches/],
    [{ ...entry, resample: 0 }, /no patches/],
    [{ ...entry, patch_size: 0 }, /patch_size/],
    [{ ...entry, max_pixels: '1' }, /max_pixels/],
    [{ ...entry, do_resize: false }, /do_resize/],
  ])('refuse the config %j', (json, message) => {
    const text = (() => {
      try {
        return JSON.stringify(fromPatchesConfig(json));
      } catch (error) {
        return (error as { describe(): string }).describe();
      }
    })();
    expect(text).toMatch(message);
  });

  it('a fixed resize refuses the config of patches and says how to read it', () => {
    expect(() => fromProcessorConfig(entry)).toThrow(/not a fixed resize: it cuts patches/);
  });

  it('reads the size of a file as decoding does, and names a file that has none', async () => {
    const file = path.join(import.meta.dirname, '../fixtures/preprocess/config.json');
    await expect(imageSize(file)).rejects.toThrow(/size of an image/);
    await expect(imageSize('/nonexistent.png')).rejects.toThrow(/cannot read image/);
  });
});
