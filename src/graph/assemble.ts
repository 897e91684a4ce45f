import { VersusError } from '../core/errors.ts';
import type { Graph, Node, Param, ValueInfo } from '../core/graph.ts';
import type { Value } from './fluent.ts';
import type { Type } from './ops/entry.ts';
import { validateGraph } from './validate.ts';

/** What a builder has gathered. */
export interface Pieces {
  readonly name: string;
  readonly opset: Readonly<Record<string, number>>;
  readonly inputs: readonly ValueInfo[];
  readonly params: readonly Param[];
  readonly nodes: readonly Node[];
  readonly outputs: readonly { readonly name: string; readonly value: Value }[];
  readonly types: ReadonlyMap<string, Type>;
  /** Everything has to contribute to an output. */
  readonly whole: boolean;
}

/**
 * The graph of a builder's pieces, validated; values behind outputs take the outputs' names, constants that nobody reads go.
 * @throws VersusError `input` when there is no output; where everything must contribute, for a node or a weight that does not
 */
export function assemble(pieces: Pieces): Graph {
  const { name, inputs, outputs, nodes, types, whole } = pieces;
  const fail = (problem: string, node?: string): never => {
    throw new VersusError('input', problem, { where: `graph ${name}${node ? `, node ${node}` : ''}` });
  };
  if (outputs.length === 0) fail('no output is declared');
  const renamed = new Map(outputs.map((o) => [o.value.name, o.name]));
  const rename = (value: string): string => renamed.get(value) ?? value;
  const used = new Set(outputs.map((o) => o.value.name));
  for (const node of nodes) for (const input of node.inputs) used.add(input);
  const params = pieces.params.filter((p) => p.role !== 'constant' || used.has(p.name));
  if (whole) {
    const idle = nodes.find((n) => !n.outputs.some((o) => used.has(o)));
    if (idle) fail('its result is used by nothing', idle.name);
    const spare = params.find((p) => !used.has(p.name));
    if (spare) fail(`parameter ${spare.name} is used by nothing`);
  }
  const values: Record<string, ValueInfo> = {};
  for (const [value, { dtype, shape }] of types) {
    values[rename(value)] = { name: rename(value), dtype, shape };
  }
  const graph: Graph = {
    name,
    opset: { ...pieces.opset, ...domainsOf(nodes) },
    inputs,
    outputs: outputs.map((o) => ({ name: o.name, dtype: o.value.dtype, shape: o.value.shape })),
    params,
    nodes: nodes.map((n) => ({ ...n, inputs: n.inputs.map(rename), outputs: n.outputs.map(rename) })),
    values,
  };
  validateGraph(graph);
  return graph;
}

/** Version 1 of every domain besides the standard one that nodes come from. */
function domainsOf(nodes: readonly Node[]): Record<string, number> {
  const named = nodes.flatMap(({ domain }) => (domain && domain !== 'ai.onnx' ? [domain] : []));
  return Object.fromEntries([...new Set(named)].map((domain) => [domain, 1]));
}
