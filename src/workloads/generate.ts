import type { Sample } from '../core/dataset.ts';
import { VersusError } from '../core/errors.ts';
import type { Score, Workload } from '../core/workload.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { checkContext } from './context.ts';
import {
  forcedLogits,
  generateSteps,
  type Language,
  languageGraphs,
  languageMacs,
  languageMetrics,
  openLanguage,
} from './language.ts';
import { exactly, tokenizerOf } from './text.ts';
import {
  ANSWERS,
  answersScore,
  ended,
  NEXT_TOKEN,
  nextTokenScore,
  PERPLEXITY,
  perplexityScore,
  type Told,
  tell,
} from './told.ts';

export interface GenerateParams {
  /** Tokens of the prompt, per sequence: the text is repeated or cut to this, so that models with other tokenizers do equal work. */
  readonly promptTokens: number;
  /** Tokens to make, the prefill's included. */
  readonly newTokens: number;
  readonly prompt?: string;
  /** A tokenizer.json or its folder; bytes when left out. */
  readonly tokenizer?: string;
  /** Texts with questions that quality is scored on where the weights are trained; `split` is `test` when left out. */
  readonly dataset?: string;
  readonly split?: string;
  /** From the start of the split; 100 when left out. */
  readonly samples?: number;
}

/** Texts and answers of a dataset, each token foretold by those before it. */
async function scoresOf(
  language: Language,
  tokenizer: Tokenizer,
  samples: readonly Sample[],
  batch: number,
): Promise<Score[]> {
  const [texts, answers]: [Told[], Told[]] = [[], []];
  for (const { text, questions = [] } of samples) {
    const [first, ...rest] = text === undefined ? [] : ended(tokenizer, text);
    if (first !== undefined && rest.length > 0) texts.push(await tell(language, [first], rest, batch));
    for (const { question, answer } of questions) {
      answers.push(await tell(language, tokenizer.encode(question), ended(tokenizer, answer), batch));
    }
  }
  return [
    ...(answers.length > 0 ? [answersScore(answers)] : []),
    ...(texts.length > 0 ? [nextTokenScore(texts), perplexityScore(texts)] : []),
  ];
}

const PROMPT =
  'Compare a convolutional network with a vision transformer: what does each assume about images, ' +
  'what does that cost in data and compute, and which would you deploy on a small machine?';

/** @throws VersusError `usage` for numbers that make no text. */
export function checkLengths(params: { promptTokens: number; newTokens: number }): void {
  for (const field of ['promptTokens', 'newTokens'] as const) {
    const value = params[field];
    if (!Number.isInteger(value) || value < 1) {
      throw new VersusError('usage', `${field} is ${value}`, { next: 'give a whole number from 1 on' });
    }
  }
}

/**
 * Greedy text generation with a KV cache, on a language model or on the language part of a vision-language model, so that
 * both can be asked the same: time to first token, time per output token, and the rates of both phases. The vision part of a
 * vision-language model is opened too, though text never runs through it: whoever serves the model holds it in memory.
 */
export const generate: Workload<GenerateParams> = {
  name: 'generate',
  metrics: [...languageMetrics(), ANSWERS, NEXT_TOKEN, PERPLEXITY],

  macs: (params, batch, model) => languageMacs(model, batch, params.promptTokens, params.newTokens),

  async open(job) {
    const { params, batch, model } = job;
    checkLengths(params);
    checkContext(model, params);
    const { tokens, vision } = await languageGraphs(model);
    const tokenizer = await tokenizerOf(model, tokens, params.tokenizer);
    const sequence = exactly(tokenizer.encode(params.prompt ?? PROMPT), params.promptTokens);
    const prompt = Array.from({ length: batch }, () => sequence).flat();
    const dataset = params.dataset !== undefined && job.trained ? await job.dataset(params.dataset) : null;
    const samples = (await dataset?.samples(params.split ?? 'test'))?.slice(0, params.samples ?? 100);
    const resident = vision === null ? null : await job.open(vision);
    const language = await openLanguage(job);
    return {
      steps: () => generateSteps(language, prompt, batch, params.newTokens),
      outputs: () => forcedLogits(language, prompt, batch),
      ...(samples && { scores: () => scoresOf(language, tokenizer, samples, batch) }),
      async close() {
        await language.close();
        await resident?.close();
      },
    };
  },
};
