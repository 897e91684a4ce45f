import type { Attribute, Node } from '../core/graph.ts';
import type { DType, Tensors } from '../core/tensor.ts';
import type { OutputDifference } from '../stats/parity.ts';
import { readsOf } from '../transform/captures.ts';
import { isolate } from '../transform/expose.ts';
import { differenceOf } from './differ.ts';
import { type Failure, failureOf, runOnce } from './model.ts';
import { type Found, type Side, type Value, valuesOf, valuesOn } from './sweep.ts';
import type { Workbench } from './workbench.ts';

/** A node as people and `--json` get it. */
export interface NodeReport {
  readonly name: string;
  readonly op: string;
  /** '' for the standard operators. */
  readonly domain: string;
  readonly opset: number | null;
  /** Place among the graph's nodes, from 0. */
  readonly index: number;
  readonly attributes: Readonly<Record<string, string | number | readonly (string | number)[]>>;
  readonly inputs: readonly NodeInput[];
  /** Its result that differs. */
  readonly output: OutputDifference;
  /** The node by itself, fed on both sides with what the reference computed; null where that could not be run. */
  readonly alone: { readonly differs: boolean; readonly output: OutputDifference } | null;
  readonly alone_failure: Failure | null;
}

export interface NodeInput {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly parameter: boolean;
}

/**
 * What is known of a node whose result differs, and whether it is the node itself: run alone on both sides with the
 * reference's own inputs, it differs again, or else only passes on (or enlarges) what earlier nodes were off by.
 */
export async function reportOf(
  bench: Workbench,
  tested: Side,
  reference: Side,
  feeds: Tensors,
  tolerance: number,
  found: Found,
): Promise<NodeReport> {
  const { node, index } = found.value;
  const { graph } = bench;
  const params = new Map(graph.params.map((p) => [p.name, p]));
  const read = [...readsOf(node)];
  const given: Tensors = {};
  for (const name of read) if (feeds[name]) given[name] = feeds[name];
  const computed = valuesOf(graph, feeds).filter((v) => read.includes(v.info.name));
  if (computed.length > 0) Object.assign(given, await valuesOn(reference, bench, computed, feeds));
  const inputs = read.flatMap((name): NodeInput[] => {
    const value = given[name] ?? params.get(name);
    return value ? [{ name, dtype: value.dtype, shape: value.shape, parameter: params.has(name) }] : [];
  });
  const outcome = await alone(bench, [tested, reference], found.value, given, tolerance).then(
    (output) => ({ alone: { differs: !output.agrees, output }, alone_failure: null }),
    (error: unknown) => ({ alone: null, alone_failure: failureOf(error) }),
  );
  return {
    ...{ name: node.name, op: node.op, domain: node.domain ?? '', index },
    opset: graph.opset[node.domain ?? ''] ?? null,
    attributes: Object.fromEntries(Object.entries(node.attrs).map(([name, a]) => [name, shown(a)])),
    ...{ inputs, output: found.difference, ...outcome },
  };
}

async function alone(
  bench: Workbench,
  [tested, reference]: readonly [Side, Side],
  { node, info, guessed }: Value,
  given: Tensors,
  tolerance: number,
): Promise<OutputDifference> {
  const inputs = Object.entries(given).map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  const graph = isolate(bench.graph, node, inputs, [info]);
  const artifact = await bench.make(graph, guessed ? new Set([info.name]) : undefined);
  const expected = await runOnce(reference.backend, artifact, given, reference.open);
  const actual = await runOnce(tested.backend, artifact, given, tested.open);
  return differenceOf(info.name, actual, expected, tolerance);
}

/** Values of constants that a node reads without a name of their own would be megabytes: only their type is told. */
function shown(value: Attribute): string | number | readonly (string | number)[] {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || Array.isArray(value)) return value as string | number;
  if (!('kind' in value)) return value;
  return value.kind === 'graph'
    ? `graph ${value.graph.name} of ${value.graph.nodes.length} nodes`
    : `${value.dtype} [${value.shape.join(', ')}]`;
}

/** `Conv`, or `com.microsoft.MultiHeadAttention`. */
export const operatorName = ({ op, domain }: Pick<Node, 'op' | 'domain'>): string =>
  domain ? `${domain}.${op}` : op;
