import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { defineDataset, type Sample } from '../../src/index.ts';

const CLASSES = ['red', 'green', 'blue', 'grey'];
const COLOURS = ['#c00', '#0c0', '#00c', '#888'];

/** A dataset in one file: prepare its files (or check those that are there) and list its samples. */
export const flats = defineDataset({
  name: 'flats',
  description: '8 images of one colour each',
  async prepare(root) {
    const dir = join(root, 'flats', 'generated');
    await mkdir(dir, { recursive: true });
    const samples: Sample[] = [];
    for (let i = 0; i < 8; i++) {
      const image = join(dir, `${i}.png`);
      const background = COLOURS[i % 4]!;
      await sharp({ create: { width: 20, height: 20, channels: 3, background } })
        .png()
        .toFile(image);
      samples.push({ id: `flat-${i}`, image, label: i % 4 });
    }
    const sha256 = createHash('sha256').update(COLOURS.join()).digest('hex');
    const manifest = { name: 'flats', version: '1', licence: 'MIT', source: 'generated', classes: CLASSES };
    return {
      name: 'flats',
      manifest: { ...manifest, splits: { test: samples.length }, sha256 },
      samples: async () => samples,
    };
  },
});
