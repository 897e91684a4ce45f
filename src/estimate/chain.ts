import type { Graph, Node, Param, ValueInfo } from '../core/graph.ts';
import type { Type } from '../graph/ops/entry.ts';
import type { Call } from './phases.ts';

/** Several calls as one graph with its types: what a training step differentiates through. */
export interface Chain {
  readonly graph: Graph;
  readonly types: ReadonlyMap<string, Type>;
}

/**
 * Joins calls, each of which reads what an earlier one gives: an input takes the output that has its name, `present.*` for
 * `past_key_values.*`, the encoder reads embeddings, and image features are put between embedded tokens.
 */
export function chained(name: string, calls: readonly Call[]): Chain {
  const types = new Map<string, Type>();
  const inputs: ValueInfo[] = [];
  const params = new Map<string, Param>();
  const nodes: Node[] = [];
  const given = new Map<string, string>();
  let outputs: ValueInfo[] = [];
  calls.forEach((call, index) => {
    const prefix = `${index}.${call.name}/`;
    const owned = new Set(call.graph.params.map((p) => p.name));
    const linked = new Map<string, string>();
    const rename = (value: string): string =>
      value === '' || owned.has(value) ? value : (linked.get(value) ?? prefix + value);
    for (const param of call.graph.params) params.set(param.name, param);
    for (const input of call.graph.inputs) {
      const source = given.get(input.name.replace(/^past_key_values\./, 'present.'));
      if (source === undefined) inputs.push({ ...input, name: rename(input.name) });
      else linked.set(input.name, linkOf(input.name, source, given.get('image_features'), prefix, nodes));
    }
    for (const [value, type] of call.types) types.set(owned.has(value) ? value : prefix + value, type);
    for (const node of call.graph.nodes) {
      nodes.push({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) });
    }
    for (const output of call.graph.outputs) given.set(output.name, rename(output.name));
    // Training reads the logits; keys and values for later calls are of no use to it.
    const logits = call.graph.outputs.filter((o) => o.name.startsWith('logits'));
    outputs = (logits.length > 0 ? logits : call.graph.outputs).map((o) => ({ ...o, name: rename(o.name) }));
  });
  const opset = calls[0]!.graph.opset;
  return { graph: { name, opset, inputs, outputs, params: [...params.values()], nodes }, types };
}

/** The value that an input reads; where there are image features, embeddings get them in place through a node of their own. */
function linkOf(
  input: string,
  source: string,
  features: string | undefined,
  prefix: string,
  nodes: Node[],
): string {
  if (input !== 'inputs_embeds' || features === undefined) return source;
  const spliced = prefix + input;
  nodes.push({
    op: 'Sum',
    name: `${prefix}splice`,
    inputs: [source, features],
    outputs: [spliced],
    attrs: {},
  });
  return spliced;
}
