import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type Sharp from 'sharp';
import { reasonOf, VersusError } from '../../src/core/errors.ts';
import { jsonl } from '../../src/data/jsonl.ts';
import { attributesOf, captionOf, questionsOf } from './describe.ts';
import { draw } from './draw.ts';
import { COLOUR_NAMES, isHeldOut, type Scene, SHAPES, SPLITS, sceneAt } from './scene.ts';

/** Counts up whenever a drawing, a description or the layout changes. */
export const VERSION = '1';

const LICENCE = 'CC0-1.0';

export interface Recipe {
  /** Number of images. */
  readonly size: number;
  readonly seed: number;
  /** Longer edge in pixels. */
  readonly edge: number;
}

/** `manifest.json` as it lies beside the images. */
export interface StoredManifest {
  readonly name: 'shapes';
  readonly version: string;
  readonly licence: string;
  readonly source: string;
  readonly recipe: Recipe;
  readonly splits: Readonly<Record<string, number>>;
  readonly heldout: readonly string[];
  /** Of the concatenated image files in the order of samples.jsonl. Holds for the encoders named here. */
  readonly sha256: string;
  /** Of the concatenated RGB bytes before encoding: the same on every machine and for every encoder. */
  readonly pixels_sha256: string;
  /** Of the lines and the images' sizes, as the JSONL reader states it: what is checked at every start. */
  readonly listing_sha256: string;
  readonly encoders: Readonly<Record<string, string>>;
}

const MANIFEST = 'manifest.json';

/** The samples with their shape as label, by the ordinary reader. */
export const reader = (folder: string) =>
  jsonl('shapes', path.join(folder, 'samples.jsonl'), { classes: SHAPES, licence: LICENCE });

/** @throws when there is none that can be read */
export async function readManifest(folder: string): Promise<StoredManifest> {
  return JSON.parse(await readFile(path.join(folder, MANIFEST), 'utf8')) as StoredManifest;
}

const JPEG_QUALITY = 90;
/** Encodes in flight: as many as libuv has threads. */
const WINDOW = 4;

const fileOf = (scene: Scene): string =>
  `${scene.split}/${scene.shape}/${String(scene.index).padStart(6, '0')}-${scene.colour}.${scene.format === 'png' ? 'png' : 'jpg'}`;

function encode(sharp: typeof Sharp, scene: Scene, pixels: Uint8Array): Promise<Buffer> {
  const image = sharp(pixels, { raw: { width: scene.width, height: scene.height, channels: 3 } });
  return scene.format === 'png'
    ? image.png({ compressionLevel: 6, adaptiveFiltering: false }).toBuffer()
    : image.jpeg({ quality: JPEG_QUALITY, chromaSubsampling: '4:2:0' }).toBuffer();
}

function lineOf(scene: Scene, box: readonly number[]): string {
  return `${JSON.stringify({
    id: String(scene.index).padStart(6, '0'),
    image: fileOf(scene),
    split: scene.split,
    label: scene.shape,
    caption: captionOf(scene),
    attributes: attributesOf(scene),
    box,
    questions: questionsOf(scene),
  })}\n`;
}

async function writeAll(folder: string, recipe: Recipe, progress?: (text: string) => void): Promise<void> {
  // Loaded where images are written: every process that reads a config loads this module.
  const { default: sharp } = await import('sharp');
  const files = createHash('sha256');
  const drawn = createHash('sha256');
  const counts: Record<string, number> = Object.fromEntries(SPLITS.map((split) => [split, 0]));
  const lines: string[] = [];
  for (const split of SPLITS) {
    for (const shape of SHAPES) await mkdir(path.join(folder, split, shape), { recursive: true });
  }
  const work = async (index: number) => {
    const scene = sceneAt(index, recipe.seed, recipe.edge);
    const { pixels, box } = draw(scene);
    const bytes = await encode(sharp, scene, pixels);
    await writeFile(path.join(folder, fileOf(scene)), bytes);
    return { scene, pixels, box, bytes };
  };
  for (let from = 0; from < recipe.size; from += WINDOW) {
    const part = Array.from({ length: Math.min(WINDOW, recipe.size - from) }, (_, i) => work(from + i));
    for (const { scene, pixels, box, bytes } of await Promise.all(part)) {
      files.update(bytes);
      drawn.update(pixels);
      counts[scene.split]!++;
      lines.push(lineOf(scene, box));
    }
    if (from % 256 === 0 && from > 0) progress?.(`shapes: ${from} of ${recipe.size} images`);
  }
  await writeFile(path.join(folder, 'samples.jsonl'), lines.join(''));
  const listed = await reader(folder).prepare(folder);
  const manifest: StoredManifest = {
    name: 'shapes',
    version: VERSION,
    licence: LICENCE,
    source: `datasets/shapes, generator version ${VERSION}`,
    recipe,
    splits: counts,
    heldout: SHAPES.flatMap((s) => COLOUR_NAMES.filter((c) => isHeldOut(s, c)).map((c) => `${c} ${s}`)),
    sha256: files.digest('hex'),
    pixels_sha256: drawn.digest('hex'),
    listing_sha256: listed.manifest.sha256,
    encoders: { sharp: sharp.versions.sharp ?? 'unknown', vips: sharp.versions.vips },
  };
  await writeFile(path.join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Moves a damaged folder aside before deleting it, so that nobody finds it half deleted. */
async function discard(folder: string): Promise<void> {
  const aside = `${folder}.${process.pid}-damaged.tmp`;
  await rename(folder, aside).catch(() => undefined);
  await rm(aside, { recursive: true, force: true });
}

/**
 * Writes the images to a folder of their own and moves it to `target` whole: whoever looks sees all files or none. Of
 * several processes at once, the first to finish wins and the others drop their copies. What stands there already is
 * replaced only if `isWhole` denies it.
 *
 * @throws VersusError `infrastructure` when the disk refuses.
 */
export async function generate(
  target: string,
  recipe: Recipe,
  isWhole: () => Promise<boolean>,
  progress?: (text: string) => void,
): Promise<void> {
  const own = `${target}.${process.pid}-${Math.random().toString(36).slice(2)}.tmp`;
  const taken = (error: unknown) =>
    ['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '');
  try {
    await writeAll(own, recipe, progress);
    try {
      await rename(own, target);
    } catch (error) {
      if (!taken(error)) throw error;
      if (await isWhole()) return;
      await discard(target);
      await rename(own, target);
    }
  } catch (error) {
    throw new VersusError('infrastructure', `cannot write the shapes dataset: ${reasonOf(error)}`, {
      where: target,
      next: 'free some disk space (about 12 kB per image) or make the folder writable',
      cause: error,
    });
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}
