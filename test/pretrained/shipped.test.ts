import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shapes } from '../../datasets/shapes/index.ts';
import { stories } from '../../datasets/stories/index.ts';
import { CHECKPOINTS } from '../../scripts/checkpoints/places.ts';
import { RECIPES } from '../../scripts/checkpoints/recipes.ts';
import { trainRecipe } from '../../scripts/checkpoints/train.ts';
import type { Dataset } from '../../src/core/dataset.ts';
import { pretrained } from '../../src/pretrained/index.ts';
import { type Shipped, shipped, shippedModels } from '../../src/pretrained/shipped.ts';
import { type Example, examplesOf } from '../../src/training/examples.ts';
import { prepareArtifacts } from '../../src/weights/index.ts';

const MEGABYTES = 8e6;

let scratch: string;
let images: Dataset;
let texts: Dataset;
beforeAll(async () => {
  scratch = await mkdtemp(path.join(os.tmpdir(), 'versus-shipped-'));
  images = await shapes({ size: 192 }).prepare(scratch);
  texts = await stories({ size: 1000 }).prepare(scratch);
});
afterAll(() => rm(scratch, { recursive: true }));

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
