import * as z from 'zod';
import type { Backend } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { type Tensor, type Tensors, tensor } from '../core/tensor.ts';
import type { OutputDifference } from '../stats/parity.ts';
import { checkLabels, type Forward, forwardOf } from '../training/forward/index.ts';
import { adamCorrections } from '../training/schedule.ts';
import { trainingStep } from '../training/step.ts';
import { Trainer } from '../training/trainer.ts';
import { dropDead } from '../transform/drop-dead.ts';
import { gradient } from '../transform/gradient/index.ts';
import { addLora } from '../transform/lora.ts';
import type { OptimiserSpec } from '../transform/optimiser/index.ts';
import { prepareArtifacts, readSafetensors } from '../weights/index.ts';
import { checkpointIn, modelIn, readConfig, withBaseLayers } from './folder.ts';
import type { VerifyOptions } from './index.ts';
import { Sessions } from './sessions.ts';
import { type Recordings, trainingDifferences } from './training-differences.ts';

const fraction = z.number().min(0).lt(1);
const configSchema = z.looseObject({
  training: z.looseObject({
    optimizer: z.literal('AdamW'),
    lr: z.number().positive(),
    betas: z.tuple([fraction, fraction]),
    eps: z.number().positive(),
    weight_decay: z.number().min(0),
    steps: z.int().min(1).max(1000),
  }),
  lora: z
    .looseObject({
      r: z.int().min(1),
      alpha: z.number().positive(),
      target_modules: z.array(z.string()).min(1),
    })
    .optional(),
});
type Recipe = z.infer<typeof configSchema>;

/**
 * A recorded training run: the gradients of its first step, the losses of all, and what the weights are after them, computed
 * from the same start by the trainer that users train with.
 *
 * What trains is what has recorded gradients. Running statistics are those of training: of the batch.
 *
 * @throws VersusError `input` for a config.json without the recipe, or labels that name no class
 */
export async function trainingOutputs(
  dir: string,
  recorded: Recordings,
  backend: Backend,
  options: VerifyOptions,
): Promise<{ readonly family: string; readonly outputs: OutputDifference[] }> {
  const { inputs, gradients } = recorded;
  const recipe = await recipeIn(dir);
  const found = await modelIn(dir, { inputs, expected: {} });
  const path = checkpointIn(dir);
  if (path === undefined || !found.weights) {
    throw new VersusError('usage', 'there is no checkpoint that training starts from', { where: dir });
  }
  const before = await readSafetensors(path);
  const model: ModelDef = { ...found, weights: withBaseLayers(path, Object.keys(before)) };
  const forward = await forwardIn(model, recipe, inputs);
  if (forward.classes !== null && inputs.labels) checkLabels(inputs.labels, forward.classes);
  const batch = Object.fromEntries(
    forward.inputs.map(({ name }) => [name, inputs[name] ?? missing(name)] as const),
  );
  const trainable = Object.keys(gradients);
  const start = Object.fromEntries(
    [...trainable, ...forward.buffers.keys()].map((name) => [name, before[name] ?? missing(name)] as const),
  );
  const computed = await trained(model, forward, { trainable, recipe, batch, start }, backend, options);
  return { family: model.family, outputs: trainingDifferences(computed, recorded, options.tolerance) };
}

interface Run {
  readonly trainable: readonly string[];
  readonly recipe: Recipe;
  readonly batch: Tensors;
  /** Numbers of all that training changes. */
  readonly start: Tensors;
}

/** Everything that a recording may hold, by its names there. */
async function trained(
  model: ModelDef,
  forward: Forward,
  { trainable, recipe, batch, start }: Run,
  backend: Backend,
  options: VerifyOptions,
): Promise<Tensors> {
  const { lr, betas, eps, weight_decay: weightDecay, steps } = recipe.training;
  const open = options.open ?? { precision: 'fp32' };
  const { cacheDir, maxBytes } = options;
  const computed: Tensors = {};
  const sessions = await gradientSession(model, forward, trainable, backend, options);
  try {
    const first = await sessions.run('gradients', { ...batch, ...start });
    computed['output.loss'] = first[forward.loss]!;
    for (const name of trainable) computed[`grad.${name}`] = first[`grad.${name}`]!;
    for (const [name, output] of forward.buffers) computed[`after_forward.${name}`] = first[output]!;

    const optimiser: OptimiserSpec = { kind: 'adamw', betas, eps, weightDecay };
    const step = await trainingStep(forward, {
      ...{ trainable: new Set(trainable), optimiser },
      ...(backend.training && { target: backend.training }),
    });
    const trainer = await Trainer.open(model, step, { backend, open, cacheDir, maxBytes }, copied(start));
    const losses: number[] = [];
    try {
      for (let t = 1; t <= steps; t++) {
        losses.push((await trainer.run(batch, { lr, ...adamCorrections(t, betas) })).loss);
      }
      for (const name of Object.keys(start)) computed[`final.${name}`] = await trainer.read(name);
    } finally {
      await trainer.close();
    }
    computed['output.losses'] = tensor('float32', [steps], Float32Array.from(losses));
    const after = Object.fromEntries(Object.keys(start).map((name) => [name, computed[`final.${name}`]!]));
    const last = await sessions.run('gradients', { ...batch, ...after });
    computed['output.loss_after'] = last[forward.loss]!;
  } finally {
    await sessions.close();
  }
  return computed;
}

/** Loss, gradients and running statistics, with all that trains as inputs. */
async function gradientSession(
  model: ModelDef,
  forward: Forward,
  trainable: readonly string[],
  backend: Backend,
  { cacheDir, maxBytes, open = { precision: 'fp32' } }: VerifyOptions,
): Promise<Sessions> {
  const { graph, loss, buffers } = forward;
  const fed = new Set([...trainable, ...buffers.keys()]);
  const kept = new Set([loss, ...buffers.values()]);
  const opened = dropDead({
    ...graph,
    inputs: [...graph.inputs, ...graph.params.filter((p) => fed.has(p.name))],
    params: graph.params.filter((p) => !fed.has(p.name)),
    outputs: graph.outputs.filter((o) => kept.has(o.name)),
  });
  const gradients = dropDead(gradient(opened, loss, trainable));
  const own: ModelDef = { ...model, name: `${model.name}.gradients`, build: () => ({ gradients }) };
  return new Sessions(backend, await prepareArtifacts(own, { cacheDir, maxBytes, precision: 'fp32' }), open);
}

/** The joined graph for the recorded batch, with adapters where the recipe has them. */
async function forwardIn(model: ModelDef, { lora }: Recipe, inputs: Tensors): Promise<Forward> {
  const batch = Object.values(inputs)[0]?.shape[0] ?? 0;
  const sequence = inputs.input_ids?.shape[1];
  const graphs = await model.build(model.config);
  const forward = await forwardOf(model, graphs, { batch, ...(sequence !== undefined && { sequence }) });
  if (!lora) return forward;
  const spec = { r: lora.r, alpha: lora.alpha, targets: lora.target_modules };
  const { graphs: adapted } = addLora({ training: forward.graph }, spec, { model: model.name });
  return { ...forward, graph: adapted.training };
}

async function recipeIn(dir: string): Promise<Recipe> {
  const config = await readConfig(dir);
  const parsed = configSchema.safeParse(config);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new VersusError('input', `config.json does not say how it was trained: ${issue?.message}`, {
    where: `${dir}, field ${issue?.path.join('.')}`,
    next: 'training: optimizer AdamW, lr, betas, eps, weight_decay, steps',
  });
}

/** The trainer may write into what it is given. */
function copied(tensors: Tensors): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, t]): [string, Tensor] => [
      name,
      { ...t, data: t.data.slice() as never },
    ]),
  );
}

function missing(name: string): never {
  throw new VersusError('input', `io.safetensors lacks input.${name}, or the checkpoint lacks ${name}`);
}
