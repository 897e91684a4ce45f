import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import type { ModelDef } from '../../src/core/model.ts';
import type { Workload } from '../../src/core/workload.ts';
import { generate } from '../../src/workloads/generate.ts';
import { imagePrompt } from '../../src/workloads/image-prompt.ts';
import { model } from '../../src/zoo/index.ts';
import { openActivity, repeat } from './harness.ts';

/** Florence-2's smallest: 512 positions, an image of 17 tokens. */
const tiny = model('florence-2-tiny');

async function run<P>(workload: Workload<P>, params: P, subject: ModelDef = tiny): Promise<string> {
  try {
    const activity = await openActivity({ workload, model: subject, params });
    await repeat(activity);
    await activity.close();
    return 'ran';
  } catch (error) {
    expect(error).toBeInstanceOf(VersusError);
    expect(error).toMatchObject({ kind: 'usage', where: 'model florence-2-tiny' });
    return `${(error as VersusError).message}; ${(error as VersusError).next}`;
  }
}

describe('a table of positions', () => {
  it.each([
    [512, 1, 'ran'],
    [513, 1, 'promptTokens is 513, and the model has positions for 512; give promptTokens of at most 512'],
    [1, 513, 'newTokens is 513, and the model has positions for 512; give newTokens of at most 512'],
  ])('has room for so much text: %i and %i', async (promptTokens, newTokens, said) => {
    expect(await run(generate, { promptTokens, newTokens })).toBe(said);
  });

  it.each([
    [495, 'ran'],
    [
      496,
      'promptTokens is 496, with 17 of the image, and the model has positions for 512; give promptTokens of at most 495',
    ],
  ])('has room for an image and so much text: %i', async (promptTokens, said) => {
    expect(await run(imagePrompt, { promptTokens, newTokens: 1 })).toBe(said);
  });

  it('may be smaller than an image', async () => {
    const narrow = { ...tiny, context: 17 };
    expect(await run(imagePrompt, { promptTokens: 1, newTokens: 1 }, narrow)).toBe(
      'the image alone is 17 tokens, and the model has positions for 17; give the model smaller images',
    );
  });
});
