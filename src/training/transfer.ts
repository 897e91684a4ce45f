import type { Dataset, Sample } from '../core/dataset.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { imageSize } from '../data/image.ts';
import { imageOf } from '../data/samples.ts';
import { type Example, examplesOf } from './examples.ts';

/**
 * A task, by a word: for a classifier the attribute that it names (`colour`), for a model that answers the questions that hold
 * the word. Left out, it is all that the dataset has to learn from.
 */
export interface Tasks {
  /** What is learnt. */
  readonly target?: string;
  /** What the model knew before. */
  readonly base?: string;
  /** Height and width of the images that are taken, for a model that takes images of any size: a batch has one. */
  readonly image?: readonly [height: number, width: number];
}

/** Examples for fine-tuning and for what it is judged by. */
export interface Transfer {
  readonly train: readonly Example[];
  /** Of the same task, unseen. */
  readonly test: readonly Example[];
  /** Of what the model knew before; empty where that is not told. */
  readonly base: readonly Example[];
}

/** Image headers that are read at most to find images of one size. */
const MOST_HEADERS = 2000;

/**
 * @param graphs names of the model's graphs
 * @param classes how many classes a label may name; null for a model that answers
 * @throws VersusError `usage` for a task that the dataset has nothing of, or more classes than the model has logits
 */
export async function transferOf(
  model: ModelDef,
  graphs: readonly string[],
  dataset: Dataset,
  { target, base, image }: Tasks,
  classes: number | null,
): Promise<Transfer> {
  const all = async (split: string, task: string | undefined, own: boolean): Promise<Example[]> => {
    if (model.task === 'classify' && task !== undefined && !own) {
      return byAttribute(await dataset.samples('train'), await dataset.samples(split), task);
    }
    const examples = await examplesOf(model, graphs, dataset, split);
    return model.task === 'classify' || task === undefined
      ? examples
      : examples.filter((e) => e.prompt?.toLowerCase().includes(task.toLowerCase()));
  };
  const sized = async (examples: Example[]): Promise<Example[]> =>
    image ? ofSize(examples, image) : examples;
  const found = {
    train: await sized(await all('train', target, false)),
    test: await sized(await all('test', target, false)),
    base: base === undefined ? [] : await sized(await all('test', base, true)),
  };
  if (found.train.length === 0) {
    throw new VersusError('usage', `the dataset ${dataset.name} has nothing to learn about '${target}'`, {
      where: model.name,
      next: 'name an attribute of its samples, or a word of its questions',
    });
  }
  const highest = Math.max(...found.train.map(({ label = 0 }) => label));
  if (classes !== null && highest >= classes) {
    throw new VersusError(
      'usage',
      `'${target}' has ${highest + 1} classes, and the model ${classes} logits`,
      {
        where: model.name,
        next: 'choose another attribute',
      },
    );
  }
  return found;
}

/** Labels are the places of an attribute's values among all that training shows, in alphabetical order. */
function byAttribute(train: readonly Sample[], samples: readonly Sample[], attribute: string): Example[] {
  const placeOf = ({ attributes }: Sample): string | null => {
    const value = attributes?.[attribute];
    return value === undefined ? null : String(value);
  };
  const values = [...new Set(train.flatMap((sample) => placeOf(sample) ?? []))].sort();
  return samples.flatMap((sample) => {
    const label = values.indexOf(placeOf(sample) ?? '');
    return label === -1 ? [] : [{ sample, label }];
  });
}

async function ofSize(examples: readonly Example[], [height, width]: readonly number[]): Promise<Example[]> {
  const fits = new Map<string, boolean>();
  const kept: Example[] = [];
  for (const example of examples) {
    const { sample } = example;
    if (!sample) continue;
    if (!fits.has(sample.id)) {
      if (fits.size >= MOST_HEADERS) break;
      const size = await imageSize(imageOf(sample));
      fits.set(sample.id, size.height === height && size.width === width);
    }
    if (fits.get(sample.id)) kept.push(example);
  }
  return kept;
}
