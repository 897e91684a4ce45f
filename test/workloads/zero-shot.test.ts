import { afterAll, describe, expect, it } from 'vitest';
import type { ModelDef } from '../../src/core/model.ts';
import { float32, toNumbers } from '../../src/core/tensor.ts';
import { CLIP_TEMPLATES, classPrompts } from '../../src/workloads/prompts.ts';
import { ensemble, similarity } from '../../src/workloads/similarity.ts';
import { zeroShot } from '../../src/workloads/zero-shot.ts';
import { model } from '../../src/zoo/index.ts';
import { cleanUp, openActivity, repeat } from './harness.ts';

afterAll(cleanUp);

const clip = model('clip-tiny');

describe('prompts', () => {
  it('put every class into every template, class by class', () => {
    expect(classPrompts(['$&', 'b'], ['a {}', '{} {}'])).toEqual(['a $&', '$& $&', 'a b', 'b b']);
  });
});

describe('similarity', () => {
  it('averages directions, not lengths', () => {
    const classes = ensemble(float32([4, 2], [1, 0, 0, 100, 3, 0, 5, 0]), 2);
    const [a, b, c, d] = toNumbers(classes);
    expect(a).toBeCloseTo(Math.SQRT1_2, 6);
    expect(b).toBeCloseTo(Math.SQRT1_2, 6);
    expect([c, d]).toEqual([1, 0]);
  });

  it('is the scaled cosine, and finite for a zero row', () => {
    const logits = similarity(float32([2, 2], [0, 2, 0, 0]), float32([2, 2], [1, 0, 0, 1]), 100);
    expect([...toNumbers(logits)]).toEqual([0, 100, 0, 0]);
  });
});

describe('zero-shot', () => {
  it('encodes all prompts in runs of equal size and counts each text once', async () => {
    const activity = await openActivity({
      ...{ workload: zeroShot, model: clip, batch: 2 },
      params: { classes: ['circle', 'star', 'ring'], textBatch: 8 },
    });
    const steps = await repeat(activity);
    const texts = steps.filter((s) => s.phase === 'text');
    expect(texts).toHaveLength(3);
    expect(texts.reduce((n, s) => n + s.items, 0)).toBe(3 * CLIP_TEMPLATES.length);
    expect(steps.find((s) => s.phase === 'image')?.items).toBe(2);
    await activity.close();
  });

  it('gives a prompt the same embedding whatever run it falls into', async () => {
    const embeds = async (textBatch: number) => {
      const params = { classes: ['circle', 'star', 'ring'], templates: ['a {}.', '{}'], textBatch };
      const activity = await openActivity({ workload: zeroShot, model: clip, params });
      const { text_embeds } = await activity.outputs();
      await activity.close();
      return toNumbers(text_embeds!);
    };
    const all = await embeds(6);
    for (const size of [1, 4, 99]) {
      const parts = await embeds(size);
      expect(Math.max(...parts.map((v, i) => Math.abs(v - all[i]!)))).toBeLessThan(1e-5);
    }
  });

  it('scores the classes it was asked for, on the samples that have them', async () => {
    const activity = await openActivity({
      ...{ workload: zeroShot, model: clip, batch: 4, trained: true },
      params: { dataset: 'shapes', classes: ['star', 'circle', 'dog'], templates: ['a {}.'] },
    });
    const scores = await activity.scores!();
    expect(scores.map((s) => s.metric)).toEqual(['top1']);
    expect(scores[0]!.n).toBe(14);
    await activity.close();
  });

  it('takes the dataset’s classes when it is given none', async () => {
    const params = { dataset: 'shapes', templates: ['{}'] };
    const activity = await openActivity({ workload: zeroShot, model: clip, params });
    expect((await activity.outputs()).logits!.shape).toEqual([1, 8]);
    expect(activity.scores).toBeUndefined();
    await activity.close();
  });

  it('wants something to tell apart', async () => {
    await expect(openActivity({ workload: zeroShot, model: clip, params: {} })).rejects.toThrow(
      /needs classes/,
    );
  });

  it('counts texts and images in its multiply–accumulates', async () => {
    const macs = (classes: string[]) =>
      zeroShot.macs!({ classes, templates: ['{}'] }, 1, clip) as Promise<number>;
    const [one, two, three] = [await macs(['a']), await macs(['a', 'b']), await macs(['a', 'b', 'c'])];
    expect(three - two).toBe(two - one);
    expect(await zeroShot.macs!({ dataset: 'shapes' }, 1, clip)).toBeNull();
  });

  it('pads to the whole context, with its own id, where a text tower reads its padding', async () => {
    const siglip = model('siglip-tiny');
    const embeds = async (subject: ModelDef, contextLength?: number) => {
      const params = { classes: ['a', 'b'], templates: ['{}'], ...(contextLength && { contextLength }) };
      const activity = await openActivity({ workload: zeroShot, model: subject, params });
      const { text_embeds } = await activity.outputs();
      await activity.close();
      return text_embeds!;
    };
    const { dims: _, ...plain } = siglip;
    const expected = await embeds(siglip);
    // The model's own length, not that of its dims and not CLIP's.
    expect(await embeds({ ...plain, dims: { images: 1 } })).toEqual(expected);
    expect(await embeds(siglip, 32)).toEqual(expected);
    await expect(embeds(siglip, 16)).rejects.toThrow(/texts of 32 tokens/);
    const otherPad = await embeds({ ...siglip, text: { context: 32, pad: 2 } });
    expect(toNumbers(otherPad)).not.toEqual(toNumbers(expected));
  });
});
