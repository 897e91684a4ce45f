import { createHash } from 'node:crypto';
import type { Dataset, Manifest, Sample } from '../core/dataset.ts';
import { VersusError } from '../core/errors.ts';

/** The image file of a sample. @throws VersusError `usage` for a sample of a dataset of texts */
export function imageOf({ id, image }: Sample): string {
  if (image !== undefined) return image;
  throw new VersusError('usage', `the sample ${id} has no image`, { next: 'name a dataset of images' });
}

/** What happens to a sample whose file is missing, empty or outside the folder. */
export type Unreadable = 'fail' | 'skip';

/** Most samples that a reader holds in memory: ImageNet-21k has 14 million, about 3 GB of names. */
export const MAX_SAMPLES = 20e6;

/** Identity of a dataset whose files are too many to hash whenever a worker starts: names and sizes, in sample order. */
export function listingHash(): { add(name: string, bytes: number): void; digest(): string } {
  const hash = createHash('sha256');
  return {
    add: (name, bytes) => {
      hash.update(`${bytes} ${name}\n`);
    },
    digest: () => hash.digest('hex'),
  };
}

/** A dataset whose samples are already in memory. */
export function datasetOf(
  manifest: Omit<Manifest, 'splits'>,
  splits: ReadonlyMap<string, readonly Sample[]>,
): Dataset {
  const counts = Object.fromEntries([...splits].map(([name, samples]) => [name, samples.length]));
  return {
    name: manifest.name,
    manifest: { ...manifest, splits: counts },
    async samples(split) {
      const found = splits.get(split);
      if (found) return found;
      throw new VersusError('usage', `dataset ${manifest.name} has no split ${JSON.stringify(split)}`, {
        next: `its splits are ${[...splits.keys()].join(', ')}`,
      });
    },
  };
}

/** Says once what was left out, with the first few reasons. */
export function reportSkipped(
  dataset: string,
  skipped: readonly string[],
  progress: ((text: string) => void) | undefined,
): void {
  if (skipped.length === 0) return;
  const more = skipped.length > 3 ? `; and ${skipped.length - 3} more` : '';
  progress?.(`${dataset}: ${skipped.length} files left out: ${skipped.slice(0, 3).join('; ')}${more}`);
}
