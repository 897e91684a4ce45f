import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { stories } from '../../datasets/stories/index.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { toNumbers } from '../../src/core/tensor.ts';
import type { Workload } from '../../src/core/workload.ts';
import { byteTokenizer } from '../../src/data/tokenizer.ts';
import { generate } from '../../src/workloads/generate.ts';
import { imagePrompt } from '../../src/workloads/image-prompt.ts';
import { type Language, openLanguage } from '../../src/workloads/language.ts';
import { answersScore, nextTokenScore, perplexityScore, type Told, tell } from '../../src/workloads/told.ts';
import { model } from '../../src/zoo/index.ts';
import { cleanUp, openActivity, scratch } from './harness.ts';

afterAll(cleanUp);

describe('a text that is told', () => {
  it('surprises token by token as it does when it is read at once', async () => {
    const tiny = model('qwen2-tiny');
    const all: ModelDef = { ...tiny, config: { ...(tiny.config as object), logits: 'all' } };
    const text = byteTokenizer(512).encode('three red circles');
    let language: Language | undefined;
    const probe: Workload<object> = {
      ...{ name: 'probe', metrics: [] },
      async open(job) {
        language = await openLanguage(job);
        return {
          async *steps() {},
          outputs: async () => (await language!.prepare(text, 1, language!.emptyCache(1))()).host,
          close: () => language!.close(),
        };
      },
    };
    const activity = await openActivity({ workload: probe, model: all, params: {} });
    const logits = toNumbers((await activity.outputs()).logits!);
    const told = await tell(language!, text.slice(0, 3), text.slice(3), 1);
    expect(told.surprise).toHaveLength(text.length - 3);
    told.surprise.forEach((surprise, i) => {
      const row = logits.subarray((i + 2) * 512, (i + 3) * 512);
      const sum = row.reduce((s, v) => s + Math.exp(v), 0);
      expect(surprise).toBeCloseTo(Math.log(sum) - row[text[i + 3]!]!, 4);
      expect(told.foreseen[i]).toBe(row.every((v) => v <= row[text[i + 3]!]!));
    });
    await activity.close();
  });
});

describe('scores of told texts', () => {
  const one = (surprise: number[], foreseen: boolean[]): Told => ({ surprise, foreseen });
  const told = [one([Math.log(2), Math.log(8)], [true, false]), one([Math.log(4)], [true])];

  it('count an answer as right where every token of it was foreseen', () => {
    expect(answersScore(told)).toMatchObject({ value: 1 / 2, n: 2, correct: [false, true] });
    expect(nextTokenScore(told)).toMatchObject({ value: 2 / 3, n: 3, correct: [true, false, true] });
  });

  it('make a perplexity per token, certain where all texts surprise alike', () => {
    expect(perplexityScore(told).value).toBeCloseTo(4, 12);
    const alike = perplexityScore([told[1]!, told[1]!]).interval!;
    expect([alike.lo, alike.hi]).toEqual([expect.closeTo(4, 12), expect.closeTo(4, 12)]);
  });

  // 400 texts of the same spread: the interval holds the truth about 95 times in 100.
  it('have an interval that covers', () => {
    let [state, held] = [1, 0];
    const uniform = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    const runs = 400;
    for (let r = 0; r < runs; r++) {
      const texts = Array.from({ length: 60 }, () => {
        const hard = 2 * uniform();
        return one(
          Array.from({ length: 1 + Math.floor(9 * uniform()) }, () => hard),
          [],
        );
      });
      const { lo, hi } = perplexityScore(texts).interval!;
      if (lo <= Math.E && Math.E <= hi) held++;
    }
    expect(held / runs).toBeGreaterThan(0.91);
    expect(held / runs).toBeLessThan(0.985);
  });
});

describe('workloads over trained weights', () => {
  const told = stories({ size: 1000 });

  it('score answers, next tokens and perplexity of texts', async () => {
    const dataset = () => told.prepare(path.join(scratch, 'datasets'));
    const params = { promptTokens: 4, newTokens: 1, dataset: 'stories', samples: 3 };
    const asked = { workload: generate, model: model('qwen2-tiny'), params, trained: true };
    const activity = await openActivity({ ...asked, batch: 2 }, dataset);
    const scores = await activity.scores!();
    expect(scores.map(({ metric }) => metric)).toEqual(['answers', 'next_token', 'perplexity']);
    // Seeded weights know nothing: about as surprised as by 512 equal chances.
    expect(scores[2]!.value).toBeGreaterThan(100);
    expect(scores[0]!.n).toBe(3);
    await activity.close();
    const alone = await openActivity(asked, dataset);
    const again = await alone.scores!();
    expect(again[2]!.value / scores[2]!.value).toBeCloseTo(1, 4);
    await alone.close();
    const untrained = await openActivity({ ...asked, trained: false }, dataset);
    expect(untrained.scores).toBeUndefined();
    await untrained.close();
  });

  it.each(['llava-tiny', 'florence-2-tiny'])('score answers about images: %s', async (name) => {
    const params = { promptTokens: 4, newTokens: 1, dataset: 'shapes', samples: 3, unseen: 'heldout' };
    const asked = { workload: imagePrompt, model: model(name), params, trained: true };
    const activity = await openActivity(asked);
    const scores = await activity.scores!();
    expect(scores.map(({ metric, n }) => [metric, n])).toEqual([
      ['answers', 3],
      ['unseen_answers', 3],
    ]);
    await activity.close();
  });
});
