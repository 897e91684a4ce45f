import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shapes } from '../../datasets/shapes/index.ts';
import { SHAPES } from '../../datasets/shapes/scene.ts';
import { stories } from '../../datasets/stories/index.ts';
import { CHECKPOINTS } from '../../scripts/checkpoints/places.ts';
import { RECIPES } from '../../scripts/checkpoints/recipes.ts';
import { trainRecipe } from '../../scripts/checkpoints/train.ts';
import type { Dataset } from '../../src/core/dataset.ts';
import type { Workload } from '../../src/core/workload.ts';
import { pretrained } from '../../src/pretrained/index.ts';
import { type Shipped, shipped, shippedModels } from '../../src/pretrained/shipped.ts';
import { type Example, examplesOf } from '../../src/training/examples.ts';
import { prepareArtifacts } from '../../src/weights/index.ts';
import { classify } from '../../src/workloads/classify.ts';
import { generate } from '../../src/workloads/generate.ts';
import { imagePrompt } from '../../src/workloads/image-prompt.ts';
import { zeroShot } from '../../src/workloads/zero-shot.ts';
import { cleanUp, openActivity } from '../workloads/harness.ts';

const MEGABYTES = 8e6;

let scratch: string;
let images: Dataset;
let texts: Dataset;
beforeAll(async () => {
  scratch = await mkdtemp(path.join(os.tmpdir(), 'versus-shipped-'));
  images = await shapes({ size: 192 }).prepare(scratch);
  texts = await stories({ size: 2500 }).prepare(scratch);
});
afterAll(() => rm(scratch, { recursive: true }));
afterAll(cleanUp);

describe('shipped checkpoints', () => {
  it('are of 8 MB at most, cards and tokenizers included', async () => {
    const files = await readdir(CHECKPOINTS, { recursive: true, withFileTypes: true });
    const sizes = files.filter((f) => f.isFile()).map((f) => stat(path.join(f.parentPath, f.name)));
    const bytes = (await Promise.all(sizes)).reduce((sum, { size }) => sum + size, 0);
    expect(bytes).toBeGreaterThan(1e6);
    expect(bytes).toBeLessThan(MEGABYTES);
  });

  it.each(shippedModels().map(({ name }) => name as Shipped))('%s is what its folder says', async (name) => {
    const [ours, theirs] = [shipped(name), await pretrained(path.join(CHECKPOINTS, name))];
    expect(ours.config).toEqual(theirs.config);
    expect(ours.preprocess).toEqual(theirs.preprocess);
    expect(ours.classes).toEqual(theirs.classes);
    expect(ours.tokenizer).toBe(theirs.tokenizer);
    const options = { cacheDir: path.join(scratch, 'cache'), maxBytes: 1e9, precision: 'fp32' } as const;
    const artifacts = await prepareArtifacts(ours, options);
    expect(Object.keys(artifacts).length).toBeGreaterThan(0);
  });
});

describe('a damaged checkpoint', () => {
  it('fails where it is used, and nowhere else', async () => {
    const folder = path.join(scratch, 'checkpoints');
    await cp(CHECKPOINTS, folder, { recursive: true });
    await writeFile(path.join(folder, 'shapes-vlm', 'config.json'), '{"model_type": "lla');
    await writeFile(path.join(folder, 'shapes-vit', 'config.json'), '{"model_type": "none"}');
    for (const name of ['shapes-clip', 'shapes-llm', 'shapes-resnet'])
      await rm(path.join(folder, name), { recursive: true });
    for (const whole of shippedModels()) {
      const model = shipped(whole.name as Shipped, folder);
      const { name, family, task, dims } = model;
      expect({ name, family, task }).toEqual({ name, family: whole.family, task: whole.task });
      expect(dims ?? {}).toMatchObject(whole.task === 'generate' ? whole.dims! : {});
      const where = expect.stringContaining(path.join(folder, name));
      const error = await Promise.resolve(model.build(model.config)).catch((e) => e);
      expect(error).toMatchObject({
        ...{ kind: 'input', message: 'a checkpoint of this package cannot be read', where },
        next: expect.stringContaining('install the package again'),
      });
      const options = { cacheDir: path.join(scratch, 'cache'), maxBytes: 1e9, precision: 'fp32' } as const;
      await expect(prepareArtifacts(model, options)).rejects.toThrow(/cannot be read|No such|no such|ENOENT/);
    }
  });
});

describe('cards', () => {
  /** The share that a card states in the row that begins so. */
  async function stated(name: string, row: string): Promise<number> {
    const card = await readFile(path.join(CHECKPOINTS, name, 'README.md'), 'utf8');
    const line = card.split('\n').find((text) => text.startsWith(`| ${row}`));
    return Number(/\| (\d+(?:\.\d+)?)% \|/.exec(line ?? '')?.[1]) / 100;
  }

  const lengths = { promptTokens: 4, newTokens: 1, samples: 60 };
  const zero = { classes: SHAPES, templates: ['a photo of a {}.', 'a drawing of a {}.'], dataset: 'shapes' };
  const tested = 'images of split test';
  it.each<[Shipped, Workload<never>, object, string]>([
    ['shapes-resnet', classify, { dataset: 'shapes' }, `top-1 of 8 shapes, ${tested}`],
    ['shapes-vit', classify, { dataset: 'shapes' }, `top-1 of 8 shapes, ${tested}`],
    ['shapes-clip', zeroShot, zero, `zero-shot, 8 shapes, ${tested}`],
    [
      'shapes-llm',
      generate,
      { ...lengths, dataset: 'stories' },
      'answers that are right word for word, stories',
    ],
    [
      'shapes-vlm',
      imagePrompt,
      { ...lengths, dataset: 'shapes' },
      `answers that are right word for word, ${tested}`,
    ],
  ])('%s is as good as its card says', async (name, workload, params, row) => {
    const asked = { workload: workload as Workload<object>, model: shipped(name), params, trained: true };
    const activity = await openActivity(asked, async (of) => (of === 'stories' ? texts : images));
    const [score] = await activity.scores!();
    await activity.close();
    const share = await stated(name, row);
    expect(share).toBeGreaterThan(0.125);
    // Few samples scatter about the card's thousands: three standard errors.
    const scatter = 3 * Math.sqrt((share * (1 - share)) / score!.n);
    expect(score!.n).toBeGreaterThan(40);
    expect(Math.abs(score!.value - share)).toBeLessThan(scatter + 0.02);
  });
});

describe('recipes', () => {
  const graphs: Record<string, readonly string[]> = {
    ...{ 'shapes-clip': ['vision', 'text'], 'shapes-llm': ['model'], 'shapes-vlm': ['vision', 'decoder'] },
  };

  it.each(RECIPES.map((recipe) => [recipe.name, recipe] as const))('%s learns', async (name, recipe) => {
    const batch = 8;
    const few = async (): Promise<Example[]> => {
      const dataset = name === 'shapes-llm' ? texts : images;
      const all = await examplesOf(shipped(name as Shipped), graphs[name] ?? ['model'], dataset, 'train');
      return all.slice(0, batch);
    };
    const { starts } = recipe;
    const own = {
      ...{ ...recipe, sizes: { ...recipe.sizes, batch }, warmup: 1, rate: 2e-3, examples: few },
      ...(starts && { starts: () => starts(CHECKPOINTS) }),
    };
    const folder = path.join(scratch, name);
    const { losses } = await trainRecipe(own, folder, { steps: 8, cacheDir: path.join(scratch, 'cache') });
    expect(losses.at(-1)).toBeLessThan(0.9 * losses[0]!);
    // What it writes beside the weights is what is shipped.
    for (const file of ['config.json', 'preprocessor_config.json', 'tokenizer.json']) {
      const [made, kept] = await Promise.all(
        [folder, path.join(CHECKPOINTS, name)].map((dir) =>
          readFile(path.join(dir, file), 'utf8').catch(() => null),
        ),
      );
      expect(made, file).toBe(kept);
    }
  });
});
