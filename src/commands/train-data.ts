import { resolve } from 'node:path';
import type { LoadedConfig } from '../config.ts';
import type { Dataset } from '../core/dataset.ts';
import { VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import { unknownName } from '../core/names.ts';
import { random } from '../core/random.ts';
import { BEFORE_IMAGE } from '../data/chat.ts';
import { type Example, examplesOf } from '../training/examples.ts';
import { ofOneSize } from '../training/one-size.ts';
import type { TrainingData } from '../training/run.ts';
import { tokenizerOf } from '../workloads/text.ts';

const TRAIN = 'train';
/** Splits that a training is judged on, the first that there is. */
const HELD_OUT = ['val', 'valid', 'validation', 'test', 'heldout'];
/** Of a dataset in one piece: each so manieth example is held out. */
const SHARE = 10;

/**
 * What a model learns from a dataset of the config, and what is held out: its splits, or where it has only one a tenth of it,
 * drawn the same way every time.
 * @throws VersusError `usage` for an unknown dataset, or one without anything that the model learns from
 */
export async function trainingData(
  loaded: LoadedConfig,
  model: ModelDef,
  graphs: Readonly<Record<string, Graph>>,
  name: string | undefined,
  progress: (text: string) => void,
): Promise<TrainingData> {
  const { datasets } = loaded.config;
  const names = datasets.map((d) => d.name);
  const chosen = name ?? usual(names, model, graphs);
  const def = datasets.find((d) => d.name === chosen);
  if (!def) {
    if (chosen !== undefined) throw unknownName('dataset', chosen, names);
    throw new VersusError('usage', 'which dataset is the model to learn from?', {
      next: `name one with --dataset: ${names.join(', ') || 'the config has none'}`,
    });
  }
  const dataset = await def.prepare(resolve(loaded.dir, 'datasets'), progress);
  const examples = (split: string): Promise<Example[]> =>
    examplesOf(model, Object.keys(graphs), dataset, split);
  const [all, held] = await divided(dataset, examples);
  const [training, heldOut] = (model.tiling ? await ofOneSize(all, held) : [all, held]) as [
    Example[],
    Example[],
  ];
  if (training.length < all.length)
    progress(`${training.length} of ${all.length} examples have images of one size, and are learnt from`);
  const { sha256 } = dataset.manifest;
  return {
    about: { name: dataset.name, sha256, examples: training.length, heldOut: heldOut.length },
    ...{ training, heldOut, reading: await readingOf(model, graphs) },
  };
}

/** A dataset for those who name none: that of texts for what reads alone, that of images for the rest, or the only one. */
function usual(
  names: readonly string[],
  model: ModelDef,
  graphs: Readonly<Record<string, Graph>>,
): string | undefined {
  const wanted = model.task === 'generate' && !graphs.vision ? 'stories' : 'shapes';
  return names.includes(wanted) ? wanted : names.length === 1 ? names[0] : undefined;
}

async function divided(
  { manifest, name }: Dataset,
  examples: (split: string) => Promise<Example[]>,
): Promise<readonly [Example[], Example[]]> {
  const splits = Object.keys(manifest.splits);
  const split = splits.includes(TRAIN) ? TRAIN : splits.length === 1 ? splits[0]! : undefined;
  if (split === undefined) {
    throw new VersusError('usage', `dataset ${name} has no split ${TRAIN}`, {
      where: `splits: ${splits.join(', ')}`,
      next: 'name the split to learn from so',
    });
  }
  const held = HELD_OUT.find((s) => s !== split && splits.includes(s));
  if (held !== undefined) return [await examples(split), await examples(held)];
  const all = random(0).shuffle(await examples(split));
  const kept = all.length > 1 ? Math.ceil(all.length / SHARE) : 0;
  return [all.slice(kept), all.slice(0, kept)];
}

/** Its tokenizer, and what is said ahead of an image. */
async function readingOf(
  model: ModelDef,
  graphs: Readonly<Record<string, Graph>>,
): Promise<TrainingData['reading']> {
  const reader = Object.entries(graphs).find(([, graph]) => graph.inputs.some((i) => i.name === 'input_ids'));
  if (!reader) return {};
  const tokenizer = await tokenizerOf(model, reader[0], undefined);
  const sees = graphs.vision !== undefined && model.task === 'generate' && !graphs.encoder;
  return { tokenizer, ...(sees && { before: BEFORE_IMAGE }) };
}
