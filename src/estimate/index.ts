/** What a model needs and how fast it could be, from its graphs alone: nothing is loaded and nothing runs. */
import type { ModelDef } from '../core/model.ts';
import { elementCount } from '../core/tensor.ts';
import { chained } from './chain.ts';
import type { Device } from './devices.ts';
import { cachePerToken, type InferenceMemory, inferenceMemory, weightBytes } from './memory.ts';
import { call, type Graphs, phasesOf, type Request } from './phases.ts';
import { STORAGES, type StoredAs } from './precision.ts';
import { withAllLogits } from './resize.ts';
import { type Roofline, roofline } from './roofline.ts';
import { type TrainingMemory, type TrainingOptions, trainingMemory } from './training.ts';

export interface EstimateOptions extends Request {
  readonly stored: StoredAs;
  readonly device: Device;
}

export interface PhaseEstimate extends Roofline {
  readonly name: string;
  readonly items: number;
}

export interface Estimate {
  readonly parameters: number;
  readonly imageTokens: number;
  readonly context: number | null;
  /** Bytes of all weights and buffers by how they are stored. */
  readonly weights: Readonly<Record<StoredAs, number>>;
  /** Bytes of keys and values of one token of one sequence; null without a cache. */
  readonly cachePerToken: number | null;
  readonly phases: readonly PhaseEstimate[];
  readonly memory: InferenceMemory;
}

/** Inference of one request on a device. */
export async function estimateInference(model: ModelDef, options: EstimateOptions): Promise<Estimate> {
  const { stored, device } = options;
  const half = device.flops.fp16 !== null;
  const graphs: Graphs = await model.build(model.config);
  const middle = phasesOf(model, graphs, options, 'middle');
  const phases = middle.phases.map(({ name, items, calls }) => ({
    ...{ name, items },
    ...roofline(calls, device, stored),
  }));
  const end = phasesOf(model, graphs, options, 'end');
  return {
    parameters: parametersOf(graphs),
    ...{ imageTokens: middle.imageTokens, context: middle.context },
    weights: Object.fromEntries(STORAGES.map((s) => [s, weightBytes(graphs, s, half)])) as Record<
      StoredAs,
      number
    >,
    cachePerToken: cachePerToken(graphs, stored, half),
    phases,
    memory: inferenceMemory(graphs, end, options, stored, half),
  };
}

export interface TrainingRequest extends Omit<TrainingOptions, 'width'> {
  readonly batch: number;
  readonly prompt?: number;
  /** How the weights that don't learn are stored; activations are half as wide with fp16. */
  readonly stored: StoredAs;
}

/** Memory of one training step: forward through all of the model's graphs, backward to what learns, optimiser. */
export async function estimateTraining(model: ModelDef, request: TrainingRequest): Promise<TrainingMemory> {
  const { stored } = request;
  const training = withAllLogits(model);
  const graphs: Graphs = await training.build(training.config);
  const { phases } = phasesOf(training, graphs, { ...request, newTokens: 1 }, 'middle');
  const forward = phases.filter((p) => p.name !== 'decode').flatMap((p) => p.calls);
  const pairs = { ...model.dims, batch: request.batch, images: request.batch, texts: request.batch };
  const calls = graphs.similarity ? [...forward, call(graphs, 'similarity', pairs)] : forward;
  const width = stored === 'fp16' ? 2 : 4;
  return trainingMemory(chained(model.name, calls), weightBytes(graphs, stored, false), {
    ...request,
    width,
  });
}

function parametersOf(graphs: Graphs): number {
  const sizes = new Map<string, number>();
  for (const graph of Object.values(graphs)) {
    for (const p of graph.params) if (p.role === 'weight') sizes.set(p.name, elementCount(p.shape));
  }
  return [...sizes.values()].reduce((a, b) => a + b, 0);
}
