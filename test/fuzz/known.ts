import type { Node } from '../../src/core/graph.ts';
import type { Tensor, Tensors } from '../../src/core/tensor.ts';
import { inferTypes } from '../../src/graph/infer.ts';
import type { Type } from '../../src/graph/ops/entry.ts';
import type { FuzzCase } from './sketch.ts';

/** What a condition sees of a node: it, the operator set, and its inputs as far as they are known. */
export interface Site {
  readonly node: Node;
  readonly opset: number;
  /** Type and shape of an input, and its contents when they are few and constant. */
  readonly input: (i: number) => Type | undefined;
  /** What a fed or constant input holds. */
  readonly data: (i: number) => Tensor | undefined;
  /** Operators that read its results. */
  readonly readers: readonly string[];
}

/** A fault of a runtime's release. The fuzzer passes over it; a test holds that it is still there. */
export interface KnownBug {
  readonly runtime: string;
  readonly version: string;
  /** `*`: any. */
  readonly op: string;
  /** Which uses of the operator are hit. */
  readonly when: (site: Site) => boolean;
  /** What goes wrong, in one sentence. */
  readonly about: string;
  readonly example: () => Example;
}

/** A small graph that shows a fault. */
export interface Example extends FuzzCase {
  /** The model's bytes, where our encoder would not write them so. */
  readonly model?: Uint8Array;
  /** The same by other operators, where the reference lacks the one that is at fault. */
  readonly instead?: FuzzCase['graph'];
}

/** The known faults that a case would run into on a runtime. */
export function knownIn({ graph, feeds }: FuzzCase, runtime: string, bugs: readonly KnownBug[]): KnownBug[] {
  const own = bugs.filter((bug) => bug.runtime === runtime);
  const fits = (bug: KnownBug, node: Node): boolean => bug.op === node.op || bug.op === '*';
  if (!graph.nodes.some((node) => own.some((bug) => fits(bug, node)))) return [];
  const types = typesOf(graph, feeds);
  const siteOf = (node: Node): Site => ({
    node,
    opset: graph.opset['']!,
    input: (i) => types.get(node.inputs[i] ?? ''),
    data: (i) => feeds[node.inputs[i] ?? ''] ?? held.get(node.inputs[i] ?? ''),
    readers: graph.nodes.filter((n) => n.inputs.some((i) => node.outputs.includes(i))).map((n) => n.op),
  });
  const held = new Map(graph.params.flatMap((p) => (p.data ? [[p.name, p as Tensor] as const] : [])));
  return own.filter((bug) => graph.nodes.some((node) => fits(bug, node) && bug.when(siteOf(node))));
}

function typesOf(graph: FuzzCase['graph'], feeds: Tensors): ReadonlyMap<string, Type> {
  try {
    const inputs = graph.inputs.map((i) => ({ ...i, shape: feeds[i.name]?.shape ?? i.shape }));
    return inferTypes({ ...graph, inputs, values: {} }, {}).types;
  } catch {
    return new Map();
  }
}

/** A graph of one node: fed tensors first, then constants. `y` is its output. */
export function single(
  op: string,
  feeds: Tensors,
  attrs: Node['attrs'],
  options: { opset?: number; domain?: string; constants?: Tensors; floats?: readonly string[] } = {},
): FuzzCase {
  const { opset = 17, domain, constants = {}, floats } = options;
  const inputs = Object.entries(feeds).map(([name, t]) => ({ name, dtype: t.dtype, shape: t.shape }));
  const params = Object.entries(constants).map(([name, t]) => ({ name, ...t, role: 'constant' as const }));
  const node: Node = {
    ...{ op, name: 'node', inputs: [...inputs, ...params].map((v) => v.name), outputs: ['y'], attrs },
    ...(domain && { domain }),
    ...(floats && { floats }),
  };
  const graph = {
    name: 'known',
    opset: { '': opset, ...(domain && { [domain]: 1 }) },
    inputs,
    params,
    nodes: [node],
  };
  const type = inferTypes({ ...graph, outputs: [] }, {}).types.get('y');
  const output = {
    name: 'y',
    dtype: type?.dtype ?? inputs[0]!.dtype,
    shape: type?.shape ?? inputs[0]!.shape,
  };
  return { graph: { ...graph, outputs: [output] }, feeds };
}
