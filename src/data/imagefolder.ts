import type { Dirent } from 'node:fs';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { DatasetDef, Sample } from '../core/dataset.ts';
import { reasonOf, VersusError } from '../core/errors.ts';
import { type Folder, openFolder } from './folder.ts';
import { IMAGE_ENDINGS } from './image.ts';
import { datasetOf, listingHash, MAX_SAMPLES, reportSkipped, type Unreadable } from './samples.ts';

export interface ImageFolderOptions {
  /** Names of split folders; without it, folders called like splits are taken as such, else everything is one split `all`. */
  readonly splits?: readonly string[];
  /** Readable names by folder, e.g. `{ n01440764: 'tench' }`; the folder's name when left out. */
  readonly classNames?: Readonly<Record<string, string>>;
  /** `skip` leaves files out that are missing, empty or lead outside, and says so; `fail` (default) throws at the first. */
  readonly unreadable?: Unreadable;
  readonly licence?: string;
}

const SPLITS = new Set(['train', 'val', 'valid', 'validation', 'test', 'heldout']);
const MAX_DEPTH = 8;

/** By code point, so that class numbers don't depend on the machine's language. */
const byName = (a: Dirent, b: Dirent) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

function entries(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((e) => !e.name.startsWith('.'))
      .sort(byName);
  } catch (error) {
    throw new VersusError('input', `cannot list dataset folder: ${reasonOf(error)}`, {
      where: folder,
      next: 'check its permissions',
      cause: error,
    });
  }
}

const foldersIn = (folder: string): string[] =>
  entries(folder)
    .filter((e) => e.isDirectory())
    .map((e) => e.name);

/** Relative names of the images below `base`, depth first in name order. Linked folders are not entered: they may be cycles. */
function* imagesIn(root: string, base: string, depth = 0): Generator<string> {
  for (const entry of entries(path.join(root, base))) {
    const name = path.join(base, entry.name);
    if (entry.isDirectory()) {
      if (depth >= MAX_DEPTH) {
        throw new VersusError('input', `dataset folders are nested deeper than ${MAX_DEPTH}`, {
          where: path.join(root, name),
          next: 'point at the folder that holds the class folders',
        });
      }
      yield* imagesIn(root, name, depth + 1);
    } else if (IMAGE_ENDINGS.has(path.extname(entry.name).toLowerCase())) {
      yield name;
    }
  }
}

function splitsOf(folder: Folder, options: ImageFolderOptions): ReadonlyMap<string, string> {
  if (options.splits) return new Map(options.splits.map((name) => [name, name]));
  const names = foldersIn(folder.root);
  return names.length > 0 && names.every((name) => SPLITS.has(name))
    ? new Map(names.map((name) => [name, name]))
    : new Map([['all', '.']]);
}

/**
 * Images in one folder per class, the layout of ImageNet and torchvision's ImageFolder: `dir/[split/]class/**.jpg`. Classes
 * are numbered in code-point order over all splits; samples come in name order. No file is decoded here.
 *
 * `manifest.sha256` is of names and sizes, not contents: hashing an ImageNet takes minutes.
 *
 * @param dir absolute, or relative to the datasets folder
 * @throws VersusError (by `prepare`) `input`: no such folder, no classes, no images, or a file that cannot be used.
 */
export function imageFolder(name: string, dir: string, options: ImageFolderOptions = {}): DatasetDef {
  return {
    name,
    description: `images by class folder in ${dir}`,
    async prepare(root, progress) {
      const folder = openFolder(path.resolve(root, dir));
      const splits = splitsOf(folder, options);
      const folders = [...splits].map(([split, base]) => ({
        split,
        base: base === '.' ? '' : base,
        classes: foldersIn(path.join(folder.root, base)),
      }));
      const classes = [...new Set(folders.flatMap((f) => f.classes))].sort();
      const hash = listingHash();
      const skipped: string[] = [];
      const bySplit = new Map<string, Sample[]>();
      let total = 0;
      for (const { split, base, classes: own } of folders) {
        const samples: Sample[] = [];
        for (const className of own) {
          const label = classes.indexOf(className);
          for (const id of imagesIn(folder.root, path.join(base, className))) {
            try {
              const file = folder.file(id);
              hash.add(id, file.bytes);
              samples.push({ id, image: file.path, label });
            } catch (error) {
              if (options.unreadable !== 'skip') throw error;
              skipped.push(reasonOf(error));
            }
            if (++total > MAX_SAMPLES) {
              throw new VersusError('input', `more than ${MAX_SAMPLES} images`, { where: folder.root });
            }
          }
        }
        bySplit.set(split, samples);
      }
      reportSkipped(name, skipped, progress);
      if ([...bySplit.values()].every((samples) => samples.length === 0)) {
        throw new VersusError('input', 'no images in class folders', {
          where: folder.root,
          next: `expected ${folder.root}/<class>/<image> or ${folder.root}/<split>/<class>/<image>`,
        });
      }
      return datasetOf(
        {
          name,
          version: '1',
          licence: options.licence ?? 'unknown',
          source: `${folder.root} (sha256 of names and sizes)`,
          classes: classes.map((c) => options.classNames?.[c] ?? c),
          sha256: hash.digest(),
        },
        bySplit,
      );
    },
  };
}
