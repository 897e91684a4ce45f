import type { Dataset, Sample } from '../core/dataset.ts';
import type { ImagePreprocess, ModelDef } from '../core/model.ts';
import type { Tensor } from '../core/tensor.ts';
import { toNumbers } from '../core/tensor.ts';
import type { Score } from '../core/workload.ts';
import { loadBatches } from '../data/loader.ts';

/** Logit index of every class of the dataset, or null when the model doesn't know them all by name. */
export function logitOfClass(model: ModelDef, dataset: Dataset): readonly number[] | null {
  const logits = dataset.manifest.classes.map((name) => model.classes?.indexOf(name) ?? -1);
  return logits.length === 0 || logits.includes(-1) ? null : logits;
}

/** How many logits of a row exceed the target's, ties by lower index first; 0 means top-1 is right. */
export function rankOf(row: ArrayLike<number>, target: number): number {
  let rank = 0;
  const own = row[target]!;
  for (let i = 0; i < row.length; i++) {
    if (row[i]! > own || (row[i]! === own && i < target)) rank++;
  }
  return rank;
}

/**
 * Top-1, and top-5 from six classes on, over labelled samples. A short last batch is filled up with its first sample,
 * so that graphs with a fixed batch can be scored too.
 *
 * @param classify float32 [batch, 3, H, W] → logits [batch, classes]
 * @param targets logit index by sample
 */
export async function scoreAccuracy(
  samples: readonly Sample[],
  spec: ImagePreprocess,
  batch: number,
  classify: (images: Tensor) => Promise<Tensor>,
  targets: (sample: Sample) => number,
): Promise<Score[]> {
  const padding = (batch - (samples.length % batch)) % batch;
  const padded = [...samples, ...Array.from({ length: padding }, () => samples[0]!)];
  const ranks: number[] = [];
  let classes = 0;
  for await (const { images, samples: part } of loadBatches(padded, spec, { batch })) {
    const logits = await classify(images);
    const values = toNumbers(logits);
    classes = values.length / batch;
    part.forEach((sample, i) => {
      ranks.push(rankOf(values.subarray(i * classes, (i + 1) * classes), targets(sample)));
    });
  }
  ranks.length = samples.length;
  const score = (metric: string, below: number): Score => {
    const correct = ranks.map((rank) => rank < below);
    return { metric, value: correct.filter(Boolean).length / ranks.length, n: ranks.length, correct };
  };
  return classes > 5 ? [score('top1', 1), score('top5', 5)] : [score('top1', 1)];
}

/** The first samples of a split that carry a label. */
export async function labelledOf(dataset: Dataset, split: string, count = 1000): Promise<readonly Sample[]> {
  return (await dataset.samples(split)).slice(0, count).filter((s) => s.label !== undefined);
}

/** Scores of what training never showed, under names of their own. */
export const asUnseen = (scores: readonly Score[]): Score[] =>
  scores.flatMap((score) => (score.metric === 'top1' ? [{ ...score, metric: UNSEEN }] : []));

/** Top-1 on the split `unseen` of a workload's parameters. */
export const UNSEEN = 'unseen_top1';
