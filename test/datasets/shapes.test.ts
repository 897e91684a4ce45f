import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captionOf, questionsOf } from '../../datasets/shapes/describe.ts';
import { draw } from '../../datasets/shapes/draw.ts';
import { shapes } from '../../datasets/shapes/index.ts';
import {
  BACKGROUNDS,
  COLOUR_NAMES,
  COLOURS,
  isHeldOut,
  NOISES,
  SHAPES,
  SIZES,
  sceneAt,
} from '../../datasets/shapes/scene.ts';
import type { Dataset } from '../../src/core/dataset.ts';
import { decodeImage } from '../../src/data/image.ts';
import { imageFolder } from '../../src/data/imagefolder.ts';

const base = mkdtempSync(path.join(os.tmpdir(), 'versus-shapes-'));
const small = shapes({ size: 192, edge: 48 });
const folder = path.join(base, 'shapes/generated/v1-n192-s0-e48');
let found: Dataset;

beforeAll(async () => {
  found = await small.prepare(base);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

const everything = async (set: Dataset) =>
  (await Promise.all(Object.keys(set.manifest.splits).map((split) => set.samples(split)))).flat();

describe('scenes', () => {
  it('hold every shape in every colour once in 64', () => {
    for (const from of [0, 64, 640]) {
      const pairs = Array.from({ length: 64 }, (_, i) => sceneAt(from + i, 3, 128));
      expect(new Set(pairs.map((s) => `${s.shape} ${s.colour}`)).size).toBe(64);
    }
  });

  it('vary in everything that is promised', () => {
    const scenes = Array.from({ length: 640 }, (_, i) => sceneAt(i, 0, 128));
    const kinds = (of: (s: (typeof scenes)[number]) => unknown) => new Set(scenes.map(of)).size;
    expect(kinds((s) => s.size)).toBe(SIZES.length);
    expect(kinds((s) => `${s.row} ${s.column}`)).toBe(9);
    expect(kinds((s) => s.background)).toBe(BACKGROUNDS.length);
    expect(kinds((s) => s.noise)).toBe(NOISES.length);
    expect(kinds((s) => s.format)).toBe(2);
    expect(kinds((s) => `${s.width}×${s.height}`)).toBe(3);
  });

  it('hold out one colour of each shape and one shape of each colour', () => {
    const pairs = SHAPES.flatMap((s) => COLOUR_NAMES.filter((c) => isHeldOut(s, c)).map((c) => [s, c]));
    expect(new Set(pairs.map(([s]) => s)).size).toBe(8);
    expect(new Set(pairs.map(([, c]) => c)).size).toBe(8);
    expect(pairs).toHaveLength(8);
  });

  it('keep the shape inside, boxed tightly, and in its colour', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 32, max: 200 }), (index, edge) => {
        const scene = sceneAt(index, 1, edge);
        const { pixels, box } = draw(scene);
        const [x, y, w, h] = box;
        expect(Math.min(x, y)).toBeGreaterThanOrEqual(0);
        expect(x + w).toBeLessThanOrEqual(scene.width);
        expect(y + h).toBeLessThanOrEqual(scene.height);
        expect(Math.max(w, h)).toBeGreaterThan(scene.radius);
        expect(Math.max(w, h)).toBeLessThanOrEqual(2 * scene.radius + 2);
        // The middle of every shape but the ring is filled.
        if (scene.shape === 'ring') return;
        const at = (Math.floor(scene.y) * scene.width + Math.floor(scene.x)) * 3;
        COLOURS[scene.colour].forEach((value, c) => {
          expect(Math.abs(pixels[at + c]! - value)).toBeLessThanOrEqual(12 + 18 + 1);
        });
      }),
      { numRuns: 60 },
    );
  });

  it('are asked questions that fit', () => {
    const scenes = Array.from({ length: 400 }, (_, i) => sceneAt(i, 0, 128));
    let yes = 0;
    for (const scene of scenes) {
      const questions = questionsOf(scene);
      expect(questions).toHaveLength(5);
      expect(captionOf(scene)).toContain(`${scene.colour} ${scene.shape}`);
      const { question, answer } = questions[4]!;
      expect(question.includes(scene.colour) ? 'yes' : 'no').toBe(answer);
      if (answer === 'yes') yes++;
    }
    expect(yes / scenes.length).toBeGreaterThan(0.4);
    expect(yes / scenes.length).toBeLessThan(0.6);
  });
});

describe('the dataset', () => {
  it('has files of the size and the content that it says', async () => {
    const samples = await everything(found);
    expect(samples).toHaveLength(192);
    expect(new Set(samples.map((s) => path.extname(s.image!)))).toEqual(new Set(['.png', '.jpg']));
    for (const sample of samples.filter((_, i) => i % 16 === 0)) {
      const index = Number(sample.id);
      const scene = sceneAt(index, 0, 48);
      const image = await decodeImage(sample.image!);
      expect([image.width, image.height]).toEqual([scene.width, scene.height]);
      expect(found.manifest.classes[sample.label!]).toBe(scene.shape);
      const drawn = draw(scene);
      expect(sample.box).toEqual(drawn.box);
      if (scene.format === 'png') expect(Buffer.compare(image.data, drawn.pixels)).toBe(0);
    }
  });

  it('keeps held-out pairs out of the other splits', async () => {
    const pair = (s: { attributes?: Readonly<Record<string, string | number>> }) =>
      `${s.attributes?.colour} ${s.attributes?.shape}`;
    const held = new Set((await found.samples('heldout')).map(pair));
    expect(held.size).toBe(8);
    for (const split of ['train', 'val', 'test']) {
      const samples = await found.samples(split);
      expect(samples.length).toBe(56);
      expect(samples.filter((s) => held.has(pair(s)))).toEqual([]);
    }
  });

  it('is the same again elsewhere, and a larger one begins with it', async () => {
    const again = path.join(base, 'again');
    const other = await small.prepare(again);
    expect(other.manifest).toEqual(found.manifest);
    const larger = await shapes({ size: 200, edge: 48 }).prepare(base);
    const first = new Map((await everything(larger)).map((s) => [s.id, s.image!]));
    for (const sample of (await everything(found)).slice(0, 20)) {
      expect(Buffer.compare(readFileSync(first.get(sample.id)!), readFileSync(sample.image!))).toBe(0);
    }
  });

  it('is other images with another seed', async () => {
    const other = await shapes({ size: 192, edge: 48, seed: 1 }).prepare(base);
    expect(other.manifest.sha256).not.toBe(found.manifest.sha256);
  });

  it('pins the drawing: these pixels, on every machine', () => {
    const manifest = JSON.parse(readFileSync(path.join(folder, 'manifest.json'), 'utf8'));
    expect(manifest.pixels_sha256).toBe(PIXELS);
    expect(manifest).toMatchObject({
      licence: 'CC0-1.0',
      version: '1',
      recipe: { size: 192, seed: 0, edge: 48 },
    });
    expect(Object.values(manifest.encoders)).not.toContain('unknown');
  });

  it('labels by pair where that is asked for', async () => {
    const pairs = await shapes({ size: 192, edge: 48, label: 'pair' }).prepare(base);
    expect(pairs.name).toBe('shapes-pairs');
    expect(pairs.manifest.classes).toHaveLength(64);
    for (const s of await everything(pairs)) {
      expect(pairs.manifest.classes[s.label!]).toBe(`${s.attributes?.colour} ${s.attributes?.shape}`);
    }
  });

  it('is an ImageFolder too', async () => {
    const read = await imageFolder('f', folder).prepare('/');
    expect(read.manifest.classes).toEqual([...SHAPES].sort());
    expect(read.manifest.splits).toEqual({ heldout: 24, test: 56, train: 56, val: 56 });
  });

  it('is mended when a file is cut, lost or edited', async () => {
    const images = (await found.samples('test')).map((s) => s.image!);
    const original = readFileSync(images[0]!);
    const damages = [
      () => truncateSync(images[0]!, 10),
      () => rmSync(images[0]!),
      () => writeFileSync(path.join(folder, 'manifest.json'), '{'),
      () => writeFileSync(path.join(folder, 'samples.jsonl'), '{"image": "../../../../etc/passwd"}'),
    ];
    for (const damage of damages) {
      damage();
      const said: string[] = [];
      expect((await small.prepare(base, (text) => said.push(text))).manifest).toEqual(found.manifest);
      expect(said.join()).toMatch(/generating/);
      expect(Buffer.compare(readFileSync(images[0]!), original)).toBe(0);
    }
  });

  it('is made once when many ask at once, and leaves no rubbish', async () => {
    const root = path.join(base, 'crowd');
    const all = await Promise.all(Array.from({ length: 4 }, () => small.prepare(root)));
    for (const one of all) {
      expect(one.manifest).toEqual(found.manifest);
      for (const sample of await one.samples('val')) expect(existsSync(sample.image!)).toBe(true);
    }
    expect(readdirSync(path.join(root, 'shapes/generated'))).toEqual(['v1-n192-s0-e48']);
  });

  it('says that it cannot write', async () => {
    const file = path.join(base, 'a-file');
    writeFileSync(file, '');
    await expect(small.prepare(file)).rejects.toMatchObject({
      kind: 'infrastructure',
      message: expect.stringMatching(/cannot write/),
    });
  });

  it.each([
    { size: 191 },
    { size: 1.5 },
    { size: 1e9 },
    { seed: -1 },
    { edge: 8 },
  ])('refuses %j', (options) => {
    expect(() => shapes(options)).toThrow(/no shapes dataset/);
  });
});

/** Raise `VERSION` in generate.ts when this changes. */
const PIXELS = 'fe57d9e03c326f7371bf1f859f7099424afc6bbec19a3bb8befe204b8f62eb37';
