/** What inference of a model needs and how fast it could be, from its graphs alone: nothing is loaded and nothing runs. */
import type { ModelDef } from '../core/model.ts';
import { elementCount } from '../core/tensor.ts';
import type { Device } from './devices.ts';
import { cachePerToken, type InferenceMemory, inferenceMemory, weightBytes } from './memory.ts';
import { type Graphs, phasesOf, type Request } from './phases.ts';
import { STORAGES, type StoredAs } from './precision.ts';
import { type Roofline, roofline } from './roofline.ts';

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

function parametersOf(graphs: Graphs): number {
  const sizes = new Map<string, number>();
  for (const graph of Object.values(graphs)) {
    for (const p of graph.params) if (p.role === 'weight') sizes.set(p.name, elementCount(p.shape));
  }
  return [...sizes.values()].reduce((a, b) => a + b, 0);
}
