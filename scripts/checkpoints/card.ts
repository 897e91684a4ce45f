import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Figure } from './evaluate.ts';
import type { Recipe } from './recipe.ts';
import type { Training } from './train.ts';

const percent = (x: number): string => `${(100 * x).toFixed(1)}%`;
const shown = ({ unit }: Figure, x: number): string => (unit === 'share' ? percent(x) : x.toFixed(3));
const minutes = (seconds: number): string => `${(seconds / 60).toFixed(1)} minutes`;
const mean = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0) / of.length;

/** The model card: what it is, what it learnt from, how, and how well it does on what it never saw. */
export async function writeCard(
  recipe: Recipe,
  folder: string,
  training: Training,
  figures: readonly Figure[],
): Promise<void> {
  const { name, about, data, sizes, steps, rate, warmup, weightDecay, labelSmoothing, seed } = recipe;
  const { losses, parameters, cpuSeconds, wallSeconds } = training;
  const tail = Math.min(50, losses.length);
  const lines = [
    `# ${name}`,
    '',
    about,
    '',
    '| | |',
    '|---|---|',
    `| parameters | ${parameters.toLocaleString('en-US')}, stored as float16 |`,
    `| data | ${data} |`,
    `| batches | ${losses.length.toLocaleString('en-US')} of ${sizes.batch}${sizes.sequence ? `, texts of ${sizes.sequence} tokens` : ''} |`,
    `| optimiser | AdamW (β 0.9, 0.99; weight decay ${weightDecay} of matrices), gradients clipped at norm 1 |`,
    `| learning rate | ${rate}, ${warmup} steps of warm-up, then half a cosine to 0 over ${steps} steps |`,
    ...(labelSmoothing ? [`| label smoothing | ${labelSmoothing} |`] : []),
    `| seed | ${seed}, of weights and order |`,
    `| loss | ${mean(losses.slice(0, tail)).toFixed(3)} over the first ${tail} steps, ${mean(losses.slice(-tail)).toFixed(3)} over the last |`,
    `| cost | ${minutes(cpuSeconds)} of processor time on ${cpu()}, ${minutes(wallSeconds)} with whatever else ran there |`,
    '| licence | CC0-1.0 |',
    '',
    '## Held-out quality',
    '',
    'With 95% intervals (Wilson; of perplexity by the variance of a ratio over texts), float32 on onnxruntime-cpu:',
    '',
    '| | | 95% interval | n |',
    '|---|--:|---|--:|',
    ...figures.map(
      (f) => `| ${f.what} | ${shown(f, f.value)} | ${shown(f, f.lo)} … ${shown(f, f.hi)} | ${f.n} |`,
    ),
    '',
    '## Made by',
    '',
    '```sh',
    `node --import tsx scripts/train-checkpoint.ts ${name}`,
    '```',
    '',
    'With one version of this package and its dependencies, on one type of processor, the same bytes come out every time, with one',
    'thread or two. Another engine, runtime or processor adds floats in another order: weights then differ, and quality by chance.',
    '',
  ];
  await writeFile(path.join(folder, 'README.md'), lines.join('\n'));
}

const cpu = (): string => os.cpus()[0]?.model.trim() ?? 'an unknown processor';
