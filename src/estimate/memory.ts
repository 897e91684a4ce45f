import type { Graph } from '../core/graph.ts';
import { elementCount } from '../core/tensor.ts';
import { peakLiveness } from '../graph/storage.ts';
import type { Call, Graphs, Phases } from './phases.ts';
import { activationBytes, elementBytes, paramBytes, productWeights, type StoredAs } from './precision.ts';

export interface InferenceMemory {
  /** Weights and buffers, each once however many graphs share it. */
  readonly weights: number;
  /** The most that inputs, outputs and intermediate values of any phase take, cached keys and values included. */
  readonly activations: number;
  readonly peak: number;
  /** The phase and node at which that is. */
  readonly at: string;
  /** Of that, keys and values when all tokens are generated; null where nothing is cached. */
  readonly cache: number | null;
}

/** Bytes of the weights and buffers of all graphs; what graphs share counts once. */
export function weightBytes(graphs: Graphs, stored: StoredAs, half: boolean): number {
  const sizes = new Map<string, number>();
  for (const graph of Object.values(graphs)) {
    const quantised = productWeights(graph);
    for (const param of graph.params) {
      if (param.role === 'constant') continue;
      const bytes = paramBytes(param, stored, quantised.has(param.name), half);
      // One graph may gather from a weight that another multiplies by: it is kept in the form that both can use.
      sizes.set(param.name, Math.max(bytes, sizes.get(param.name) ?? 0));
    }
  }
  return [...sizes.values()].reduce((a, b) => a + b, 0);
}

/** Bytes that one more token of one sequence takes in the cache of keys and values; null without one. */
export function cachePerToken(graphs: Graphs, stored: StoredAs, half: boolean): number | null {
  const decoder: Graph | undefined = graphs.decoder ?? graphs.model;
  const cached =
    decoder?.inputs.filter((i) => i.name.startsWith('past_key_values.') && i.shape[2] === 'past') ?? [];
  if (cached.length === 0) return null;
  const numbers = cached.map(({ shape }) => elementCount(shape.filter((d) => typeof d === 'number')));
  return numbers.reduce((a, b) => a + b, 0) * activationBytes(stored, half);
}

/**
 * Peak memory of inference: all weights, and the largest working set of any phase from the liveness of its graphs. Packing of
 * weights, arenas and the runtime itself come on top.
 */
export function inferenceMemory(
  graphs: Graphs,
  { phases, context }: Phases,
  request: { readonly batch: number; readonly newTokens: number },
  stored: StoredAs,
  half: boolean,
): InferenceMemory {
  const weights = weightBytes(graphs, stored, half);
  let activations = 0;
  let at = '';
  for (const phase of phases) {
    for (const call of phase.calls) {
      const { bytes, node } = workingSet(call, stored, half);
      if (bytes <= activations) continue;
      activations = bytes;
      at = `${phase.name}, ${call.name}${node ? `/${node}` : ''}`;
    }
  }
  const perToken = cachePerToken(graphs, stored, half);
  const tokens = (graphs.encoder ? 1 : (context ?? 0)) + request.newTokens;
  const cache = perToken === null ? null : perToken * tokens * request.batch;
  return { weights, activations, peak: weights + activations, at, cache };
}

function workingSet({ graph, types }: Call, stored: StoredAs, half: boolean) {
  return peakLiveness(graph, types, {
    bytes: (_, { dtype, shape }) => elementCount(shape as number[]) * elementBytes(dtype, stored, half),
  });
}
