import { VersusError } from '../core/errors.ts';
import type { Graph, Param } from '../core/graph.ts';
import { type DType, elementCount } from '../core/tensor.ts';
import { type LayerKind, type Reading, readingsOf } from '../graph/layers.ts';
import { type ModuleName, moduleNames } from '../graph/module-names.ts';
import { inOrder } from './order.ts';

/** A tensor of a module, as the checkpoint holds it. */
export interface ModuleTensor {
  /** The parameter's name in the graphs. */
  readonly name: string;
  /** Its name in the module: `weight`. */
  readonly leaf: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** `weight`: learnt; `buffer`: not learnt; `quantised`: the packed integers of a learnt matrix, not counted as parameters. */
  readonly role: 'weight' | 'buffer' | 'quantised';
  readonly elements: number;
  /** The graphs that hold it; several for a shared one. */
  readonly graphs: readonly string[];
  /** As what it is read; several for a tied table. Empty: it is in the checkpoint, and nothing reads it. */
  readonly readAs: readonly string[];
}

/** A module as a person reads it in a printed PyTorch model. */
export interface Module {
  /** The last segment of its name; '' for the model itself. */
  readonly name: string;
  /** The whole name, dots between. */
  readonly path: string;
  /** What a module without children computes, where the nodes that read it agree. */
  readonly layer?: LayerKind;
  readonly tensors: readonly ModuleTensor[];
  readonly children: readonly Module[];
  /** Learnt elements here and below, each once. */
  readonly parameters: number;
  /** Elements of buffers here and below. */
  readonly buffers: number;
}

interface Growing {
  readonly name: string;
  readonly path: string;
  readonly tensors: GrowingTensor[];
  readonly children: Map<string, Growing>;
}
type GrowingTensor = Omit<ModuleTensor, 'graphs' | 'readAs'> & {
  readonly graphs: string[];
  readonly readAs: Set<string>;
  readonly kinds: Set<LayerKind>;
};

/**
 * The tree of modules of a model: all its graphs together, every tensor once. Constants of the program are left out, except
 * packed integers that a quantised layer reads as its matrix.
 * @throws VersusError `input` when graphs disagree about a tensor's type or shape
 */
export function moduleTree(graphs: Readonly<Record<string, Graph>>): Module {
  const root: Growing = { name: '', path: '', tensors: [], children: new Map() };
  const tensors = new Map<string, GrowingTensor>();
  for (const [graphName, graph] of Object.entries(graphs)) {
    const readings = readingsOf(graph);
    const role = roleOf(readings);
    const names = moduleNames(graph, (p) => role(p) !== null);
    for (const param of asRead(graph, readings)) {
      const name = names.get(param.name);
      if (!name) continue;
      let tensor = tensors.get(param.name);
      if (!tensor) {
        tensor = { ...grown(param, name), role: role(param)! };
        tensors.set(param.name, tensor);
        place(root, name).tensors.push(tensor);
      } else requireSame(tensor, param, graphName);
      tensor.graphs.push(graphName);
      for (const { kind, main, node } of readings.get(param.name) ?? []) {
        tensor.readAs.add(kind ?? node.op);
        if (kind && main) tensor.kinds.add(kind);
      }
    }
  }
  return finished(root);
}

/** In the order in which the nodes read them, as a person wrote the model; a file may list them by name. Unread ones last. */
function asRead(graph: Graph, readings: ReadonlyMap<string, unknown>): Param[] {
  const params = new Map(graph.params.map((p) => [p.name, p]));
  const read = [...readings.keys()].map((name) => params.get(name)!);
  return [...read, ...graph.params.filter((p) => !readings.has(p.name))];
}

function grown({ name, dtype, shape }: Param, { leaf }: ModuleName): Omit<GrowingTensor, 'role'> {
  const none = { graphs: [], readAs: new Set<string>(), kinds: new Set<LayerKind>() };
  return { name, leaf, dtype, shape, elements: elementCount(shape), ...none };
}

/** What a parameter is in the tree; null for a constant of the program. */
function roleOf(
  readings: ReadonlyMap<string, readonly Reading[]>,
): (p: Param) => ModuleTensor['role'] | null {
  return (p) => {
    if (p.role !== 'constant') return p.role;
    const packed = /^u?int8$/.test(p.dtype) && p.shape.length > 1;
    return packed && readings.get(p.name)?.some((r) => r.main) ? 'quantised' : null;
  };
}

function place(root: Growing, { path }: ModuleName): Growing {
  let at = root;
  for (const name of path) {
    let next = at.children.get(name);
    if (!next) {
      next = { name, path: at.path === '' ? name : `${at.path}.${name}`, tensors: [], children: new Map() };
      at.children.set(name, next);
    }
    at = next;
  }
  return at;
}

function requireSame(a: GrowingTensor, b: Param, graph: string): void {
  if (a.dtype === b.dtype && a.shape.join() === b.shape.join()) return;
  const told = (t: Pick<Param, 'dtype' | 'shape'>): string => `${t.dtype} [${t.shape.join(', ')}]`;
  throw new VersusError('input', `parameter ${a.name} is ${told(a)} and ${told(b)}`, {
    where: `graphs ${a.graphs.join(', ')} and ${graph}`,
    next: 'a parameter that graphs share has one type and shape: give one of them another name',
  });
}

function finished(module: Growing): Module {
  const children = inOrder([...module.children.values()]).map(finished);
  const sum = (role: ModuleTensor['role'], below: 'parameters' | 'buffers'): number =>
    module.tensors.reduce((n, t) => (t.role === role ? n + t.elements : n), 0) +
    children.reduce((n, child) => n + child[below], 0);
  const kinds = new Set(module.tensors.flatMap((t) => [...t.kinds][0] ?? []));
  const [layer] = kinds.size === 1 && children.length === 0 ? kinds : [];
  return {
    name: module.name,
    path: module.path,
    ...(layer && { layer }),
    tensors: module.tensors.map(({ kinds: _, readAs, ...tensor }) => ({ ...tensor, readAs: [...readAs] })),
    children,
    parameters: sum('weight', 'parameters'),
    buffers: sum('buffer', 'buffers'),
  };
}

/** All tensors of a module and of those below it. */
export function* tensorsOf(module: Module): Generator<ModuleTensor> {
  yield* module.tensors;
  for (const child of module.children) yield* tensorsOf(child);
}
