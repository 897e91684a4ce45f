import type { NodeTime } from '../core/backend.ts';
import type { Graph, Node } from '../core/graph.ts';
import { elementCount } from '../core/tensor.ts';
import { nodeCosts } from '../graph/cost.ts';
import { inferTypes } from '../graph/infer.ts';
import { bytesOf, type Type } from '../graph/ops/entry.ts';
import { operatorOf } from '../graph/ops/index.ts';
import { membersOf } from './members.ts';

/** What a node that ran computes and moves; null where that is not known. */
export interface Work {
  readonly macs: number | null;
  readonly bytes: number | null;
}

const UNKNOWN: Work = { macs: null, bytes: null };

/**
 * Multiply–accumulates per element of the result of operators that runtimes make of several, by the same count as in
 * `graph/cost.ts`: 5 for a layer normalisation, nothing for activations, for a root mean square (which graphs spell out), and
 * for what changes layouts or crosses between devices.
 */
const PER_ELEMENT: Readonly<Record<string, number>> = {
  ...{ LayerNormalization: 5, SkipLayerNormalization: 5, EmbedLayerNormalization: 5 },
  ...{ SimplifiedLayerNormalization: 0, SkipSimplifiedLayerNormalization: 0 },
  ...{ QuickGelu: 0, FastGelu: 0, BiasGelu: 0, BiasSoftmax: 0, ReorderInput: 0, ReorderOutput: 0 },
  ...{ MemcpyFromHost: 0, MemcpyToHost: 0 },
};

/**
 * The work of every node that ran, from the graph that was given: of the nodes that it stands for (`membersOf`), the
 * multiply–accumulates as `graph/cost.ts` counts them, and the bytes of what they read from outside and hand on; what the
 * backend itself says counts first. A node that nothing is known of has null: an attention that onnxruntime fused, for example,
 * or one whose results are not of the size that the graph says.
 *
 * @param dims sizes of the graph's symbolic dimensions
 */
export function worksOf(
  graph: Graph,
  dims: Readonly<Record<string, number>>,
  times: readonly NodeTime[],
): Work[] {
  const { types } = inferTypes(graph, dims);
  const costs = nodeCosts(graph, types);
  const members = membersOf(graph, times);
  const claims = new Map<number, number>();
  for (const at of members.flatMap((own) => own ?? [])) claims.set(at, (claims.get(at) ?? 0) + 1);
  return times.map((time, i) => {
    if (time.macs !== undefined) return { macs: time.macs, bytes: time.bytes ?? null };
    const own = members[i];
    if (!own) return alone(time);
    // Two nodes that claim one share its work in a way that nobody knows.
    if (own.some((at) => claims.get(at)! > 1)) return UNKNOWN;
    const nodes = own.map((at) => graph.nodes[at]!);
    if (!ofSize(time, nodes, types)) return UNKNOWN;
    const all = own.map((at) => costs[at]);
    if (all.some((cost) => !cost)) return UNKNOWN;
    return {
      macs: all.reduce((sum, cost, k) => sum + (folded(nodes[k]!, nodes) ? 0 : cost!.macs), 0),
      bytes: own.length === 1 ? all[0]!.bytes : most(bytesAround(graph, nodes, types), time.bytes),
    };
  });
}

/** What was fused may read more than the graph tells, as a residual; the runtime in turn may leave weights out. */
const most = (told: number | null, counted: number | undefined): number | null =>
  told === null ? null : Math.max(told, counted ?? 0);

/** A batch normalisation that runs along with a convolution is in its weights by now and computes nothing. */
const folded = (node: Node, group: readonly Node[]): boolean =>
  node.op === 'BatchNormalization' && group.length > 1;

/** A node that the runtime made: what moves or what works element by element computes no multiply–accumulates. */
function alone(time: NodeTime): Work {
  const bytes = time.bytes ?? null;
  const [result] = time.outputs;
  if (Object.hasOwn(PER_ELEMENT, time.op)) {
    const each = PER_ELEMENT[time.op]!;
    if (each > 0 && result === undefined) return UNKNOWN;
    return { macs: each === 0 ? 0 : each * elementCount(result!), bytes };
  }
  const entry = operatorOf({ op: time.op });
  return entry !== undefined && entry.macs === undefined ? { macs: 0, bytes } : UNKNOWN;
}

/** Padded layouts hold more than the graph says, never less; nothing is compared where sizes are unknown. */
function ofSize(time: NodeTime, nodes: readonly Node[], types: ReadonlyMap<string, Type>): boolean {
  const [first] = time.outputs;
  const shape = types.get(nodes.at(-1)!.outputs[0] ?? '')?.shape;
  if (first === undefined || !shape?.every((dim) => typeof dim === 'number')) return true;
  return elementCount(first) >= elementCount(shape as readonly number[]);
}

/** Bytes that nodes which run as one read from outside and hand on. */
function bytesAround(graph: Graph, nodes: readonly Node[], types: ReadonlyMap<string, Type>): number | null {
  const made = new Set(nodes.flatMap((node) => node.outputs));
  const inside = new Set(nodes);
  const read = new Set(nodes.flatMap((node) => node.inputs).filter((name) => name !== '' && !made.has(name)));
  const wanted = new Set([
    ...graph.outputs.map((output) => output.name),
    ...graph.nodes.filter((node) => !inside.has(node)).flatMap((node) => node.inputs),
  ]);
  let bytes = 0;
  for (const name of [...read, ...[...made].filter((name) => name !== '' && wanted.has(name))]) {
    const type = types.get(name);
    if (!type?.shape.every((dim) => typeof dim === 'number')) return null;
    bytes += bytesOf(type.dtype, type.shape as readonly number[]);
  }
  return bytes;
}
