import { afterAll, describe, expect, it } from 'vitest';
import type { Session } from '../../src/core/backend.ts';
import type { Graph } from '../../src/core/graph.ts';
import { float32, int64, tensor, toFloat16, toNumbers } from '../../src/core/tensor.ts';
import { padTo } from '../../src/data/tokenizer.ts';
import { prepareArtifacts } from '../../src/weights/index.ts';
import {
  advance,
  decoderFeeds,
  dimsOfCall,
  emptyCache,
  greedy,
  lastLogits,
} from '../../src/workloads/decoder.ts';
import { generate } from '../../src/workloads/generate.ts';
import { imagePrompt } from '../../src/workloads/image-prompt.ts';
import { languageMacs } from '../../src/workloads/language.ts';
import { spliceFeatures } from '../../src/workloads/splice.ts';
import { exactly, vocabularyOf } from '../../src/workloads/text.ts';
import { model } from '../../src/zoo/index.ts';
import { backends, cleanUp, openActivity, repeat, scratch } from './harness.ts';

afterAll(cleanUp);

const qwen = model('qwen2-tiny');
const tiny = { promptTokens: 6, newTokens: 4 };

async function openDecoder(): Promise<Session> {
  const { model: artifact } = await prepareArtifacts(qwen, {
    cacheDir: `${scratch}/cache`,
    maxBytes: 1e9,
    precision: 'fp32',
  });
  return backends.cpu.open(artifact!, { precision: 'fp32' });
}

describe('the cache', () => {
  it('gives the logits that the whole text gives', async () => {
    const session = await openDecoder();
    const ids = [5, 17, 300, 2, 41, 9];
    const run = async (cache: ReturnType<typeof emptyCache>, part: readonly number[]) => {
      const own = { input_ids: int64([1, part.length], part) };
      const outputs = await session.run(
        decoderFeeds(session, cache, { batch: 1, sequence: part.length }, own),
      );
      return { logits: toNumbers(lastLogits(outputs)), cache: advance(cache, outputs, part.length) };
    };
    const whole = await run(emptyCache(session, 1), ids);
    let step = await run(emptyCache(session, 1), ids.slice(0, 3));
    for (const id of ids.slice(3)) step = await run(step.cache, [id]);
    expect(step.cache.length).toBe(6);
    expect(Math.max(...step.logits.map((v, i) => Math.abs(v - whole.logits[i]!)))).toBeLessThan(1e-4);
    await session.close();
  });

  it('says when a decoder returns none', () => {
    const cache = { length: 0, tensors: { 'past_key_values.0.key': float32([1, 1, 0, 2], []) } };
    expect(() => advance(cache, {}, 1)).toThrow(/returns no cache for past_key_values.0.key/);
  });
});

describe('feeds', () => {
  const session = (...inputs: [string, (number | string)[]][]) =>
    ({ inputs: inputs.map(([name, shape]) => ({ name, dtype: 'int64', shape })) }) as unknown as Session;

  it('count positions on behind the cache, on all axes where there are several', () => {
    const decoder = session(['attention_mask', ['b', 't']], ['position_ids', [3, 'b', 's']]);
    const feeds = decoderFeeds(decoder, { length: 4, tensors: {} }, { batch: 2, sequence: 3 }, {});
    expect(feeds.attention_mask!.shape).toEqual([2, 7]);
    expect([...toNumbers(feeds.position_ids!)]).toEqual(Array.from({ length: 6 }, () => [4, 5, 6]).flat());
    expect(feeds.position_ids!.shape).toEqual([3, 2, 3]);
  });

  it('refuse an input that nobody understands, and an open head size', () => {
    expect(() =>
      decoderFeeds(session(['mystery', ['b']]), { length: 0, tensors: {} }, { batch: 1, sequence: 1 }, {}),
    ).toThrow(/not understood: mystery/);
    const open = session(['past_key_values.0.key', ['b', 'heads', 'past', 4]]);
    expect(() => emptyCache(open, 1)).toThrow(/axis 1 of past_key_values.0.key is open/);
    expect(emptyCache(open, 1, { heads: 2 }).tensors['past_key_values.0.key']!.shape).toEqual([1, 2, 0, 4]);
  });

  it('bind every symbolic size of a decoder', async () => {
    const { model: graph } = await qwen.build(qwen.config);
    const dims = dimsOfCall(graph!, { batch: 2, sequence: 3, past: 5 }, qwen.dims);
    for (const input of graph!.inputs) {
      for (const dim of input.shape) if (typeof dim === 'string') expect(dims[dim]).toBeGreaterThan(0);
    }
  });
});

describe('choosing tokens', () => {
  it('takes the largest logit of the last position, the lowest id among equals', () => {
    const logits = float32([2, 2, 3], [9, 0, 0, 1, 5, 5, 0, 9, 0, -3, -2, -1]);
    expect(greedy(lastLogits({ logits }))).toEqual([1, 2]);
    const half = tensor('float16', [1, 1, 3], Uint16Array.from([-1, 2, 0.5], toFloat16));
    expect(greedy(lastLogits({ logits: half }))).toEqual([1]);
    expect(() => lastLogits({ hidden: logits })).toThrow(/no output logits/);
  });
});

describe('generate', () => {
  it('prefills the prompt and decodes one token per sequence and step', async () => {
    const activity = await openActivity({ workload: generate, model: qwen, params: tiny, batch: 3 });
    expect(await repeat(activity)).toEqual([
      { phase: 'prefill', items: 18 },
      ...Array.from({ length: 3 }, () => ({ phase: 'decode', items: 3 })),
    ]);
    await activity.close();
  });

  it('asks the language part of a vision-language model for the same steps', async () => {
    const activity = await openActivity({ workload: generate, model: model('llava-tiny'), params: tiny });
    expect((await repeat(activity)).map((s) => s.items)).toEqual([6, 1, 1, 1]);
    await activity.close();
  });

  it('counts every decode step: the sum equals one by one', async () => {
    const at = (promptTokens: number, newTokens: number) => languageMacs(qwen, 1, promptTokens, newTokens);
    const [four, three, two, one] = [await at(8, 4), await at(8, 3), await at(8, 2), await at(8, 1)];
    expect(four! - three!).toBeGreaterThan(three! - two!);
    expect(four! - three! - (three! - two!)).toBe(three! - two! - (two! - one!));
  });

  it.each([
    [{ promptTokens: 0, newTokens: 1 }, /promptTokens is 0/],
    [{ promptTokens: 4, newTokens: 1.5 }, /newTokens is 1.5/],
    [{ promptTokens: 4, newTokens: 1, prompt: '' }, /no tokens/],
    [{ promptTokens: 4, newTokens: 1, tokenizer: '/nonexistent' }, /cannot read tokenizer/],
  ])('refuses %j', async (params, message) => {
    await expect(openActivity({ workload: generate, model: qwen, params })).rejects.toThrow(message);
  });

  it('refuses a model that writes no text', async () => {
    const opening = openActivity({ workload: generate, model: model('clip-tiny'), params: tiny });
    await expect(opening).rejects.toThrow(/no language model/);
  });
});

describe('image prompts', () => {
  it('replace exactly the placeholder rows', () => {
    const embeds = float32(
      [2, 3, 2],
      Array.from({ length: 12 }, (_, i) => i),
    );
    const out = spliceFeatures(embeds, float32([2, 1, 2], [-1, -2, -3, -4]), 1);
    expect([...toNumbers(out)]).toEqual([0, 1, -1, -2, 4, 5, 6, 7, -3, -4, 10, 11]);
    expect(spliceFeatures(embeds, float32([2, 2], [-1, -2, -3, -4]), 1)).toEqual(out);
    expect(() => spliceFeatures(embeds, float32([2, 3], [1, 2, 3, 4, 5, 6]), 0)).toThrow(/don't fit/);
    expect(() => spliceFeatures(embeds, float32([2, 3, 2], new Float32Array(12)), 1)).toThrow(/don't fit/);
  });

  it('depend on the image', async () => {
    const logits = async (seed: number) => {
      const activity = await openActivity({
        workload: imagePrompt,
        model: model('llava-tiny'),
        params: tiny,
        seed,
      });
      const out = await activity.outputs();
      await activity.close();
      return [...toNumbers(out['decode.2.logits']!)];
    };
    expect(await logits(1)).not.toEqual(await logits(2));
  });

  it('have no preprocess phase without files', async () => {
    const activity = await openActivity({ workload: imagePrompt, model: model('llava-tiny'), params: tiny });
    expect((await repeat(activity)).map((s) => s.phase)).toEqual([
      'vision',
      'prefill',
      'decode',
      'decode',
      'decode',
    ]);
    await activity.close();
  });
});

describe('text', () => {
  it('repeats and cuts to a length', () => {
    expect(exactly([1, 2], 5)).toEqual([1, 2, 1, 2, 1]);
    expect(exactly([1, 2, 3], 2)).toEqual([1, 2]);
  });

  it('pads at the end and keeps the end token', () => {
    expect(padTo([7, 1, 8], 5, 0)).toEqual({ ids: [7, 1, 8, 0, 0], mask: [1, 1, 1, 0, 0] });
    expect(padTo([7, 1, 2, 3, 8], 3, 0)).toEqual({ ids: [7, 1, 8], mask: [1, 1, 1] });
  });

  it('finds how many ids a graph embeds, through casts', () => {
    const graph = {
      params: [{ name: 'table', dtype: 'float32', shape: [123, 4], role: 'weight' }],
      nodes: [
        { op: 'Cast', inputs: ['input_ids'], outputs: ['wide'] },
        { op: 'Gather', inputs: ['other', 'wide'], outputs: ['a'] },
        { op: 'Gather', inputs: ['table', 'wide'], outputs: ['b'] },
      ],
    } as unknown as Graph;
    expect(vocabularyOf(graph, 'input_ids')).toBe(123);
    expect(vocabularyOf(graph, 'pixel_values')).toBeNull();
  });
});
