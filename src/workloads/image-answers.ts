import type { Session } from '../core/backend.ts';
import type { Sample } from '../core/dataset.ts';
import type { ModelDef } from '../core/model.ts';
import type { Job, Metric, Score } from '../core/workload.ts';
import { asked } from '../data/chat.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { onlyOutput } from './decoder.ts';
import { type ImageParams, imageRun, type Load } from './image-source.ts';
import { type Language, languageGraphs } from './language.ts';
import { spliceFeatures } from './splice.ts';
import { ANSWERS, answersScore, ended, type Told, tell } from './told.ts';

/** Answers about what training never showed. */
export const UNSEEN_ANSWERS: Metric = { ...ANSWERS, name: 'unseen_answers' };

interface Seeing {
  readonly vision: Session;
  readonly language: Language;
  readonly load: Load;
  readonly model: ModelDef;
  readonly tokenizer: Tokenizer;
  /** Tokens ahead of the image. */
  readonly before: readonly number[];
  readonly batch: number;
}

type Params = ImageParams & { readonly samples?: number; readonly unseen?: string };

/** What quality is scored on, by metric: the first samples of the splits that have questions; null where none has. */
export async function scoredSplits(job: Job<Params>): Promise<ReadonlyMap<string, readonly Sample[]> | null> {
  const { dataset: name, split = 'test', unseen, samples = 100 } = job.params;
  if (name === undefined) return null;
  const dataset = await job.dataset(name);
  const found = new Map<string, readonly Sample[]>();
  for (const [metric, of] of [
    [ANSWERS.name, split],
    [UNSEEN_ANSWERS.name, unseen],
  ] as const) {
    const all = of === undefined ? [] : await dataset.samples(of);
    const asking = all.filter(({ questions = [] }) => questions.length > 0).slice(0, samples);
    if (asking.length > 0) found.set(metric, asking);
  }
  return found.size > 0 ? found : null;
}

/** Of each image one of its questions, the kinds in turn. */
export async function scoresOf(
  seeing: Seeing,
  splits: ReadonlyMap<string, readonly Sample[]>,
): Promise<Score[]> {
  const { encoder } = await languageGraphs(seeing.model);
  const scores: Score[] = [];
  for (const [metric, samples] of splits) {
    const told: Told[] = [];
    for (const [i, sample] of samples.entries()) {
      const { question, answer } = sample.questions![i % sample.questions!.length]!;
      told.push(await answered(seeing, sample, encoder === null ? asked(question) : question, answer));
    }
    scores.push({ ...answersScore(told), metric });
  }
  return scores;
}

async function answered(
  { vision, language, load, model, tokenizer, before, batch }: Seeing,
  sample: Sample,
  question: string,
  answer: string,
): Promise<Told> {
  const feeds = await load(Array.from({ length: batch }, () => sample));
  const features = onlyOutput(vision, await vision.run(feeds));
  const rows = features.shape.length === 3 ? features.shape[1]! : features.shape[0]! / batch;
  const after = tokenizer.encode(question);
  const prompt = [...before, ...new Array<number>(rows).fill(0), ...after];
  const runs = [{ text: before.length }, imageRun(model.tiling, feeds, rows), { text: after.length }];
  const splice = (embeds: typeof features) => spliceFeatures(embeds, features, before.length);
  return tell(language, prompt, ended(tokenizer, answer), batch, { splice, runs });
}
