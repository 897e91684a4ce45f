/**
 * Trains one of the checkpoints that the package ships and writes its folder and card: `node --import tsx scripts/train-checkpoint.ts shapes-vit`.
 * `all` trains all of them, in order. `--steps N` and `--out DIR` are for trying a recipe out,
 * `--threads 1` for a machine that does something else beside it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { pretrained } from '../src/pretrained/index.ts';
import { writeCard } from './checkpoints/card.ts';
import { evaluate } from './checkpoints/evaluate.ts';
import { CHECKPOINTS } from './checkpoints/places.ts';
import { RECIPES } from './checkpoints/recipes.ts';
import { trainRecipe } from './checkpoints/train.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string' },
    threads: { type: 'string', default: '2' },
    out: { type: 'string', default: CHECKPOINTS },
  },
});
const chosen = RECIPES.filter(({ name }) => positionals.includes(name) || positionals.includes('all'));
if (chosen.length === 0) {
  process.stderr.write(`name a checkpoint: ${RECIPES.map(({ name }) => name).join(', ')}, or all\n`);
  process.exit(2);
}
const log = (text: string) => process.stdout.write(`${text}\n`);
const cacheDir = await mkdtemp(path.join(os.tmpdir(), 'versus-train-'));
try {
  for (const recipe of chosen) {
    const folder = path.join(values.out, recipe.name);
    const steps = values.steps === undefined ? recipe.steps : Number(values.steps);
    const training = await trainRecipe(recipe, folder, {
      steps,
      threads: Number(values.threads),
      cacheDir,
      log,
    });
    const figures = await evaluate(await pretrained(folder, { name: recipe.name }), cacheDir);
    await writeCard({ ...recipe, steps }, folder, training, figures);
    for (const { what, value, n } of figures) log(`${recipe.name}: ${what}: ${value.toFixed(4)} (n = ${n})`);
  }
} finally {
  await rm(cacheDir, { recursive: true, force: true });
}
