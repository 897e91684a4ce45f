import { VersusError } from '../core/errors.ts';
import type { Attribute, Graph, Node, Param, ValueInfo } from '../core/graph.ts';
import { UNKNOWN_RANK } from '../graph/dims.ts';
import { inferTypes } from '../graph/infer.ts';
import { isGraph } from './captures.ts';

/**
 * The graph in which every If whose condition is known is replaced by the nodes of the branch that is taken. Known is what
 * follows from constants and from shapes: exporters ask whether a dimension is 1, or leave the switch of a merged decoder as
 * an initialiser. Branches within branches are folded too; an If that depends on what is fed stays.
 *
 * What a branch has of its own gets the node's name in front (`if/x`), so that two branches never meet; what it captures from
 * the graph around it is the same value still. Results of the graph keep their names.
 *
 * @param dims sizes of symbolic dimensions, by which more conditions may be known
 * @throws VersusError `input` for an If whose branch doesn't fit it
 */
export function foldIfs(graph: Graph, dims: Readonly<Record<string, number>> = {}): Graph {
  let folded = graph;
  // Each round opens the branches of one more level; decoding bounds how deep they are.
  while (folded.nodes.some((node) => node.op === 'If' && !node.domain)) {
    const next = foldLevel(folded, dims);
    if (next === folded) break;
    folded = next;
  }
  return folded;
}

function foldLevel(graph: Graph, dims: Readonly<Record<string, number>>): Graph {
  const { types } = inferTypes(graph, dims);
  const names = new Set([
    ...[...graph.inputs, ...graph.params].map(({ name }) => name),
    ...graph.nodes.flatMap((node) => node.outputs),
  ]);
  const params: Param[] = [...graph.params];
  const values: Record<string, ValueInfo> = Object.assign(Object.create(null), graph.values);
  let changed = false;
  const nodes = graph.nodes.flatMap((node) => {
    if (node.op !== 'If' || node.domain) return [node];
    const condition = types.get(node.inputs[0] ?? '')?.value;
    if (condition?.length !== 1 || typeof condition[0] !== 'number') return [node];
    changed = true;
    const inlined = inline(node, branchOf(node, condition[0] !== 0), names);
    params.push(...inlined.params);
    for (const info of inlined.values) values[info.name] ??= info;
    return inlined.nodes;
  });
  if (!changed) return graph;
  return { ...graph, params, nodes, ...(Object.keys(values).length > 0 && { values }) };
}

function branchOf(node: Node, taken: boolean): Graph {
  const attribute = node.attrs[taken ? 'then_branch' : 'else_branch'];
  const problem =
    attribute === undefined || !isGraph(attribute)
      ? `it has no ${taken ? 'then_branch' : 'else_branch'}`
      : attribute.graph.outputs.length !== node.outputs.length
        ? `its branch gives ${attribute.graph.outputs.length} results where it has ${node.outputs.length}`
        : attribute.graph.inputs.length > 0
          ? 'its branch wants inputs'
          : null;
  if (problem !== null) throw new VersusError('input', `If: ${problem}`, { where: `node ${node.name}` });
  return (attribute as { graph: Graph }).graph;
}

function inline(
  node: Node,
  branch: Graph,
  names: Set<string>,
): {
  readonly nodes: readonly Node[];
  readonly params: readonly Param[];
  readonly values: readonly ValueInfo[];
} {
  const stem = node.name || node.outputs.find((name) => name !== '') || 'if';
  const renamed = new Map<string, string>();
  const produced = new Set(branch.nodes.flatMap((inner) => inner.outputs));
  const copies: Node[] = [];
  branch.outputs.forEach(({ name }, i) => {
    const result = node.outputs[i]!;
    if (result === '') return;
    // A result that is captured, a parameter, or given twice has no producer here that could bear its name.
    if (produced.has(name) && !renamed.has(name)) renamed.set(name, result);
    else
      copies.push({
        op: 'Identity',
        name: `${stem}/${result}`,
        inputs: [name],
        outputs: [result],
        attrs: {},
      });
  });
  for (const name of [...branch.params.map((p) => p.name), ...produced]) {
    if (name !== '' && !renamed.has(name)) renamed.set(name, fresh(names, `${stem}/${name}`));
  }
  const nodes = [...branch.nodes, ...copies].map((inner) => renameNode(inner, renamed));
  return {
    nodes: nodes.map((inner, i) =>
      i < branch.nodes.length ? { ...inner, name: `${stem}/${inner.name || inner.op}` } : inner,
    ),
    params: branch.params.map((p) => ({ ...p, name: renamed.get(p.name)! })),
    values: [...Object.values(branch.values ?? {}), ...branch.outputs].flatMap((info) => {
      const name = renamed.get(info.name);
      return name === undefined || info.shape[0] === UNKNOWN_RANK ? [] : [{ ...info, name }];
    }),
  };
}

function renameNode(node: Node, renamed: ReadonlyMap<string, string>): Node {
  const named = (name: string): string => renamed.get(name) ?? name;
  const attrs = Object.fromEntries(
    Object.entries(node.attrs).map(([name, value]): [string, Attribute] => [
      name,
      isGraph(value) ? { kind: 'graph', graph: renameCaptured(value.graph, renamed) } : value,
    ]),
  );
  return { ...node, inputs: node.inputs.map(named), outputs: node.outputs.map(named), attrs };
}

/** What a subgraph captures under its new name; what it has of its own, perhaps by the same name, stays. */
function renameCaptured(graph: Graph, renamed: ReadonlyMap<string, string>): Graph {
  const visible = new Map(renamed);
  for (const { name } of [...graph.inputs, ...graph.params]) visible.delete(name);
  for (const name of graph.nodes.flatMap((node) => node.outputs)) visible.delete(name);
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renameNode(node, visible)),
    outputs: graph.outputs.map((o) => ({ ...o, name: visible.get(o.name) ?? o.name })),
  };
}

function fresh(names: Set<string>, wanted: string): string {
  let name = wanted;
  for (let i = 1; names.has(name); i++) name = `${wanted}_${i}`;
  names.add(name);
  return name;
}
