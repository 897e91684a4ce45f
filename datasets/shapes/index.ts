import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset, DatasetDef, Sample } from '../../src/core/dataset.ts';
import { reasonOf, VersusError } from '../../src/core/errors.ts';
import { datasetOf } from '../../src/data/samples.ts';
import { defineDataset } from '../../src/index.ts';
import { generate, type Recipe, reader, readManifest, VERSION } from './generate.ts';
import { COLOUR_NAMES, SHAPES } from './scene.ts';

type Label = 'shape' | 'colour' | 'pair';

export interface ShapesOptions extends Partial<Recipe> {
  /**
   * `shape` (default): 8 classes, so that held-out colours of a known shape can be asked; `colour`: 8, told apart from far fewer
   * images; `pair`: 64, like `red circle`.
   */
  readonly label?: Label;
  /** `shapes`, `shapes-colours` with colours and `shapes-pairs` with pairs as labels, unless said otherwise. */
  readonly name?: string;
}

/** The first three rounds over all 64 combinations give every split its images. */
const SMALLEST = 192;
const LARGEST = 1_000_000;
/** Older unfinished folders belong to processes that were killed. */
const STALE_MS = 3600e3;

const PAIRS = SHAPES.flatMap((shape) => COLOUR_NAMES.map((colour) => `${colour} ${shape}`));
/** What the labels name, and which of it a sample is. */
const LABELS: Readonly<Record<Label, { classes: readonly string[]; of(sample: Sample): string }>> = {
  shape: { classes: SHAPES, of: ({ attributes }) => `${attributes?.shape}` },
  colour: { classes: COLOUR_NAMES, of: ({ attributes }) => `${attributes?.colour}` },
  pair: { classes: PAIRS, of: ({ attributes }) => `${attributes?.colour} ${attributes?.shape}` },
};
const NAMES: Readonly<Record<Label, string>> = {
  shape: 'shapes',
  colour: 'shapes-colours',
  pair: 'shapes-pairs',
};

/** The dataset in a finished folder; null when it isn't there or not whole (a file missing or of another size). */
async function readWhole(folder: string, name: string, label: Label): Promise<Dataset | null> {
  try {
    const stored = await readManifest(folder);
    const listed = await reader(folder).prepare(folder);
    if (listed.manifest.sha256 !== stored.listing_sha256) return null;
    const { classes, of } = LABELS[label];
    const splits = new Map<string, readonly Sample[]>();
    for (const split of Object.keys(stored.splits)) {
      const samples = await listed.samples(split);
      splits.set(
        split,
        samples.map((sample) => ({ ...sample, label: classes.indexOf(of(sample)) })),
      );
    }
    const { version, licence, source, sha256 } = stored;
    return datasetOf({ name, version, licence, source, classes, sha256 }, splits);
  } catch {
    return null;
  }
}

/** @throws VersusError `infrastructure` when the folder cannot be made. */
async function makeRoom(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await sweep(folder);
  } catch (error) {
    throw new VersusError('infrastructure', `cannot write the shapes dataset: ${reasonOf(error)}`, {
      where: folder,
      next: 'make the folder writable',
      cause: error,
    });
  }
}

async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.tmp')) continue;
    const full = path.join(folder, name);
    const found = await stat(full).catch(() => null);
    if (found && Date.now() - found.mtimeMs > STALE_MS) await rm(full, { recursive: true, force: true });
  }
}

/**
 * Coloured shapes with captions, attributes, boxes and questions, as PNG and JPEG files under
 * `<root>/shapes/generated/<recipe>/`. Generated on first use, checked (names and sizes) on every later one, generated anew
 * when damaged. Several processes may prepare at once.
 *
 * @throws VersusError `usage` for a size, seed or edge out of range; (by `prepare`) `infrastructure` when the disk refuses.
 */
export function shapes(options: ShapesOptions = {}): DatasetDef {
  const { size = 1280, seed = 0, edge = 128, label = 'shape' } = options;
  const name = options.name ?? NAMES[label];
  const inRange = (value: number, low: number, high: number) =>
    Number.isInteger(value) && value >= low && value <= high;
  if (!inRange(size, SMALLEST, LARGEST) || !inRange(seed, 0, 2 ** 20) || !inRange(edge, 32, 1024)) {
    throw new VersusError('usage', `no shapes dataset of size ${size}, seed ${seed}, edge ${edge}`, {
      next: `size ${SMALLEST}…${LARGEST}, seed 0…${2 ** 20}, edge 32…1024, whole numbers`,
    });
  }
  return defineDataset({
    name,
    description: `${size} generated images of 8 shapes in 8 colours (classes: ${label})`,
    async prepare(root, progress) {
      const parent = path.join(path.resolve(root), 'shapes', 'generated');
      const folder = path.join(parent, `v${VERSION}-n${size}-s${seed}-e${edge}`);
      const found = await readWhole(folder, name, label);
      if (found) return found;
      progress?.(`shapes: generating ${size} images`);
      await makeRoom(parent);
      const read = () => readWhole(folder, name, label);
      await generate(folder, { size, seed, edge }, async () => (await read()) !== null, progress);
      const made = await read();
      if (made) return made;
      throw new VersusError('infrastructure', 'the generated images cannot be read back', {
        where: folder,
        next: 'delete the folder and run again; if it stays, check the disk',
      });
    },
  });
}

export default shapes();
