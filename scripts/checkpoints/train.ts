import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import type { Graph } from '../../src/core/graph.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { readParam } from '../../src/core/read-param.ts';
import { type Tensor, type Tensors, tensor, toFloat16, toNumbers } from '../../src/core/tensor.ts';
import { fromProcessorConfig } from '../../src/data/processor-config.ts';
import { openTokenizer } from '../../src/data/tokenizer.ts';
import { Batches } from '../../src/training/batches.ts';
import { forwardOf } from '../../src/training/forward/index.ts';
import { adamCorrections, rateAt } from '../../src/training/schedule.ts';
import { trainingStep } from '../../src/training/step.ts';
import { Trainer } from '../../src/training/trainer.ts';
import { seeded, writeSafetensors } from '../../src/weights/index.ts';
import { fromCheckpointConfig } from '../../src/zoo/checkpoint/index.ts';
import { EDGE } from './classifiers.ts';
import { ROOT } from './places.ts';
import type { Recipe } from './recipe.ts';
import { tokenizerFiles, vocabulary } from './vocabulary.ts';

export interface Training {
  /** Of every step. */
  readonly losses: readonly number[];
  /** What stands where in the folder. */
  readonly parameters: number;
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
}

/** All images of a recipe: decoded in the first pass alone. */
const KEPT = 2 ** 30;
const BETAS = [0.9, 0.99] as const;

/**
 * Trains a recipe and writes the folder that the hub would have: config, processor, tokenizer and weights in float16. On one
 * type of machine, with one version of the runtime and two threads, the same bytes come out every time.
 */
export async function trainRecipe(
  recipe: Recipe,
  folder: string,
  options: {
    readonly steps?: number;
    readonly threads?: number;
    readonly cacheDir: string;
    readonly log?: (text: string) => void;
  },
): Promise<Training> {
  await writeDescription(recipe, folder);
  const { steps = recipe.steps, threads = 2, cacheDir, log } = options;
  const model = modelOf(recipe);
  const graphs = (await model.build(model.config)) as Record<string, Graph>;
  const { labelSmoothing } = recipe;
  const forward = await forwardOf(model, graphs, recipe.sizes, { ...(labelSmoothing && { labelSmoothing }) });
  const weights = forward.graph.params.filter((p) => p.role === 'weight');
  // Threads that spin while they wait only disturb each other in graphs as small as these.
  const backend = onnxruntime('cpu', {
    session: { entries: { 'session.intra_op.allow_spinning': '0' } },
  });
  const step = await trainingStep(forward, {
    trainable: new Set(weights.map((p) => p.name)),
    optimiser: {
      ...{ kind: 'adamw', betas: BETAS, weightDecay: recipe.weightDecay },
      decays: (name) =>
        weights.find((p) => p.name === name)!.shape.length > 1 && !/embed|position/.test(name),
    },
    clipNorm: 1,
    ...(backend.training && { target: backend.training }),
  });
  const tokenizer = recipe.reads ? await openTokenizer(folder, Number.MAX_SAFE_INTEGER) : undefined;
  const { before, seed, rate, warmup } = recipe;
  const batches = new Batches(model, forward, await recipe.examples(), {
    ...{ seed, cacheBytes: KEPT, ...(tokenizer && { tokenizer }), ...(before !== undefined && { before }) },
  });
  const began = { cpu: process.cpuUsage(), at: performance.now() };
  const trainer = await Trainer.open(
    model,
    step,
    { backend, open: { precision: 'fp32', threads }, cacheDir, maxBytes: 2e9 },
    await recipe.starts?.(path.dirname(folder)),
  );
  try {
    const losses: number[] = [];
    for (let i = 0; i < steps; i++) {
      const lr = rateAt({ kind: 'cosine', rate, warmup: Math.min(warmup, steps), steps }, i);
      const { loss } = await trainer.run(await batches.at(i), { lr, ...adamCorrections(i + 1, BETAS) });
      losses.push(loss);
      if (i % 50 === 49) {
        const mean = losses.slice(-50).reduce((a, b) => a + b, 0) / 50;
        log?.(`${recipe.name}: step ${i + 1} of ${steps}, loss ${mean.toFixed(4)}`);
      }
    }
    const used = process.cpuUsage(began.cpu);
    const numbers: Tensors = {};
    for (const { name } of step.params) numbers[name] = halved(await trainer.read(name));
    await writeWeights(folder, graphs, numbers, seed);
    return {
      ...{ losses, parameters: weights.reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0) },
      cpuSeconds: (used.user + used.system) / 1e6,
      wallSeconds: (performance.now() - began.at) / 1e3,
    };
  } finally {
    await trainer.close();
  }
}

/** The model that the folder's configuration describes, with weights to begin with and the logits of every position. */
function modelOf(recipe: Recipe): ModelDef {
  const { config, preprocessor, name, seed } = recipe;
  const { model } = fromCheckpointConfig(config, [], { logits: 'all', image: [EDGE, EDGE] });
  const preprocess = preprocessor && fromProcessorConfig(preprocessor, `${name}/preprocessor_config.json`);
  return { ...model, name, weights: seeded(seed), ...(preprocess && { preprocess }) };
}

async function writeDescription({ config, preprocessor, reads }: Recipe, folder: string): Promise<void> {
  const files: Record<string, unknown> = {
    'config.json': config,
    ...(preprocessor && { 'preprocessor_config.json': preprocessor }),
    ...(reads && tokenizerFiles(await vocabulary(ROOT))),
  };
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
  }
}

/**
 * Weights as a checkpoint has them: what has trained, and as they were drawn those that no gradient reaches (LLaVA's files keep
 * the norm behind the tower, whose result nobody reads).
 */
async function writeWeights(
  folder: string,
  graphs: Readonly<Record<string, Graph>>,
  trained: Tensors,
  seed: number,
): Promise<void> {
  const all = Object.values(graphs).flatMap(({ params }) => params.filter((p) => p.role !== 'constant'));
  const idle = all.filter(({ name }, i) => !trained[name] && all.findIndex((p) => p.name === name) === i);
  const numbers: Record<string, Tensor> = { ...trained };
  const source = await seeded(seed).open(idle);
  for (const param of idle) numbers[param.name] = halved(await readParam(source, param));
  await source.close();
  await writeSafetensors(path.join(folder, 'model.safetensors'), numbers, { format: 'pt' });
}

function halved(t: Tensor): Tensor {
  return tensor('float16', t.shape, Uint16Array.from(toNumbers(t), toFloat16));
}
