import type { AutogradOptions } from '../core/autograd.ts';
import type { OpenOptions } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { ModelDef, WeightSpec } from '../core/model.ts';
import { bytesPerElement, elementCount } from '../core/tensor.ts';
import type { Given } from '../core/workload.ts';
import { BEFORE_IMAGE } from '../data/chat.ts';
import { gridOf } from '../data/tiling.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { withAllLogits } from '../estimate/resize.ts';
import { graphCost } from '../graph/cost.ts';
import { partly, withAdapters } from '../training/adapters.ts';
import { type Arranged, arrange, countOf, headOf, type Learning } from '../training/arrange.ts';
import { type Forward, forwardOf, type Sizes } from '../training/forward/index.ts';
import { openingOf } from '../training/opening.ts';
import { judging, type StepParts, stepParts } from '../training/parts.ts';
import { stepMemory } from '../training/predict.ts';
import { type StepOptions, type TrainingStep, trainingStep } from '../training/step.ts';
import type { Tasks } from '../training/transfer.ts';
import { seeded } from '../weights/index.ts';
import { tokenizerOf } from './text.ts';

export interface TrainParams extends Learning, Tasks {
  /**
   * What computes the gradients: a graph of ours, or the autograd of the backend, which then trains the model as it is written in
   * the backend's own operators, all of its way. Backends without one cannot. `graph` when left out.
   */
  readonly by?: 'graph' | 'autograd';
  readonly dataset: string;
  /** Steps of the curve, and ahead of judging quality. */
  readonly steps: number;
  /** Highest learning rate; it falls along half a cosine, after a tenth of the steps to warm up. */
  readonly rate: number;
  /** Tokens of a text, and of an encoder–decoder's prompt. */
  readonly sequence?: number;
  readonly prompt?: number;
  /** A tokenizer.json or its folder; the model's own when left out, else bytes. */
  readonly tokenizer?: string;
  /** Samples that quality is judged on, of each task; 128 when left out. */
  readonly samples?: number;
}

export const BETAS = [0.9, 0.999] as const;
/** Of weights of one dimension nothing decays: biases and norms. */
const ADAMW = { betas: BETAS, eps: 1e-8, weightDecay: 0.01 } as const;
const CLIP_NORM = 1;

/** All that a case trains with: the configuration of the model that is derived for it. */
export interface Setup {
  readonly step: TrainingStep;
  readonly parts: StepParts;
  readonly judging: Graph;
  readonly forward: Forward;
  readonly open: Partial<OpenOptions>;
  readonly autograd: Omit<AutogradOptions, 'weights'>;
  /** Names of the model's own graphs. */
  readonly graphs: readonly string[];
  /** Weights that a new task gets new; empty where it keeps the old ones. */
  readonly head: ReadonlySet<string>;
  /** The model's own weights. */
  readonly weights: WeightSpec;
  readonly tokenizer: Tokenizer | null;
  /** Text ahead of an image, and how many tokens it is. */
  readonly before: { readonly text: string; readonly tokens: number } | null;
  readonly facts: Readonly<Record<string, number>>;
}

/** The arm's model as one that trains: its graphs are the step and its parts. */
export async function setUp({
  model,
  params,
  batch,
  training,
}: Given<TrainParams>): Promise<ModelDef<Setup>> {
  if (model.files) {
    throw new VersusError('unsupported', 'ONNX files are not trained by this suite', {
      where: model.name,
      next: 'use a model of the zoo, or a checkpoint in safetensors format',
    });
  }
  if (params.by === 'autograd' && params.way !== 'full') {
    throw new VersusError('usage', `the autograd of a backend trains whole weights, not by ${params.way}`, {
      where: model.name,
      next: "set way: 'full', or leave out by",
    });
  }
  const whole = withAllLogits(model);
  const graphs: Record<string, Graph> = await whole.build(whole.config);
  const tokenizer = await tokenizerFor(model, graphs, params);
  const before = tokenizer && graphs.vision && !graphs.encoder ? BEFORE_IMAGE : null;
  const start = before === null ? null : { text: before, tokens: tokenizer!.encode(before).length };
  const renewed = model.task === 'classify' && params.target !== undefined && params.target !== params.base;
  const head = renewed ? headOf(graphs.model!, 'logits') : new Set<string>();
  const arranged = arrange(model, graphs, { ...params, fresh: head });
  const sizes = sizesOf(model, params, batch, start?.tokens);
  const forward = await forwardOf(whole, arranged.graphs, sizes);
  const judged = await forwardOf(whole, arranged.graphs, sizes, { statistics: 'running' });
  const { trainable, lora } = arranged;
  const shapes = new Map(forward.graph.params.map((p) => [p.name, p.shape]));
  const optimiser = { ...ADAMW, decays: (name: string) => (shapes.get(name)?.length ?? 0) > 1 };
  const options: StepOptions = {
    ...{ trainable, target: training, clipNorm: CLIP_NORM },
    optimiser: { kind: 'adamw', ...optimiser },
  };
  const step = await trainingStep(forward, options);
  const learnt = Object.values(graphs).flatMap((g) => g.params.filter((p) => p.role !== 'constant'));
  const all = [...new Map(learnt.map((p) => [p.name, p])).values()];
  const weights = partly(model.weights ?? seeded(), all);
  const setup: Setup = {
    ...{ step, forward, head, weights, tokenizer },
    parts: await stepParts(forward, options, step),
    judging: judging(judged, step, training),
    open: openingOf(step, training),
    autograd: { sizes, trainable, optimiser: { ...optimiser, clipNorm: CLIP_NORM } },
    graphs: Object.keys(graphs),
    before: start,
    facts: factsOf(graphs, arranged, step, params),
  };
  const drawn = [...(lora?.trained ?? []), ...head];
  const { tiling: _, ...rest } = model;
  return {
    ...(rest as Omit<ModelDef, 'config' | 'build'>),
    config: setup,
    build: params.by === 'autograd' ? stepOf : graphsOf,
    weights: drawn.length > 0 ? withAdapters(weights, drawn, seeded()) : weights,
  };
}

/** All that is opened where the backend differentiates: what its losses are compared with. */
const stepOf = ({ step }: Setup): Record<string, Graph> => ({ step: step.graph });

const graphsOf = ({ step, parts, judging }: Setup): Record<string, Graph> => ({
  ...{ step: step.graph, forward: parts.forward, backward: parts.backward, judging },
});

async function tokenizerFor(
  model: ModelDef,
  graphs: Readonly<Record<string, Graph>>,
  { tokenizer }: TrainParams,
): Promise<Tokenizer | null> {
  if (model.task === 'classify') return null;
  return tokenizerOf(model, graphs.embed ? 'embed' : graphs.text ? 'text' : 'model', tokenizer);
}

function sizesOf(model: ModelDef, params: TrainParams, batch: number, before: number | undefined): Sizes {
  const { sequence, prompt, image } = params;
  if (model.tiling && !image) {
    throw new VersusError('usage', `${model.name} takes images of any size, and a batch has one`, {
      next: 'give image, height and width, among the params',
    });
  }
  const [height = 0, width = 0] = image ?? [];
  return {
    batch,
    ...(sequence !== undefined && { sequence }),
    ...(prompt !== undefined && { prompt }),
    ...(before !== undefined && { before }),
    ...(model.tiling && { grid: gridOf(model.tiling, { height, width }) }),
  };
}

function factsOf(
  graphs: Readonly<Record<string, Graph>>,
  { graphs: arranged, trainable, lora }: Arranged,
  step: TrainingStep,
  { sequence, prompt = 0 }: TrainParams,
): Record<string, number> {
  const bytes = (
    params: readonly { dtype: Parameters<typeof bytesPerElement>[0]; shape: readonly number[] }[],
  ) => params.reduce((sum, p) => sum + bytesPerElement(p.dtype) * elementCount(p.shape), 0);
  const kept = step.graph.params.filter((p) => p.role !== 'constant');
  const weights = bytes(kept) + bytes(step.params);
  const own = Object.values(arranged);
  const trained = countOf(own, trainable);
  const learnt = Object.values(graphs).flatMap((g) => g.params.filter((p) => p.role === 'weight'));
  const base = countOf(Object.values(graphs), new Set(learnt.map((p) => p.name)));
  const adapters = lora ? countOf(own, new Set(lora.trained)) : 0;
  const memory = stepMemory(step);
  const { macs, unknown } = graphCost(step.graph, {});
  return {
    ...(unknown.length === 0 && { macs }),
    ...{ nodes: step.graph.nodes.length, weight_bytes: weights },
    ...{ trainable: trained, trainable_share: trained / (base + adapters) },
    ...(lora && { adapter_bytes: 4 * adapters }),
    ...(sequence !== undefined && { tokens: prompt + sequence }),
    predicted_peak: memory.total,
    predicted_weights: memory.weights,
    predicted_frozen: memory.frozen,
    predicted_optimiser: memory.optimiser,
    predicted_gradients: memory.gradients,
    predicted_activations: memory.activations,
    predicted_transient: memory.transient,
    predicted_arena: memory.arena,
  };
}
