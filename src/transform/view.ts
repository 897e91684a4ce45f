import type { Graph, GraphAttribute, Node, Param } from '../core/graph.ts';
import type { Tensor } from '../core/tensor.ts';
import { toNumbers } from '../core/tensor.ts';
import { inferTypes } from '../graph/infer.ts';
import type { Type } from '../graph/ops/entry.ts';

/** Numbers of a graph's parameters. Those with `data` of their own are not asked for. */
export interface Numbers {
  read(param: Param): Promise<Tensor>;
  /**
   * Takes a parameter that a pass makes of others, to be computed when it is read: large weights then need not all be in
   * memory at once. What `make` is given reads parameters without `data` into memory that may be written over. Where `derive`
   * is left out, such parameters carry their `data`.
   */
  derive?(name: string, make: (own: Pick<Numbers, 'read'>) => Promise<Tensor>): void;
}

function subgraphsOf(node: Node): Graph[] {
  return Object.values(node.attrs).flatMap((a) =>
    typeof a === 'object' && 'kind' in a && a.kind === 'graph' ? [(a as GraphAttribute).graph] : [],
  );
}

/** The numbers of a constant, from the graph itself or from where its weights are. */
export async function tensorOf(param: Param, numbers: Numbers): Promise<Tensor> {
  const { dtype, shape, data } = param;
  return data ? { dtype, shape, data } : numbers.read(param);
}

/** Whether a node has a subgraph (If, Loop, Scan): such nodes are left as they are. */
export function hasSubgraph(node: Node): boolean {
  return subgraphsOf(node).length > 0;
}

/** Every name that the subgraphs of a node mention: what they read of the graph around them is among these. */
export function namesInside(node: Node): string[] {
  return subgraphsOf(node).flatMap((graph) => [
    ...graph.outputs.map((o) => o.name),
    ...graph.nodes.flatMap((n) => [...n.inputs, ...namesInside(n)]),
  ]);
}

/** Values whose names must stay: the graph's outputs, and what subgraphs read. */
export function pinnedNames(graph: Graph): Set<string> {
  return new Set([...graph.outputs.map((o) => o.name), ...graph.nodes.flatMap(namesInside)]);
}

/** Gives names that a graph doesn't have yet. */
export function freshNames(graph: Graph): (wanted: string) => string {
  const taken = new Set([
    ...graph.inputs.map((i) => i.name),
    ...graph.params.map((p) => p.name),
    ...graph.nodes.flatMap((n) => [n.name, ...n.outputs, ...namesInside(n)]),
  ]);
  return (wanted) => {
    let name = wanted;
    for (let i = 1; taken.has(name); i++) name = `${wanted}_${i}`;
    taken.add(name);
    return name;
  };
}

/** Whether a node is one of those standard operators. */
export function isOp({ op, domain }: Node, ...ops: readonly string[]): boolean {
  return (!domain || domain === 'ai.onnx') && ops.includes(op);
}

/** Who makes and who reads each value of a graph, and what is known of it before it runs. */
export class View {
  readonly graph: Graph;
  readonly opset: number;
  readonly #producers = new Map<string, Node>();
  readonly #readers = new Map<string, Node[]>();
  readonly #params: ReadonlyMap<string, Param>;
  readonly #pinned: ReadonlySet<string>;
  #types: ReadonlyMap<string, Type> | undefined;

  constructor(graph: Graph) {
    this.graph = graph;
    this.opset = graph.opset[''] ?? graph.opset['ai.onnx'] ?? 1;
    this.#pinned = pinnedNames(graph);
    const fed = new Set(graph.inputs.map((i) => i.name));
    // An input of the same name may be fed other numbers.
    this.#params = new Map(graph.params.flatMap((p) => (fed.has(p.name) ? [] : [[p.name, p]])));
    for (const node of graph.nodes) {
      for (const output of node.outputs) if (output !== '') this.#producers.set(output, node);
      for (const name of new Set(node.inputs)) {
        const readers = this.#readers.get(name);
        if (readers) readers.push(node);
        else this.#readers.set(name, [node]);
      }
    }
  }

  /** What makes a value, if it is one of those standard operators; any operator when none is named. */
  producer(name: string | undefined, ...ops: readonly string[]): Node | undefined {
    const node = name ? this.#producers.get(name) : undefined;
    return node && (ops.length === 0 || isOp(node, ...ops)) ? node : undefined;
  }

  /** Nodes that read a value, each once. */
  readers(name: string): readonly Node[] {
    return this.#readers.get(name) ?? [];
  }

  /** The only reader of a value that nothing else wants, likewise. */
  soleReader(name: string, ...ops: readonly string[]): Node | undefined {
    const [reader, ...others] = this.readers(name);
    const sole = reader && others.length === 0 && !this.#pinned.has(name);
    return sole && (ops.length === 0 || isOp(reader, ...ops)) ? reader : undefined;
  }

  /** A parameter whose numbers are the same in every run and are stored plainly. */
  constant(name: string | undefined): Param | undefined {
    const param = name ? this.#params.get(name) : undefined;
    return param?.packed ? undefined : param;
  }

  type(name: string | undefined): Type | undefined {
    this.#types ??= inferTypes(this.graph, {}).types;
    return name ? this.#types.get(name) : undefined;
  }

  /** The number that a constant of one element holds. */
  scalar(name: string | undefined): number | undefined {
    const { dtype, shape, data } = this.constant(name) ?? {};
    return dtype && shape && data?.length === 1 ? toNumbers({ dtype, shape, data })[0] : undefined;
  }

  /** Whether nothing wants any result of a node but its first. */
  onlyFirst(node: Node): boolean {
    return node.outputs
      .slice(1)
      .every((o) => o === '' || (this.readers(o).length === 0 && !this.#pinned.has(o)));
  }

  /** Whether all that is computed inside a pattern stays there: nobody else reads it, only the root's results go on. */
  closed(inner: readonly Node[], root: Node): boolean {
    const all = new Set([...inner, root]);
    return inner.every(
      (node) =>
        node === root ||
        node.outputs.every(
          (o) => o === '' || (!this.#pinned.has(o) && this.readers(o).every((reader) => all.has(reader))),
        ),
    );
  }
}
