import { createHash } from 'node:crypto';
import { VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import { addLora, type Lora } from '../transform/lora.ts';
import type { Target } from '../transform/lower/index.ts';
import { quantise } from '../transform/quantise.ts';
import { trainedIn, weightParts } from '../transform/scope.ts';
import { seeded } from '../weights/index.ts';
import { withAdapters } from './adapters.ts';
import type { Example } from './examples.ts';
import { type Forward, forwardOf, type Sizes } from './forward/index.ts';
import { judgeOf } from './judge.ts';
import { loraOf, optimiserOf, type TrainingSettings } from './settings.ts';
import { type TrainingStep, trainingStep } from './step.ts';
import { parametersOf } from './whole.ts';

/** What a training runs: its step, and how it is judged. */
export interface Setup {
  /** With the weights that the training starts from, those of adapters among them. */
  readonly model: ModelDef;
  readonly settings: TrainingSettings;
  readonly forward: Forward;
  readonly step: TrainingStep;
  readonly lora: Lora | null;
  /** The model's forward as it is after training, on batches of `judged.batch`; null without held-out samples. */
  readonly judged: { readonly forward: Forward; readonly graph: Graph; readonly batch: number } | null;
  /** Hash of names, types and shapes of all parameters: what makes two checkpoints those of one architecture. */
  readonly architecture: string;
}

/** A model's forward pass as it learns, before there is a step. */
export interface LearningForward {
  readonly forward: Forward;
  readonly lora: Lora | null;
  /** Names of the parameters that train. */
  readonly trainable: ReadonlySet<string>;
  /** The forward pass as it is after training, on batches of another size. */
  judged(size: number): Promise<Forward>;
}

/**
 * A model's forward pass on one micro-batch, with adapters and blocks where the settings want them.
 *
 * Normalisations over the batch learn from it where their weights train; elsewhere they keep the statistics that they have, and
 * so they do beside adapters, whose files hold no statistics.
 *
 * @param model a language model gives the logits of every position
 * @throws VersusError `usage` for a scope that the model lacks, for targets that fit nothing, for micro-batches of unequal size,
 *   and as `forwardOf`
 */
export async function learningForward(model: ModelDef, settings: TrainingSettings): Promise<LearningForward> {
  const graphs = await model.build(model.config);
  const { batch, microBatches, scope } = settings;
  if (batch % microBatches !== 0) {
    throw new VersusError('usage', `${batch} samples do not fall into ${microBatches} micro-batches`, {
      where: model.name,
      next: `take a batch that ${microBatches} divides`,
    });
  }
  const inScope = trainedIn(scope, weightParts(Object.values(graphs), model.parts), model.name);
  const spec = settings.lora && loraOf(settings.lora);
  const made = async (
    size: number,
    statistics: 'batch' | 'running',
    dropout: number,
  ): Promise<{ forward: Forward; lora: Lora | null }> => {
    const sizes = { ...settings.sizes, batch: size } as Sizes;
    const forward = await forwardOf(model, graphs, sizes, { statistics });
    if (!spec) return { forward, lora: null };
    const frozen = settings.qlora ? quantise(forward.graph, 4) : forward.graph;
    const lora = addLora(
      { training: frozen },
      { ...spec, dropout },
      { model: model.name, ...(scope !== 'full' && { within: inScope }) },
    );
    return { forward: { ...forward, graph: lora.graphs.training! }, lora };
  };
  const size = batch / microBatches;
  const first = await made(size, spec ? 'running' : 'batch', spec?.dropout ?? 0);
  const learns = [...first.forward.buffers.keys()].some((name) =>
    inScope.has(name.replace(/running_(mean|var)$/, 'weight')),
  );
  const statistics = spec || !learns ? 'running' : 'batch';
  const { forward, lora } =
    statistics === 'running' && first.forward.buffers.size > 0
      ? await made(size, 'running', spec?.dropout ?? 0)
      : first;
  return {
    ...{ forward, lora, trainable: new Set(lora ? lora.trained : inScope) },
    judged: async (other) => (await made(other, 'running', 0)).forward,
  };
}

/**
 * The step of a forward pass that learns.
 * @throws VersusError as `trainingStep`
 */
export function stepOf(
  { forward, trainable }: LearningForward,
  settings: TrainingSettings,
  target?: Target,
): Promise<TrainingStep> {
  const ranks = new Map(forward.graph.params.map((p) => [p.name, p.shape.length]));
  const { microBatches, precision, clipNorm } = settings;
  return trainingStep(forward, {
    ...{ trainable, microBatches, precision, ...(target && { target }) },
    optimiser: optimiserOf(settings, (name) => ranks.get(name) ?? 0),
    ...(clipNorm !== null && { clipNorm }),
  });
}

/**
 * A model, and how it is to learn, as graphs.
 *
 * @param model a language model gives the logits of every position
 * @param heldOut how many samples there are to judge by
 * @throws VersusError as `learningForward` and `trainingStep`
 */
export async function setUp(
  model: ModelDef,
  settings: TrainingSettings,
  heldOut: number,
  target?: Target,
): Promise<Setup> {
  const learning = await learningForward(model, settings);
  const { forward, lora } = learning;
  const step = await stepOf(learning, settings, target);
  const { batch, microBatches, seed } = settings;
  const weights = model.weights ?? seeded(seed);
  const begun: ModelDef = {
    ...model,
    weights: lora ? withAdapters(weights, lora.trained, seeded(seed)) : weights,
  };
  const judging = Math.min(batch / microBatches, heldOut);
  const judged = judging === 0 ? null : await learning.judged(judging);
  return {
    ...{ model: begun, settings, forward, step, lora },
    judged: judged && { forward: judged, graph: judgeOf(judged, step, target), batch: judging },
    architecture: await architectureOf(model),
  };
}

/** Hash of names, types and shapes of all parameters of a model. */
export async function architectureOf(model: ModelDef): Promise<string> {
  const lines = (await parametersOf(model)).map(({ name, dtype, shape }) => `${name} ${dtype} ${shape}`);
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
}

/**
 * That every label names a class.
 * @throws VersusError `usage` naming the first sample whose label does not
 */
export function requireClasses(
  examples: readonly Example[],
  { classes }: Pick<Forward, 'classes'>,
  where: string,
): void {
  if (classes === null) return;
  const stray = examples.find(({ label }) => label !== undefined && !(label >= 0 && label < classes));
  if (!stray) return;
  throw new VersusError(
    'usage',
    `sample ${stray.sample?.id} has label ${stray.label}, and the model has ${classes} classes`,
    { where, next: `labels go from 0 to ${classes - 1}: train a model with more classes, or other data` },
  );
}
