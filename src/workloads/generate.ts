import { VersusError } from '../core/errors.ts';
import type { Workload } from '../core/workload.ts';
import { checkContext } from './context.ts';
import {
  forcedLogits,
  generateSteps,
  languageGraphs,
  languageMacs,
  languageMetrics,
  openLanguage,
} from './language.ts';
import { exactly, tokenizerOf } from './text.ts';

export interface GenerateParams {
  /** Tokens of the prompt, per sequence: the text is repeated or cut to this, so that models with other tokenizers do equal work. */
  readonly promptTokens: number;
  /** Tokens to make, the prefill's included. */
  readonly newTokens: number;
  readonly prompt?: string;
  /** A tokenizer.json or its folder; bytes when left out. */
  readonly tokenizer?: string;
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
  metrics: languageMetrics(),

  macs: (params, batch, model) => languageMacs(model, batch, params.promptTokens, params.newTokens),

  async open(job) {
    const { params, batch, model } = job;
    checkLengths(params);
    checkContext(model, params);
    const { tokens, vision } = await languageGraphs(model);
    const tokenizer = await tokenizerOf(model, tokens, params.tokenizer);
    const sequence = exactly(tokenizer.encode(params.prompt ?? PROMPT), params.promptTokens);
    const prompt = Array.from({ length: batch }, () => sequence).flat();
    const resident = vision === null ? null : await job.open(vision);
    const language = await openLanguage(job);
    return {
      steps: () => generateSteps(language, prompt, batch, params.newTokens),
      outputs: () => forcedLogits(language, prompt, batch),
      async close() {
        await language.close();
        await resident?.close();
      },
    };
  },
};
