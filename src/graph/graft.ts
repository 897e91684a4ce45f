import { VersusError } from '../core/errors.ts';
import type { Graph, Param } from '../core/graph.ts';
import type { GraphBuilder, Value } from './builder.ts';
import { showShape } from './dims.ts';
import { neededNodes } from './needed.ts';

/**
 * Puts a whole graph into one under construction: its inputs read values that are there already, its outputs become values. Sizes
 * follow from those that are fed, so a graph with symbolic dimensions gets numbers where the values have them.
 * Parameters go by their names: two graphs that have the same one share it.
 *
 * @param scope before the names of its nodes
 * @param inputs what each of the graph's inputs reads; those that no wanted output needs may be missing
 * @param wanted its outputs that are read; nodes that none of them needs are left out
 * @returns the wanted outputs by name
 * @throws VersusError `input` when an input is missing or does not fit, or when the graph's shapes contradict what it is fed;
 *   `unsupported` for another operator set than the builder's
 */
export function graft(
  g: GraphBuilder,
  scope: string,
  graph: Graph,
  inputs: Readonly<Record<string, Value>>,
  wanted: readonly string[],
): Record<string, Value> {
  const where = `graph ${graph.name} in ${g.name}`;
  const opset = graph.opset[''] ?? graph.opset['ai.onnx'] ?? 17;
  if (opset !== g.opset) {
    throw new VersusError('unsupported', `operator set ${opset} beside ${g.opset}`, {
      where,
      next: 'export all graphs of the model for one operator set',
    });
  }
  const absent = wanted.find((name) => !graph.outputs.some((o) => o.name === name));
  if (absent !== undefined) {
    throw new VersusError('input', `there is no output ${absent}`, {
      where,
      next: `its outputs are ${graph.outputs.map((o) => o.name).join(', ')}`,
    });
  }
  const values = new Map<string, Value>();
  for (const { name, dtype, shape } of graph.inputs) {
    const fed = inputs[name];
    if (!fed) continue;
    if (fed.dtype !== dtype || fed.shape.length !== shape.length) {
      throw new VersusError(
        'input',
        `input ${name} is ${dtype}${showShape(shape)}, not ${fed.dtype}${showShape(fed.shape)}`,
        { where },
      );
    }
    values.set(name, fed);
  }
  const params = new Map(graph.params.map((p) => [p.name, p]));
  const read = (name: string): Value => {
    const known = values.get(name);
    if (known) return known;
    const param = params.get(name);
    if (!param) throw new VersusError('input', `nothing is given for its input ${name}`, { where });
    const value = adopt(g, param);
    values.set(name, value);
    return value;
  };
  g.scope(scope, () => {
    for (const node of neededNodes(graph, wanted)) {
      const given = node.inputs.map((name) => (name === '' ? null : read(name)));
      const options = { outputs: node.outputs.length, ...(node.domain && { domain: node.domain }) };
      const make = () => g.op(node.op, given, node.attrs, options);
      const folder = folderOf(node.name);
      const results = folder === '' ? make() : g.scope(folder, make);
      node.outputs.forEach((name, i) => {
        if (name !== '') values.set(name, results[i]!);
      });
    }
  });
  return Object.fromEntries(wanted.map((name) => [name, read(name)]));
}

/** Numbers of weights are wherever the model's weights are; those of constants are of the program. */
function adopt(g: GraphBuilder, { name, dtype, shape, role, init, data, packed }: Param): Value {
  if (role === 'constant' && data) return g.constant({ dtype, shape, data }, name.replace(/^const\//, ''));
  const kind = role === 'weight' ? 'weight' : 'buffer';
  return g.param(name, shape, init, { role: kind, dtype, ...(packed && { packed }) });
}

/** The scope that a node's name tells: `layers.0/attention` of `layers.0/attention/MatMul_3`. */
function folderOf(name: string): string {
  return name.replace(/^\/+/, '').split('/').slice(0, -1).join('/');
}
