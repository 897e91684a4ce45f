import { VersusError } from '../../core/errors.ts';
import type { Graph, Node } from '../../core/graph.ts';
import { GraphBuilder, type Value } from '../../graph/builder.ts';
import { inferTypes } from '../../graph/infer.ts';
import { byDomain } from '../../graph/ops/index.ts';
import { hasSubgraph } from '../view.ts';
import { Backward, type Means, type Rule } from './rule.ts';
import { MICROSOFT_RULES, RULES, VERSUS_RULES } from './rules/index.ts';

/** Gradients that come from outside: of the values by name, each of that value's shape. */
export type Seeds = ReadonlyMap<string, Value>;

/**
 * Reverse-mode differentiation (Griewank and Walther, "Evaluating derivatives", 2008, chapter 3): one walk over the nodes from
 * the last to the first, along paths from the asked-for values to the seeded ones only. What no such path passes gets no node.
 *
 * @param g a builder over the forward graph, all of whose shapes on those paths are numbers
 * @param seeds gradients to start from: for a loss the scalar 1
 * @param wrt names of inputs, parameters or intermediate values
 * @param means what the runtime can do besides what all can
 * @returns the gradient of each of `wrt`, of its shape and element type; zeros for one that no seeded value depends on
 * @throws VersusError `unsupported` naming operator and node where an operator has no rule, `usage` for a name in `wrt` that
 *   the graph lacks
 */
export function addGradients(
  g: GraphBuilder,
  seeds: Seeds,
  wrt: readonly string[],
  means: Means = {},
): Map<string, Value> {
  const nodes = g.nodes.slice();
  const active = dependents(nodes, wrt);
  const gradients = new Map<string, Value>();
  const give = (name: string, gradient: Value): void => {
    const before = gradients.get(name);
    gradients.set(name, before ? g.add(before, gradient) : gradient);
  };
  for (const [name, seed] of seeds) if (active.has(name)) give(name, seed);
  for (const node of nodes.reverse()) {
    const wanted = node.inputs.map((name) => active.has(name) && isFloat(g, name));
    const own = node.outputs.map((name) => (name === '' ? null : (gradients.get(name) ?? null)));
    if (!wanted.some(Boolean) || !own.some(Boolean)) continue;
    const take = (name: string): Value | null => {
      const before = gradients.get(name) ?? null;
      gradients.delete(name);
      return before;
    };
    const b = new Backward(node, g, own, wanted, take, means);
    const results = g.scope(`gradient/${node.name || node.op}`, () => ruleOf(node, b)(b));
    results.forEach((gradient, i) => {
      if (gradient && wanted[i]) give(node.inputs[i]!, gradient);
    });
    // Nothing further back reads the gradient of a result, unless it was asked for.
    for (const name of node.outputs) if (!wrt.includes(name)) gradients.delete(name);
  }
  return new Map(wrt.map((name) => [name, gradients.get(name) ?? zeros(g, name)]));
}

/**
 * A graph with the gradients of one of its outputs beside its outputs.
 *
 * @param loss an output of one element; the gradient of the sum of its elements where it has more
 * @param wrt names of parameters, inputs or intermediate values
 * @param dims sizes for the graph's symbolic dimensions
 * @returns the graph with outputs `grad.<name>` besides its own
 * @throws VersusError as `addGradients`; `usage` when `loss` is no output
 */
export function gradient(
  graph: Graph,
  loss: string,
  wrt: readonly string[],
  dims: Readonly<Record<string, number>> = {},
): Graph {
  if (!graph.outputs.some((o) => o.name === loss)) {
    throw new VersusError('usage', `the graph has no output '${loss}'`, {
      where: `graph ${graph.name}`,
      next: `outputs: ${graph.outputs.map((o) => o.name).join(', ')}`,
    });
  }
  const { types, inputs } = inferTypes(graph, dims);
  const g = GraphBuilder.over({ ...graph, inputs }, types);
  const { shape, dtype } = g.value(loss);
  const one = g.scalar(1, dtype);
  const seed = shape.length === 0 ? one : g.expand(one, g.dims(shape));
  for (const [name, value] of addGradients(g, new Map([[loss, seed]]), wrt)) g.output(`grad.${name}`, value);
  return g.build();
}

/** Names of all values that depend on the given ones, these included. */
function dependents(nodes: readonly Node[], names: readonly string[]): Set<string> {
  const found = new Set(names);
  for (const node of nodes) {
    if (!node.inputs.some((name) => found.has(name))) continue;
    for (const output of node.outputs) if (output !== '') found.add(output);
  }
  return found;
}

function ruleOf(node: Node, b: Backward): Rule {
  const table = byDomain(node, RULES, MICROSOFT_RULES, VERSUS_RULES);
  if (hasSubgraph(node)) b.fail('it has a subgraph', 'train a graph without If, Loop and Scan');
  return table && Object.hasOwn(table, node.op)
    ? table[node.op]!
    : b.fail('it has no rule', 'freeze the parameters before it, or write it in other operators');
}

function isFloat(g: GraphBuilder, name: string): boolean {
  return name !== '' && /float/.test(g.value(name).dtype);
}

function zeros(g: GraphBuilder, name: string): Value {
  const { shape, dtype } = g.value(name);
  return g.expand(g.scalar(0, dtype), g.dims(shape));
}
