import type { Dataset, Sample } from '../core/dataset.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { asked } from '../data/chat.ts';

/** One thing to learn from; what it holds depends on the task. */
export interface Example {
  /** What holds the image. */
  readonly sample?: Sample;
  /** Logit of its class. */
  readonly label?: number;
  /** Logit of the class that a teacher chose, whatever the label is. */
  readonly taught?: number;
  /** Text that is given, such as a question: nothing is learnt of it. */
  readonly prompt?: string;
  /** Text that is learnt: a caption, an answer, a story. */
  readonly text?: string;
}

/**
 * What a model may learn from a split: a classifier its labels (matched by name where the model has class names), a contrastive
 * model its captions, a language model its texts and the questions about them, one that sees its captions and questions, each
 * as an example of its own.
 *
 * @param graphs names of the model's graphs
 * @throws VersusError `usage` when the samples hold nothing of the kind, or labels that model or dataset don't have
 */
export async function examplesOf(
  model: ModelDef,
  graphs: readonly string[],
  dataset: Dataset,
  split: string,
): Promise<Example[]> {
  const samples = await dataset.samples(split);
  const examples = kindOf(model, graphs, dataset)(samples);
  if (examples.length > 0) return examples;
  throw new VersusError(
    'usage',
    `split ${split} of ${dataset.name} holds nothing that ${model.name} learns from`,
    {
      where: `${samples.length} samples; the task is ${model.task}`,
      next: 'a classifier needs labels, a contrastive model captions, a language model texts or questions',
    },
  );
}

type Reading = (samples: readonly Sample[]) => Example[];

function kindOf(model: ModelDef, graphs: readonly string[], dataset: Dataset): Reading {
  if (model.task === 'classify') return labelled(model, dataset);
  if (model.task === 'embed') return captioned;
  if (!graphs.includes('vision')) return told;
  return graphs.includes('encoder') ? answered((question) => question) : answered(asked);
}

function labelled(model: ModelDef, { name, manifest }: Dataset): Reading {
  const logits = manifest.classes.map((c, i) => (model.classes ? model.classes.indexOf(c) : i));
  const unknown = manifest.classes.filter((_, i) => logits[i] === -1);
  if (unknown.length > 0) {
    throw new VersusError('usage', `${model.name} has no class ${unknown.join(', ')}`, {
      where: `dataset ${name}`,
      next: 'train a model without class names, or with those of the dataset',
    });
  }
  return (samples) =>
    samples.flatMap((sample) => {
      if (sample.label === undefined) return [];
      const label = logits[sample.label];
      if (label !== undefined) return [{ sample, label }];
      throw new VersusError(
        'usage',
        `sample ${sample.id} has label ${sample.label}, and there are ${logits.length} classes`,
        { where: `dataset ${name}`, next: `labels go from 0 to ${logits.length - 1}` },
      );
    });
}

const captioned: Reading = (samples) =>
  samples.flatMap((sample) => (sample.caption === undefined ? [] : [{ sample, text: sample.caption }]));

/** Texts, and every question: it stands with all that it is about. */
const told: Reading = (samples) =>
  samples.flatMap(({ text, questions = [] }) => [
    ...(text === undefined ? [] : [{ text }]),
    ...questions.map(({ question, answer }) => ({ prompt: question, text: answer })),
  ]);

const DESCRIBE = 'Describe the image.';

const answered =
  (put: (question: string) => string): Reading =>
  (samples) =>
    samples.flatMap((sample) => [
      ...(sample.caption === undefined ? [] : [{ sample, prompt: put(DESCRIBE), text: sample.caption }]),
      ...(sample.questions ?? []).map((q) => ({ sample, prompt: put(q.question), text: q.answer })),
    ]);
