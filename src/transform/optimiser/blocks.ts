import type { Graph, Node, Param, ValueInfo } from '../../core/graph.ts';
import { elementCount, int64 } from '../../core/tensor.ts';
import { inferTypes } from '../../graph/infer.ts';
import { readsOf } from '../captures.ts';
import { freshNames, isOp } from '../view.ts';
import type { StateTensor } from './state.ts';

/**
 * Elements of a block, whose tensors then stay in a core's cache: from 2^16 to 2^18 onnxruntime's CPU is fastest, and the more of them
 * the less two threads wait for each other.
 */
const BLOCK = 1 << 18;

/**
 * The step with its updates block by block: those of a large parameter become one Scan over [blocks, elements], in which a
 * block's few nodes run while its numbers are in the cache, in place of each running over all of memory; temporaries are of a
 * block's size. Results are the same to the bit. Runtimes without subgraphs (all but onnxruntime) don't take it, nor do our
 * transforms: it is to be the last one.
 *
 * The tensors of such a parameter are fed and given as [blocks, elements], the same numbers in the same order: onnxruntime then
 * passes slices of them on without a copy. A parameter that no number of elements near `elements` divides stays as it is.
 *
 * @param graph a step graph with the nodes of `addOptimiser`
 * @returns the graph and its state with the new shapes
 */
export function inBlocks(
  graph: Graph,
  state: readonly StateTensor[],
  elements = BLOCK,
): { graph: Graph; state: readonly StateTensor[] } {
  const types = inferTypes(graph, {}).types;
  const shapeOf = (name: string): string => String(types.get(name)?.shape);
  const fresh = freshNames(graph);
  const producers = new Map(graph.nodes.flatMap((n) => n.outputs.map((o) => [o, n] as const)));
  const readers = new Map<string, Node[]>();
  for (const n of graph.nodes)
    for (const name of readsOf(n)) readers.set(name, [...(readers.get(name) ?? []), n]);
  const given = new Set(graph.outputs.map((o) => o.name));

  const moved = new Set<Node>();
  const blocks = new Map<string, readonly number[]>();
  const before: Node[] = [];
  const params: Param[] = [];
  const views = new Map<string, string>();
  const view = (name: string, shape: readonly number[], at: Node[]): string => {
    const node = fresh(`blocks/${name}`);
    const sizes = fresh(`blocks/${name}/shape`);
    params.push({ name: sizes, role: 'constant', ...int64([shape.length], shape) });
    at.push({ op: 'Reshape', name: node, inputs: [name, sizes], outputs: [node], attrs: {} });
    return node;
  };
  const scans = new Map<Node, Node[]>();

  for (const weight of state.filter((s) => s.holds === 'weight')) {
    const own = state.filter((s) => s.of === weight.of && ['weight', 'moment1', 'moment2'].includes(s.holds));
    const size = blockOf(elementCount(weight.shape), elements);
    const targets = new Set(own.map((s) => s.output));
    if (size === null || own.some((s) => (readers.get(s.output) ?? []).some((n) => !isUpdate(n)))) continue;
    const inner = clusterOf(targets, String(weight.shape));
    if (inner.length === 0) continue;
    const wide = [elementCount(weight.shape) / size, size];
    for (const s of own) for (const name of [s.input, s.output]) blocks.set(name, wide);
    const made = new Set(inner.flatMap((n) => n.outputs));
    const outer = [...new Set(inner.flatMap((n) => n.inputs))].filter((name) => !made.has(name));
    const scanned = outer.filter((name) => shapeOf(name) === String(weight.shape));
    const inside = new Map([...made, ...scanned].map((name) => [name, fresh(`block/${name}`)]));
    const named = (name: string): string => inside.get(name) ?? name;
    const info = (name: string): ValueInfo => ({
      name: named(name),
      dtype: types.get(name)!.dtype,
      shape: [size],
    });
    const results = own.map((s) => s.output);
    const body: Graph = {
      ...{ name: `update ${weight.of}`, opset: graph.opset, params: [] },
      inputs: scanned.map(info),
      outputs: results.map(info),
      nodes: inner.map((n) => ({ ...n, inputs: n.inputs.map(named), outputs: n.outputs.map(named) })),
    };
    const reshaped: Node[] = [];
    const inputs = scanned.map((name) => (blocks.has(name) ? name : view(name, wide, reshaped)));
    const scan: Node = {
      ...{ op: 'Scan', name: fresh(`optimiser/${weight.of}/Scan`), inputs, outputs: results },
      attrs: { body: { kind: 'graph', graph: body }, num_scan_inputs: inputs.length },
    };
    for (const n of inner) moved.add(n);
    scans.set(inner.at(-1)!, [...reshaped, scan]);
  }
  if (scans.size === 0) return { graph, state };

  // What else reads the tensor reads it in its own shape.
  for (const s of state) {
    if (!blocks.has(s.input)) continue;
    const others = (readers.get(s.input) ?? []).filter((n) => !moved.has(n));
    if (others.length > 0) views.set(s.input, view(s.input, s.shape, before));
  }
  const seen = (n: Node): Node => ({ ...n, inputs: n.inputs.map((name) => views.get(name) ?? name) });
  const wide = <T extends ValueInfo>(v: T): T => ({ ...v, shape: blocks.get(v.name) ?? v.shape });
  const { values: _, ...rest } = graph;
  return {
    graph: {
      ...rest,
      inputs: graph.inputs.map(wide),
      outputs: graph.outputs.map(wide),
      params: [...graph.params, ...params],
      nodes: [...before, ...graph.nodes.flatMap((n) => scans.get(n) ?? (moved.has(n) ? [] : [seen(n)]))],
    },
    state: state.map((s) => ({ ...s, shape: blocks.get(s.input) ?? s.shape })),
  };

  /** Nodes over whole tensors of the parameter that its next tensors are made by, and nothing else reads; in order. */
  function clusterOf(targets: ReadonlySet<string>, shape: string): Node[] {
    const found = new Set<Node>();
    const open = [...targets];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      const node = producers.get(name);
      if (!node || found.has(node) || !isUpdate(node) || shapeOf(name) !== shape) continue;
      found.add(node);
      open.push(...node.inputs);
    }
    const leaks = (node: Node): boolean => {
      const name = node.outputs[0]!;
      return !targets.has(name) && (given.has(name) || (readers.get(name) ?? []).some((n) => !found.has(n)));
    };
    for (let out = [...found].find(leaks); out; out = [...found].find(leaks)) found.delete(out);
    const whole = [...targets].every((name) => found.has(producers.get(name)!));
    return whole ? graph.nodes.filter((n) => found.has(n)) : [];
  }
}

const ELEMENTWISE = ['Add', 'Sub', 'Mul', 'Div', 'Sqrt', 'Where', 'Cast'];
const isUpdate = (node: Node): boolean => node.name.startsWith('optimiser/') && isOp(node, ...ELEMENTWISE);

/** The largest divisor of a count that is at most `elements` and not much below; null where there is none, or only one block. */
function blockOf(count: number, elements: number): number | null {
  for (let size = Math.min(elements, Math.floor(count / 2)); size >= elements / 8 && size > 0; size--) {
    if (count % size === 0) return size;
  }
  return null;
}
