import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import type { CropsPreprocess } from '../../src/core/model.ts';
import { phi3Crops } from '../../src/core/processors.ts';
import { float32, int64, type Tensor } from '../../src/core/tensor.ts';
import { cropFeeds, cropGrid, cropTokens } from '../../src/data/crops.ts';
import { type Pixels, resample } from '../../src/data/resample.ts';
import { operatorCase } from '../graph/operator-cases.ts';
import { difference, runOnnxruntime } from '../graph/operator-run.ts';

interface Case {
  width: number;
  height: number;
  num_crops: number;
  padded_width: number;
  padded_height: number;
  num_img_tokens: number;
}
const CASES: Case[] = JSON.parse(
  readFileSync(path.join(import.meta.dirname, '../fixtures/phi35-vision/config.json'), 'utf8'),
).hd_transform_cases_336px;

/** A picture without symmetry. */
function picture(width: number, height: number): Pixels {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * i * 7 + i * 13) % 251);
  return { width, height, data };
}

const small = (maxCrops: number, side = 8): CropsPreprocess => phi3Crops(side, maxCrops);
const sizes = fc.record({
  width: fc.integer({ min: 1, max: 60 }),
  height: fc.integer({ min: 1, max: 60 }),
  maxCrops: fc.integer({ min: 1, max: 16 }),
});
/** Slimmer images vanish, and are refused. */
const whole = sizes.filter(({ width, height }) => Math.max(width / height, height / width) <= 8);

/** The crops put together again: grey levels of pixel (y, x), channel c. */
function pageOf(crops: Tensor, spec: CropsPreprocess) {
  const [, rows = 0, columns = 0, , side = 0] = crops.shape;
  const level = (y: number, x: number, c: number) => {
    const crop = Math.floor(y / side) * columns + Math.floor(x / side);
    const value = crops.data[((crop * 3 + c) * side + (y % side)) * side + (x % side)]! as number;
    return Math.round((value * spec.std[c]! + spec.mean[c]!) * 255);
  };
  return { height: rows * side, width: columns * side, level };
}

describe("Phi-3-vision's crops", () => {
  it.each(CASES)('of $width × $height are as many as the published processor makes', (c) => {
    const spec = phi3Crops(336, c.num_crops);
    const { rows, columns } = cropGrid(spec, c);
    expect({ height: rows * 336, width: columns * 336 }).toEqual({
      height: c.padded_height,
      width: c.padded_width,
    });
    expect(cropTokens(spec, c, 12)).toBe(c.num_img_tokens);
  });

  it('are never more than allowed, and use what is allowed', () => {
    fc.assert(
      fc.property(whole, ({ maxCrops, ...image }) => {
        const { rows, columns } = cropGrid(small(maxCrops), image);
        expect(rows * columns).toBeLessThanOrEqual(maxCrops);
        const across = Math.max(rows, columns) + 1;
        const ratio = Math.max(image.width, image.height) / Math.min(image.width, image.height);
        expect(across * Math.ceil(across / ratio)).toBeGreaterThan(maxCrops);
      }),
    );
  });

  it('hold the resized image between white margins, portraits to their left and right', () => {
    fc.assert(
      fc.property(whole, ({ width, height, maxCrops }) => {
        const spec = small(maxCrops);
        const image = picture(width, height);
        const page = pageOf(cropFeeds(image, spec).crops!, spec);
        const upright = width < height;
        const ratio = Math.max(width, height) / Math.min(width, height);
        const long = upright ? page.height : page.width;
        const short = Math.trunc(long / ratio);
        const margin = Math.floor(((upright ? page.width : page.height) - short) / 2);
        const [wide, high] = upright ? [short, long] : [long, short];
        // Pillow's passes round between them, and a portrait's go the other way round.
        const close = upright ? 1 : 0;
        const resized = resample(image, wide, high, 'bilinear');
        for (let y = 0; y < page.height; y++) {
          for (let x = 0; x < page.width; x++) {
            const [v, u] = upright ? [y, x - margin] : [y - margin, x];
            const inside = v >= 0 && v < high && u >= 0 && u < wide;
            for (let c = 0; c < 3; c++) {
              const wanted = inside ? resized.data[(v * wide + u) * 3 + c]! : 255;
              if (Math.abs(page.level(y, x, c) - wanted) > (inside ? close : 0)) {
                throw new Error(`(${y}, ${x}) is ${page.level(y, x, c)}, not ${wanted}`);
              }
            }
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    [40, 30, 4],
    [20, 50, 9],
    [64, 24, 16],
    [9, 9, 1],
  ])('stand beside the whole of %i × %i, shrunk as torch does', async (width, height, maxCrops) => {
    const spec = small(maxCrops, 10);
    const feeds = cropFeeds(picture(width, height), spec);
    const [, rows = 0, columns = 0, , side = 0] = feeds.crops!.shape;
    const [high, wide] = [rows * side, columns * side];
    const page = new Float32Array(3 * high * wide);
    page.forEach((_, i) => {
      const [c, y, x] = [Math.floor(i / (high * wide)), Math.floor(i / wide) % high, i % wide];
      const crop = Math.floor(y / side) * columns + Math.floor(x / side);
      page[i] = feeds.crops!.data[((crop * 3 + c) * side + (y % side)) * side + (x % side)] as number;
    });
    const resize = operatorCase('Resize', {
      inputs: [float32([1, 3, high, wide], page), null, null, int64([4], [1, 3, side, side])],
      ...{ fixed: [3], floats: ['cubic_coeff_a'] },
      attrs: { mode: 'cubic', cubic_coeff_a: -0.75, coordinate_transformation_mode: 'half_pixel' },
    });
    const expected = { out0: feeds.global_view! };
    expect(difference(await runOnnxruntime(resize, expected), expected, 1e-5)).toBe(null);
  });

  it('refuse an image of which nothing would be left', () => {
    const line = picture(2000, 1);
    expect(() => cropFeeds(line, small(16))).toThrow(VersusError);
    expect(() => cropGrid(small(16), { width: 1, height: 5000 })).toThrow(/1×5000 becomes/);
  });
});
