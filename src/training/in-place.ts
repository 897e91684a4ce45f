import type { Graph, Node } from '../core/graph.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { inferTypes } from '../graph/infer.ts';
import { operatorOf } from '../graph/ops/index.ts';
import type { StateTensor } from '../transform/optimiser/index.ts';
import { Relation } from '../transform/relation.ts';

/**
 * The graph with every new state tensor made after all else that reads the old one, so that a runtime may write it over the
 * old one, in whichever order it runs nodes that don't depend on each other. Where a reader is no ancestor of the update
 * already (the gradient of a product's other operand reads the weight), a scalar of the update is made to depend on it: on
 * whether one of its elements equals itself, which changes nothing. The order of the nodes is one that this allows.
 */
export function orderedUpdates(graph: Graph, state: readonly StateTensor[]): Graph {
  const g = GraphBuilder.over(graph, inferTypes(graph, {}).types);
  const producers = new Map<string, Node>();
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const output of node.outputs) producers.set(output, node);
    for (const input of new Set(node.inputs)) {
      const known = readers.get(input);
      if (known) known.push(node);
      else readers.set(input, [node]);
    }
  }
  const before = ancestryOf(graph.nodes, producers);
  const inputs = new Map<Node, readonly string[]>();
  const renamed = new Map<string, string>();
  const late: Node[] = [];
  for (const { input, output } of state) {
    const update = producers.get(output)!;
    const open = readersOf(input, readers).filter((reader) => !before(reader, update));
    if (open.length === 0) continue;
    const first = g.nodes.length;
    const guard = (value: Value): Value =>
      g.scope(`order/${input}`, () => open.reduce((v, reader) => after(g, v, reader), value));
    if (open.some((reader) => before(update, reader))) {
      // The new one is read beside the old one: a copy, made later, is what the next step gets.
      renamed.set(guard(g.value(output)).name, output).set(output, `${output}.early`);
      late.push(...g.nodes.slice(first));
      continue;
    }
    const [node, at] = scalarOf(update, producers, g);
    const guarded = guard(g.value(node.inputs[at]!));
    late.push(...g.nodes.slice(first));
    const own = inputs.get(node) ?? node.inputs;
    inputs.set(
      node,
      own.map((name, i) => (i === at ? guarded.name : name)),
    );
  }
  if (late.length === 0) return graph;
  const built = g.build();
  const originals = new Map(graph.nodes.map((n) => [n.outputs[0], n]));
  const rename = (name: string): string => renamed.get(name) ?? name;
  const rewired = built.nodes.map((node) => {
    const original = originals.get(node.outputs[0]);
    const own = (original && inputs.get(original)) ?? node.inputs;
    return { ...node, inputs: own.map(rename), outputs: node.outputs.map(rename) };
  });
  return { ...built, nodes: inOrder(rewired) };
}

/**
 * Nodes that compute with a value, also with what was only moved: a view lies in the same memory, and a runtime may move something
 * later, or elsewhere, than the graph says (onnxruntime's optimiser takes a slice of a slice from the weight itself).
 */
function readersOf(name: string, readers: ReadonlyMap<string, readonly Node[]>): Node[] {
  const found = new Set<Node>();
  const names = [name];
  for (const value of names) {
    for (const reader of readers.get(value) ?? []) {
      const moved = isMoving(reader) ? reader.outputs.filter((o) => readers.has(o)) : [];
      if (moved.length === 0) found.add(reader);
      for (const result of moved) if (!names.includes(result)) names.push(result);
    }
  }
  return [...found];
}

const MOVING: readonly string[] = ['Cast', 'Concat', 'Expand', 'Pad', 'Slice', 'Split', 'Tile', 'Transpose'];

const isMoving = (node: Node): boolean =>
  operatorOf(node)?.bytes === 'view' || (!node.domain && MOVING.includes(node.op));

/** `value`, once `reader` has run. */
function after(g: GraphBuilder, value: Value, reader: Node): Value {
  const result = g.value(reader.outputs.find((o) => o !== '')!);
  const rank = result.shape.length;
  const axes = Array.from({ length: rank }, (_, i) => i);
  const zeros = axes.map(() => 0);
  const one =
    rank === 0
      ? result
      : g.slice(
          result,
          zeros,
          axes.map(() => 1),
          axes,
        );
  const flag = g.reshape(g.equal(one, one), value.shape);
  return g.where(flag, value, value);
}

/** Whether a node is another one, or the other one needs it, for any two nodes in an order in which they can run. */
function ancestryOf(
  nodes: readonly Node[],
  producers: ReadonlyMap<string, Node>,
): (node: Node, of: Node) => boolean {
  const places = new Map(nodes.map((node, i) => [node, i] as const));
  const ancestors = new Relation(nodes.length, nodes.length);
  nodes.forEach((node, i) => {
    ancestors.add(i, i);
    for (const need of needsOf(node, producers)) ancestors.addAll(i, places.get(need)!);
  });
  return (node, of) => ancestors.has(places.get(of)!, places.get(node)!);
}

const needsOf = (node: Node, producers: ReadonlyMap<string, Node>): Node[] =>
  node.inputs.flatMap((input) => producers.get(input) ?? []);

/** The scalar operand that is nearest before an update. */
function scalarOf(update: Node, producers: ReadonlyMap<string, Node>, g: GraphBuilder): [Node, number] {
  const found = new Set([update]);
  for (const node of found) {
    for (const need of needsOf(node, producers)) found.add(need);
    const at = node.inputs.findIndex((name) => {
      if (name === '' || !/float/.test(g.value(name).dtype)) return false;
      return g.value(name).shape.length === 0;
    });
    if (at >= 0) return [node, at];
  }
  throw new RangeError(`the update ${update.name} has no scalar`);
}

/** Nodes after those that make what they read, else in the given order. */
function inOrder(nodes: readonly Node[]): Node[] {
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((o) => [o, node] as const)));
  const done = new Set<Node>();
  const ordered: Node[] = [];
  for (const root of nodes) {
    const open = [root];
    while (open.length > 0) {
      const node = open.at(-1)!;
      const missing = done.has(node)
        ? undefined
        : node.inputs.map((name) => producers.get(name)).find((p) => p && !done.has(p));
      if (missing) {
        open.push(missing);
        continue;
      }
      open.pop();
      if (!done.has(node)) ordered.push(node);
      done.add(node);
    }
  }
  return ordered;
}
