import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset, DatasetDef, Sample } from '../../src/core/dataset.ts';
import { reasonOf, VersusError } from '../../src/core/errors.ts';
import { datasetOf } from '../../src/data/samples.ts';
import { defineDataset } from '../../src/index.ts';
import { SPLITS, splitOf, storyAt } from './grammar.ts';

export interface StoriesOptions {
  /** Stories that are drawn; equal ones are kept once. */
  readonly size?: number;
  readonly seed?: number;
  /** As suites name it; `stories` when left out. */
  readonly name?: string;
}

/** Counts up whenever a sentence or the layout changes. */
const VERSION = '1';
const LICENCE = 'CC0-1.0';
const SMALLEST = 1000;
const LARGEST = 1_000_000;

interface Line extends Pick<Sample, 'text' | 'questions'> {
  readonly id: string;
  readonly split: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Every story once, in the order in which they are drawn, with its question behind it. */
function linesOf(size: number, seed: number): Line[] {
  const seen = new Set<string>();
  const lines: Line[] = [];
  for (let index = 0; index < size; index++) {
    const story = storyAt(index, seed);
    const question = `${story.text} ${story.question}`;
    if (seen.has(question)) continue;
    seen.add(question);
    lines.push({
      id: `${index}`,
      split: splitOf(story),
      text: `${question} ${story.answer}`,
      questions: [{ question, answer: story.answer }],
      attributes: { kind: story.kind },
    });
  }
  return lines;
}

const bytesOf = (lines: readonly Line[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join('');
const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The dataset in a finished folder; null when it isn't there, or not what was written. */
async function readWhole(folder: string, name: string): Promise<Dataset | null> {
  try {
    const manifest = JSON.parse(await readFile(path.join(folder, 'manifest.json'), 'utf8')) as {
      sha256: string;
    };
    const text = await readFile(path.join(folder, 'samples.jsonl'), 'utf8');
    if (digest(text) !== manifest.sha256) return null;
    const lines = text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
    const splits = new Map(
      SPLITS.map((split) => [split, lines.filter((line) => line.split === split) as readonly Sample[]]),
    );
    const about = { name, version: VERSION, licence: LICENCE, classes: [] };
    const source = `datasets/stories, generator version ${VERSION}`;
    return datasetOf({ ...about, source, sha256: manifest.sha256 }, splits);
  } catch {
    return null;
  }
}

/** Both files in a folder of their own, moved in place whole; of several processes the first wins. */
async function write(folder: string, size: number, seed: number): Promise<void> {
  const own = `${folder}.${process.pid}-${Date.now()}.tmp`;
  try {
    const lines = linesOf(size, seed);
    const text = bytesOf(lines);
    const splits = Object.fromEntries(SPLITS.map((s) => [s, lines.filter((l) => l.split === s).length]));
    const manifest = {
      ...{ name: 'stories', version: VERSION, licence: LICENCE, recipe: { size, seed } },
      ...{ splits, sha256: digest(text) },
    };
    await mkdir(own, { recursive: true });
    await writeFile(path.join(own, 'samples.jsonl'), text);
    await writeFile(path.join(own, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    await rm(folder, { recursive: true, force: true });
    await rename(own, folder);
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) return;
    throw new VersusError('infrastructure', `cannot write the stories dataset: ${reasonOf(error)}`, {
      where: folder,
      next: 'free some disk space, or make the folder writable',
      cause: error,
    });
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

/**
 * Short English stories about counts, changes, places and owners of coloured shapes, each with a question that it answers:
 * the text of a language model. `text` ends with question and answer; `questions` hold them apart. Generated on first use
 * under `<root>/stories/generated/<recipe>/`, checked by its sha256 on every later one.
 *
 * @throws VersusError `usage` for a size or seed out of range; (by `prepare`) `infrastructure` when the disk refuses.
 */
export function stories(options: StoriesOptions = {}): DatasetDef {
  const { size = 24_000, seed = 0, name = 'stories' } = options;
  const whole = (value: number, low: number, high: number) =>
    Number.isInteger(value) && value >= low && value <= high;
  if (!whole(size, SMALLEST, LARGEST) || !whole(seed, 0, 2 ** 20)) {
    throw new VersusError('usage', `no stories dataset of size ${size}, seed ${seed}`, {
      next: `size ${SMALLEST}…${LARGEST}, seed 0…${2 ** 20}, whole numbers`,
    });
  }
  return defineDataset({
    name,
    description: `${size} generated stories of two or three sentences, each with a question and its answer`,
    async prepare(root, progress) {
      const folder = path.join(path.resolve(root), 'stories', 'generated', `v${VERSION}-n${size}-s${seed}`);
      const found = await readWhole(folder, name);
      if (found) return found;
      progress?.(`stories: generating ${size} stories`);
      await write(folder, size, seed);
      const made = await readWhole(folder, name);
      if (made) return made;
      throw new VersusError('infrastructure', 'the generated stories cannot be read back', {
        where: folder,
        next: 'delete the folder and run again; if it stays, check the disk',
      });
    },
  });
}

export default stories();
