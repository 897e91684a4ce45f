import type { Graph, Node } from '../core/graph.ts';
import { elementCount } from '../core/tensor.ts';
import { type Storage, storagesOf } from '../graph/storage.ts';
import type { Chain } from './chain.ts';
import { savedBy } from './saved.ts';

export const OPTIMISERS = { adamw: 2, momentum: 1, sgd: 0 } as const;
export type Optimiser = keyof typeof OPTIMISERS;

export interface TrainingOptions {
  /** Parameters that learn themselves. */
  readonly trainable: ReadonlySet<string>;
  /** Weights that an adapter of this rank learns beside, by name; they themselves are frozen. */
  readonly adapters?: ReadonlyMap<string, AdapterSize>;
  readonly optimiser: Optimiser;
  /** Bytes of an activation; gradients of activations are as wide. */
  readonly width: 2 | 4;
}

export interface AdapterSize {
  readonly rank: number;
  readonly parameters: number;
}

/** Bytes. Parts add up to `peak`; `peak` is reached at `at`. */
export interface TrainingMemory {
  /** Numbers that learn, not bytes. */
  readonly trainable: number;
  readonly weights: number;
  readonly gradients: number;
  readonly optimiser: number;
  /** What forward keeps for backward. */
  readonly activations: number;
  /** What is alive beyond that at the peak: values on their way through, gradients of activations. */
  readonly transient: number;
  readonly peak: number;
  readonly at: string;
}

/** Gradients and optimiser states are kept in float32 whatever the activations are. */
const FULL = 4;

/**
 * Peak memory of one training step by liveness: forward keeps what the gradients of its operators read, on the paths to the
 * parameters that learn; backward frees it from the end and makes gradients. Weights, gradients and optimiser states
 * stay. A runtime's arena, packed weights and workspaces come on top.
 *
 * @param chain forward up to the logits; the loss keeps one tensor of their size
 * @param weights bytes of all weights as they are stored
 */
export function trainingMemory(chain: Chain, weights: number, options: TrainingOptions): TrainingMemory {
  const { graph, types } = chain;
  const { trainable, optimiser, width } = options;
  const flow = gradientFlow(graph, options);
  const bytes = (name: string): number => {
    const type = types.get(name);
    if (!type?.shape.every((d) => typeof d === 'number')) return 0;
    return (
      elementCount(type.shape as number[]) *
      (type.dtype === 'float32' ? width : type.dtype === 'bool' ? 1 : 8)
    );
  };
  const storages = storagesOf(graph, types, { kept: flow.kept, bytes });
  const learnt = graph.params.filter((p) => trainable.has(p.name));
  const adapters = [...(options.adapters?.values() ?? [])].reduce((sum, a) => sum + a.parameters, 0);
  const count = learnt.reduce((sum, p) => sum + elementCount(p.shape), 0) + adapters;
  const inner = flow.adapterBytes(bytes);
  const activations = savedBytes(storages, flow) + inner;
  const step = timeline(graph, storages, flow, bytes, trainable);
  const gradients = { all: count * FULL, atPeak: step.gradients + adapters * FULL };
  const states = count * FULL * OPTIMISERS[optimiser];
  const busiest = step.bytes + inner + adapters * FULL;
  // When the optimiser runs no activation is left, but every gradient is there.
  const backward = busiest >= gradients.all;
  const working = backward ? busiest - gradients.atPeak : 0;
  const fixed = { weights: weights + adapters * FULL, optimiser: states };
  return {
    trainable: count,
    ...fixed,
    gradients: backward ? gradients.atPeak : gradients.all,
    activations: Math.min(activations, working),
    transient: Math.max(0, working - activations),
    peak: fixed.weights + fixed.optimiser + Math.max(busiest, gradients.all),
    at: backward ? step.at : 'optimiser step',
  };
}

interface Flow {
  /** Values and parameters that get a gradient. */
  readonly wanted: ReadonlySet<string>;
  /** Values that backward reads, and the index of the first node (the last in backward) whose gradient does. */
  readonly saved: ReadonlyMap<string, number>;
  readonly kept: ReadonlySet<string>;
  /** Bytes of the adapters' inner activations, rows × rank each. */
  adapterBytes(bytes: (name: string) => number): number;
}

function gradientFlow(graph: Graph, { trainable, adapters }: TrainingOptions): Flow {
  const params = new Set(graph.params.map((p) => p.name));
  const wanted = new Set<string>(trainable);
  const saved = new Map<string, number>();
  const inner: { readonly input: string; readonly width: number; readonly rank: number }[] = [];
  const save = (name: string, at: number): void => {
    if (name !== '' && !params.has(name)) saved.set(name, Math.min(at, saved.get(name) ?? at));
  };
  graph.nodes.forEach((node, at) => {
    const adapter = node.inputs[1] === undefined ? undefined : adapters?.get(node.inputs[1]);
    if (adapter) {
      save(node.inputs[0]!, at);
      const weight = graph.params.find((p) => p.name === node.inputs[1])!;
      inner.push({ input: node.inputs[0]!, width: innerWidth(node, weight.shape), rank: adapter.rank });
    }
    const needs = node.inputs.map((name) => wanted.has(name));
    if (!adapter && !needs.some(Boolean)) return;
    for (const name of savedBy(node, needs)) save(name, at);
    for (const output of node.outputs) if (output !== '') wanted.add(output);
  });
  for (const { name } of graph.outputs) if (wanted.has(name)) save(name, graph.nodes.length - 1);
  return {
    ...{ wanted, saved, kept: new Set(saved.keys()) },
    adapterBytes: (bytes) =>
      inner.reduce((sum, { input, width, rank }) => sum + (bytes(input) / width) * rank, 0),
  };
}

/** Elements of one row of a product's left operand. */
function innerWidth(node: Node, weight: readonly number[]): number {
  if (node.op === 'Gemm') return weight[node.attrs.transB ? 1 : 0] ?? 1;
  return node.op === 'Conv' ? (weight[1] ?? 1) : (weight.at(-2) ?? 1);
}

function savedBytes(storages: readonly Storage[], { kept }: Flow): number {
  return storages.filter((s) => s.values.some((v) => kept.has(v))).reduce((sum, s) => sum + s.bytes, 0);
}

/** The busiest moment of forward and backward. */
function timeline(
  graph: Graph,
  storages: readonly Storage[],
  { wanted, saved, kept }: Flow,
  bytes: (name: string) => number,
  trainable: ReadonlySet<string>,
): { bytes: number; gradients: number; at: string } {
  const n = graph.nodes.length;
  // Moments 0…n−1 are forward, n…2n−1 backward: node i runs at i and its gradient at 2n − 1 − i.
  const change = new Float64Array(2 * n + 1);
  const alive = (from: number, to: number, size: number): void => {
    change[from]! += size;
    change[to + 1]! -= size;
  };
  for (const storage of storages) {
    const from = Math.max(0, storage.born);
    const uses = storage.values.filter((v) => kept.has(v)).map((v) => 2 * n - 1 - saved.get(v)!);
    const to = uses.length > 0 ? Math.max(...uses) : Math.min(n - 1, Math.max(from, storage.dies));
    alive(from, to, storage.bytes);
  }
  const firstUse = new Map<string, number>();
  const lastUse = new Map<string, number>();
  graph.nodes.forEach((node, at) => {
    for (const input of node.inputs) {
      if (!firstUse.has(input)) firstUse.set(input, at);
      lastUse.set(input, at);
    }
  });
  const outputs = new Set(graph.outputs.map((o) => o.name));
  graph.nodes.forEach((node, at) => {
    for (const output of node.outputs) {
      if (!wanted.has(output)) continue;
      const from = outputs.has(output) ? n : 2 * n - 1 - (lastUse.get(output) ?? at);
      alive(Math.max(n, from), 2 * n - 1 - at, bytes(output));
    }
  });
  const gradients = new Float64Array(2 * n + 1);
  for (const param of graph.params) {
    const last = lastUse.get(param.name);
    if (!trainable.has(param.name) || last === undefined) continue;
    const size = elementCount(param.shape) * FULL;
    change[2 * n - 1 - last]! += size;
    gradients[2 * n - 1 - last]! += size;
  }
  let [live, made] = [0, 0];
  const peak = { bytes: 0, gradients: 0, at: '' };
  for (let t = 0; t < 2 * n; t++) {
    live += change[t]!;
    made += gradients[t]!;
    if (live <= peak.bytes) continue;
    const node = graph.nodes[t < n ? t : 2 * n - 1 - t]!.name;
    Object.assign(peak, { bytes: live, gradients: made, at: `${t < n ? 'forward' : 'backward'} of ${node}` });
  }
  return peak;
}
