import type { Tensor } from '../core/tensor.ts';
import { toNumbers } from '../core/tensor.ts';
import type { Metric, Score } from '../core/workload.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { lastLogits } from './decoder.ts';
import { release } from './kept.ts';
import type { Insertion, Language } from './language.ts';

/** How a model takes a text that is known: what it gave each token, and whether it would have said it. */
export interface Told {
  /** −log p of each token, in nats. */
  readonly surprise: readonly number[];
  /** Whether each was the likeliest; where all are, greedy decoding makes this very text. */
  readonly foreseen: readonly boolean[];
}

/** −log p of a token, and whether no other is likelier (the lowest id among equals). */
function judge(row: Float64Array, token: number): readonly [surprise: number, foreseen: boolean] {
  let [high, best] = [Number.NEGATIVE_INFINITY, 0];
  for (let v = 0; v < row.length; v++) {
    if (row[v]! > high) [high, best] = [row[v]!, v];
  }
  let sum = 0;
  for (let v = 0; v < row.length; v++) sum += Math.exp(row[v]! - high);
  return [Math.log(sum) + high - row[token]!, best === token];
}

/**
 * Feeds a prompt, then a text one token after the other whatever the model would have said, and judges each token of the
 * text. Every row of a batch gets the same; the first one is read.
 */
export async function tell(
  language: Language,
  prompt: readonly number[],
  text: readonly number[],
  batch: number,
  image?: Insertion,
): Promise<Told> {
  const [surprise, foreseen]: [number[], boolean[]] = [[], []];
  const rows = (ids: readonly number[]) => Array.from({ length: batch }, () => ids).flat();
  let cache = language.emptyCache(batch, image);
  let ids: readonly number[] = rows(prompt);
  try {
    for (const token of text) {
      const call = language.prepare(ids, batch, cache, surprise.length === 0 ? image : undefined);
      const { host, kept } = await call();
      const [own, likeliest] = judge(firstRow(lastLogits(host)), token);
      surprise.push(own);
      foreseen.push(likeliest);
      const after = language.advance(cache, kept, ids.length / batch);
      release(cache.tensors, after.tensors);
      release(kept, after.tensors);
      cache = after;
      ids = rows([token]);
    }
  } finally {
    release(cache.tensors);
  }
  return { surprise, foreseen };
}

const firstRow = (logits: Tensor): Float64Array => toNumbers(logits).subarray(0, logits.shape[1]);

/** A text and, where the tokenizer has one, the token that ends it: saying too much is wrong too. */
export const ended = (tokenizer: Tokenizer, text: string): number[] => [
  ...tokenizer.encode(text),
  ...(tokenizer.end === null ? [] : [tokenizer.end]),
];

const score = (name: string, unit: string, better: Metric['better']): Metric => ({
  ...{ name, unit, better, assume: 'exact', of: 'score' },
});

/** Of answers to questions, and of the texts around them. */
export const ANSWERS = score('answers', 'share', 'higher');
export const NEXT_TOKEN = score('next_token', 'share', 'higher');
export const PERPLEXITY = score('perplexity', 'ppl', 'lower');

/** Share of answers that greedy decoding gives word for word, end included. */
export function answersScore(told: readonly Told[]): Score {
  const correct = told.map(({ foreseen }) => foreseen.every(Boolean));
  return {
    ...{ metric: ANSWERS.name, value: correct.filter(Boolean).length / correct.length },
    ...{ n: correct.length, correct },
  };
}

/** Share of tokens that were the likeliest, each a sample of its own. */
export function nextTokenScore(told: readonly Told[]): Score {
  const correct = told.flatMap(({ foreseen }) => foreseen);
  return {
    ...{ metric: NEXT_TOKEN.name, value: correct.filter(Boolean).length / correct.length },
    ...{ n: correct.length, correct },
  };
}

/**
 * exp of the mean surprise per token. The interval takes texts, not tokens, for independent: the mean is a ratio of two sums
 * over texts, with the variance of a ratio (Cochran, "Sampling Techniques", 1977, section 2.11).
 */
export function perplexityScore(told: readonly Told[]): Score {
  const sums = told.map(({ surprise }) => surprise.reduce((a, b) => a + b, 0));
  const tokens = told.map(({ surprise }) => surprise.length);
  const [n, all] = [told.length, tokens.reduce((a, b) => a + b, 0)];
  const mean = sums.reduce((a, b) => a + b, 0) / all;
  const squares = sums.reduce((sum, s, i) => sum + (s - mean * tokens[i]!) ** 2, 0);
  const spread = (1.96 * Math.sqrt((squares * n) / Math.max(1, n - 1))) / all;
  return {
    ...{ metric: PERPLEXITY.name, value: Math.exp(mean), n: all },
    interval: {
      ...{ lo: Math.exp(mean - spread), hi: Math.exp(mean + spread) },
      method: `ratio of sums over texts, n=${n}, 95%`,
    },
  };
}
