import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sample } from '../../src/core/dataset.ts';
import { vitPreprocess } from '../../src/core/processors.ts';
import { holdBatches, loadBatch, loadBatches } from '../../src/data/loader.ts';
import { preprocessImage } from '../../src/data/preprocess.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'versus-loader-'));
const spec = vitPreprocess(4);
let samples: Sample[];

beforeAll(async () => {
  samples = await Promise.all(
    Array.from({ length: 7 }, async (_, i) => {
      const image = path.join(folder, `${i}.png`);
      await sharp({ create: { width: 5, height: 5, channels: 3, background: { r: i * 30, g: 9, b: 1 } } })
        .png()
        .toFile(image);
      return { id: `${i}`, image, label: i };
    }),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('loadBatches', () => {
  it('yields every sample once, in order, whatever is decoded first', async () => {
    for (const prefetch of [0, 1, 5]) {
      const ids: string[] = [];
      const shapes: number[][] = [];
      for await (const batch of loadBatches(samples, spec, { batch: 3, prefetch })) {
        ids.push(...batch.samples.map((s) => s.id));
        shapes.push([...batch.images.shape]);
      }
      expect(ids).toEqual(samples.map((s) => s.id));
      expect(shapes).toEqual([
        [3, 3, 4, 4],
        [3, 3, 4, 4],
        [1, 3, 4, 4],
      ]);
    }
  });

  it('holds the same pixels as one image at a time', async () => {
    const batch = await loadBatch(samples.slice(0, 2), spec);
    const second = await preprocessImage(samples[1]!.image!, spec);
    expect(batch.images.data.slice(second.data.length)).toEqual(second.data);
  });

  it('throws at the batch of a broken file and not before', async () => {
    const broken = path.join(folder, 'broken.png');
    writeFileSync(broken, 'no image');
    const list = [...samples.slice(0, 4), { id: 'broken', image: broken }];
    const seen: number[] = [];
    const read = async () => {
      for await (const batch of loadBatches(list, spec, { batch: 2, prefetch: 3 }))
        seen.push(batch.samples.length);
    };
    await expect(read()).rejects.toThrow(/cannot decode image/);
    expect(seen).toEqual([2, 2]);
  });

  it('can be left early', async () => {
    for await (const batch of loadBatches(samples, spec, { batch: 1 })) {
      expect(batch.samples[0]!.id).toBe('0');
      break;
    }
  });
});

describe('holdBatches', () => {
  const bytes = 2 * 3 * 4 * 4 * 4;

  it('stops at the memory that it may use, but holds one', async () => {
    expect(await holdBatches(samples, spec, { batch: 2, count: 9, maxBytes: 2 * bytes })).toHaveLength(2);
    expect(await holdBatches(samples, spec, { batch: 2, count: 9, maxBytes: 1 })).toHaveLength(1);
    expect(await holdBatches(samples, spec, { batch: 2, count: 9, maxBytes: 1e9 })).toHaveLength(3);
  });

  it('repeats samples to fill a batch that is larger than the split', async () => {
    const [held] = await holdBatches(samples.slice(0, 2), spec, { batch: 5, count: 1, maxBytes: 1e9 });
    expect(held!.samples.map((s) => s.id)).toEqual(['0', '1', '0', '1', '0']);
  });

  it('says that there is nothing to hold', async () => {
    await expect(holdBatches([], spec, { batch: 1, count: 1, maxBytes: 1 })).rejects.toThrow(/no samples/);
  });
});
