import { readFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { ImagePreprocess } from '../../src/core/model.ts';
import {
  clipPreprocess,
  convnextPreprocess,
  deitPreprocess,
  siglipPreprocess,
  swinPreprocess,
  torchvisionPreprocess,
  vitPreprocess,
} from '../../src/core/processors.ts';
import { decodeImage } from '../../src/data/image.ts';
import { preprocessImage, preprocessPixels, resizedSize, stackImages } from '../../src/data/preprocess.ts';
import { fromProcessorConfig } from '../../src/data/processor-config.ts';
import { resample } from '../../src/data/resample.ts';

const folder = path.join(import.meta.dirname, '../fixtures/preprocess');
const config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8')) as {
  cases: { name: string; image_std: [number, number, number] }[];
};
const file = readFileSync(path.join(folder, 'io.safetensors'));
const headerBytes = Number(file.readBigUInt64LE(0));
const header = JSON.parse(file.toString('utf8', 8, 8 + headerBytes)) as Record<
  string,
  { shape: number[]; data_offsets: [number, number] }
>;

function read(name: string) {
  const { shape, data_offsets } = header[name]!;
  const bytes = Uint8Array.from(
    file.subarray(8 + headerBytes + data_offsets[0], 8 + headerBytes + data_offsets[1]),
  );
  return { shape, bytes };
}

const image = (i: number) => {
  const { shape, bytes } = read(`input.image_u8.${i}`);
  return { width: shape[1]!, height: shape[0]!, data: bytes };
};

/** Largest difference in grey levels, and the mean difference after normalising. */
function distance(actual: ArrayLike<number>, expected: Float32Array, std: readonly number[]) {
  const plane = expected.length / 3;
  let steps = 0;
  let sum = 0;
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i]! - expected[i]!);
    steps = Math.max(steps, d * 255 * std[Math.floor(i / plane)]!);
    sum += d;
  }
  return { steps, mean: sum / expected.length };
}

const presets: Record<string, ImagePreprocess> = {
  clip: clipPreprocess(24),
  vit: vitPreprocess(24),
  siglip: siglipPreprocess(28),
  deit: deitPreprocess(24, 32),
  convnext: convnextPreprocess(28, 0.875),
  swin: swinPreprocess(20),
  torchvision: torchvisionPreprocess(24, 26),
};

describe('preprocessing equals the published processors', () => {
  for (const [name, preset] of Object.entries(presets)) {
    const entry = config.cases.find((c) => c.name === name)!;
    const specs = name === 'torchvision' ? { preset } : { preset, config: fromProcessorConfig(entry) };
    for (const [from, spec] of Object.entries(specs)) {
      it.each([0, 1, 2])(`${name} by ${from}, image %i`, (i) => {
        const expected = read(`output.${name}.${i}`);
        const out = preprocessPixels(image(i), spec);
        expect(out.shape).toEqual(expected.shape);
        const { steps, mean } = distance(
          out.data as Float32Array,
          new Float32Array(expected.bytes.buffer),
          entry.image_std,
        );
        expect(steps).toBeLessThan(1e-3);
        expect(mean).toBeLessThan(1e-5);
      });
    }
  }

  it('decodes a PNG to the same pixels', async () => {
    const { width, height, data } = image(0);
    const png = await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    expect(await preprocessImage(png, presets.clip!)).toEqual(preprocessPixels(image(0), presets.clip!));
  });

  it('repeats grey, drops alpha and reads 16 bit as 8', async () => {
    const identity: ImagePreprocess = {
      resize: { height: 2, width: 2 },
      kernel: 'bilinear',
      mean: [0, 0, 0],
      std: [1, 1, 1],
      rescale: 1,
    };
    const raw = (channels: 1 | 4, data: number[]) =>
      sharp(Uint8Array.from(data), { raw: { width: 2, height: 2, channels } });
    const grey = await raw(1, [0, 50, 100, 255]).toColourspace('b-w').png().toBuffer();
    expect([...(await preprocessImage(grey, identity)).data]).toEqual(
      [0, 1, 2].flatMap(() => [0, 50, 100, 255]),
    );
    const clear = await raw(4, [9, 8, 7, 0, 9, 8, 7, 0, 9, 8, 7, 128, 9, 8, 7, 255]).png().toBuffer();
    expect([...(await preprocessImage(clear, identity)).data]).toEqual(
      [9, 8, 7].flatMap((v) => [v, v, v, v]),
    );
    const deep = await raw(
      4,
      Array.from({ length: 16 }, () => 200),
    )
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expect(new Set((await preprocessImage(deep, identity)).data as Float32Array)).toEqual(new Set([200]));
  });
});

describe('formats', () => {
  const colour = [200, 60, 20];
  const base = () =>
    sharp({ create: { width: 8, height: 8, channels: 3, background: { r: 200, g: 60, b: 20 } } });
  it.each([
    ['webp', () => base().webp({ lossless: true }), 0],
    ['gif', () => base().gif(), 0],
    ['tiff', () => base().tiff(), 1],
    ['palette PNG', () => base().png({ palette: true }), 0],
    ['16-bit PNG', () => base().toColourspace('rgb16').png(), 0],
    ['CMYK JPEG', () => base().toColourspace('cmyk').jpeg({ quality: 100 }), 25],
  ])('decodes %s to three bytes per pixel', async (_, make, tolerance) => {
    const { width, height, data } = await decodeImage(await make().toBuffer());
    expect([width, height, data.length]).toEqual([8, 8, 192]);
    colour.forEach((value, c) => {
      expect(Math.abs(data[c]! - value)).toBeLessThanOrEqual(tolerance);
    });
  });

  it('leaves the numbers of a file with a colour profile as they are stored', async () => {
    const wide = await decodeImage(await base().withIccProfile('p3').png().toBuffer());
    expect(wide.data[0]).toBeLessThan(195);
  });
});

describe('geometry', () => {
  it('truncates the longer edge', () => {
    expect(resizedSize(clipPreprocess(224), { width: 500, height: 375 })).toEqual({
      width: 298,
      height: 224,
    });
    expect(resizedSize(clipPreprocess(224), { width: 375, height: 500 })).toEqual({
      width: 224,
      height: 298,
    });
  });

  it('refuses an aspect ratio that would need gigabytes', () => {
    expect(() => resizedSize(clipPreprocess(224), { width: 100_000, height: 1 })).toThrow(/longest|becomes/);
  });

  it('pads a crop that is larger than the image with black', () => {
    const spec: ImagePreprocess = {
      resize: { height: 1, width: 1 },
      kernel: 'bilinear',
      crop: { height: 3, width: 3 },
      mean: [0, 0, 0],
      std: [1, 1, 1],
      rescale: 1,
    };
    const out = preprocessPixels({ width: 1, height: 1, data: Uint8Array.of(7, 8, 9) }, spec);
    expect([...out.data.slice(0, 9)]).toEqual([0, 0, 0, 0, 7, 0, 0, 0, 0]);
  });

  it('crops an odd margin as each library does', () => {
    const data = Uint8Array.from({ length: 7 * 3 }, (_, i) => Math.floor(i / 3));
    const spec = (rounding: 'floor' | 'even'): ImagePreprocess => ({
      resize: { height: 1, width: 7 },
      kernel: 'bilinear',
      crop: { height: 1, width: 4, rounding },
      mean: [0, 0, 0],
      std: [1, 1, 1],
      rescale: 1,
    });
    const first = (rounding: 'floor' | 'even') =>
      preprocessPixels({ width: 7, height: 1, data }, spec(rounding)).data[0];
    expect(first('floor')).toBe(1);
    expect(first('even')).toBe(2);
  });

  it('keeps a constant image constant at every size', () => {
    for (const kernel of ['bilinear', 'bicubic'] as const) {
      for (const size of [1, 3, 16, 40]) {
        const out = resample(
          { width: 17, height: 5, data: new Uint8Array(17 * 5 * 3).fill(201) },
          size,
          size,
          kernel,
        );
        expect(new Set(out.data)).toEqual(new Set([201]));
      }
    }
  });

  it('refuses to stack different sizes', () => {
    const spec: ImagePreprocess = { ...clipPreprocess(8) };
    const { crop: _, ...open } = spec;
    const a = preprocessPixels(image(0), open);
    const b = preprocessPixels(image(1), open);
    expect(() => stackImages([a, b])).toThrow(/one batch/);
    expect(stackImages([a, a]).shape).toEqual([2, ...a.shape]);
  });
});

describe('hostile input', () => {
  const spec = vitPreprocess(8);
  it('says which file is missing, truncated or no image', async () => {
    await expect(preprocessImage('/nonexistent/a.png', spec)).rejects.toThrow(/cannot read image/);
    await expect(preprocessImage(Buffer.from('not an image'), spec)).rejects.toThrow(/cannot decode/);
    const jpeg = await sharp({ create: { width: 64, height: 64, channels: 3, background: '#123' } })
      .jpeg()
      .toBuffer();
    await expect(preprocessImage(jpeg.subarray(0, jpeg.length / 2), spec)).rejects.toThrow(/cannot decode/);
  });

  it('refuses SVG', async () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>');
    await expect(preprocessImage(svg, spec)).rejects.toThrow(/svg is not supported/);
  });

  it('refuses a small file that decodes to gigapixels', async () => {
    const png = await sharp({ create: { width: 2, height: 2, channels: 3, background: '#000' } })
      .png()
      .toBuffer();
    png.writeUInt32BE(60_000, 16);
    png.writeUInt32BE(60_000, 20);
    await expect(preprocessImage(png, spec)).rejects.toThrow(/cannot decode/);
  });

  it.each([
    [{ size: 'large' }, /size/],
    [{ size: { height: 1e9, width: 2 } }, /size/],
    [{ image_mean: [0.5] }, /image_mean/],
    [{ resample: 0 }, /not a fixed resize/],
    [{ image_processor_type: 'Qwen2VLImageProcessor' }, /not a fixed resize/],
    [null, /not an image processor/],
  ])('refuses the processor config %j', (json, message) => {
    expect(() => fromProcessorConfig(json)).toThrow(
      expect.objectContaining({ message: expect.any(String) }) as Error,
    );
    try {
      fromProcessorConfig(json);
    } catch (error) {
      expect((error as { describe(): string }).describe()).toMatch(message);
    }
  });
});
