import type { Graph, Node } from '../core/graph.ts';
import { elementwise } from './ops/elementwise.ts';
import { bytesOf, type Type } from './ops/entry.ts';
import { operatorOf } from './ops/index.ts';

/** A piece of memory that values of a graph lie in, one after another or as views of each other. */
export interface Storage {
  /** Bytes at the size of its largest value. */
  readonly bytes: number;
  /** Index of the node that first writes it; -1 for what is there before the first node runs (inputs). */
  readonly born: number;
  /** Index of the last node that reads it; the number of nodes when it outlives the run (inputs, outputs). */
  readonly dies: number;
  readonly values: readonly string[];
}

interface Growing {
  bytes: number;
  born: number;
  dies: number;
  values: string[];
}

export interface StorageOptions {
  /** Bytes of a value, where they are not those of its type. */
  readonly bytes?: (name: string, type: Type) => number;
}

/**
 * Which memory each value of a graph lies in, the way runtimes plan it: reshapes share the storage of what they look at, and an
 * elementwise operator writes over an input that nobody reads after it. Parameters are not among them; values of unknown
 * size count nothing.
 */
export function storagesOf(
  graph: Graph,
  types: ReadonlyMap<string, Type>,
  options: StorageOptions = {},
): Storage[] {
  const storages: Growing[] = [];
  const home = new Map<string, Growing>();
  const last = lastUses(graph);
  const params = new Set(graph.params.map((p) => p.name));
  const sizeOf = (name: string): number => {
    const type = types.get(name);
    if (!type?.shape.every((d) => typeof d === 'number')) return 0;
    return options.bytes?.(name, type) ?? bytesOf(type.dtype, type.shape as number[]);
  };
  const place = (name: string, born: number, into?: Growing): void => {
    const storage = into ?? { bytes: 0, born, dies: born, values: [] };
    if (!into) storages.push(storage);
    storage.bytes = Math.max(storage.bytes, sizeOf(name));
    storage.dies = Math.max(storage.dies, last.get(name) ?? born);
    storage.values.push(name);
    home.set(name, storage);
  };
  // An input belongs to the caller, who holds it until the run has ended.
  for (const input of graph.inputs) last.set(input.name, graph.nodes.length);
  for (const input of graph.inputs) place(input.name, -1);
  graph.nodes.forEach((node, at) => {
    node.outputs.forEach((output, i) => {
      if (output === '') return;
      place(output, at, i === 0 ? reused(node, output) : undefined);
    });

    function reused(reader: Node, output: string): Growing | undefined {
      const isView = operatorOf(reader)?.bytes === 'view';
      if (!isView && !Object.hasOwn(elementwise, reader.op)) return undefined;
      for (const input of isView ? reader.inputs.slice(0, 1) : reader.inputs) {
        const storage = home.get(input);
        if (!storage || params.has(input)) continue;
        if (isView) return storage;
        if (storage.dies <= at && sizeOf(input) === sizeOf(output)) return storage;
      }
      return undefined;
    }
  });
  return storages;
}

/** Index of the last reader of every value; the number of nodes for those that outlive the graph. */
function lastUses(graph: Graph): Map<string, number> {
  const last = new Map<string, number>();
  graph.nodes.forEach((node, at) => {
    for (const input of node.inputs) last.set(input, at);
  });
  const end = graph.nodes.length;
  for (const output of graph.outputs) last.set(output.name, end);
  return last;
}

/** Bytes alive while each node runs. */
export function liveBytes(storages: readonly Storage[], nodes: number): Float64Array {
  const change = new Float64Array(nodes + 1);
  for (const { bytes, born, dies } of storages) {
    change[Math.max(0, born)]! += bytes;
    if (dies < nodes) change[Math.max(0, dies) + 1]! -= bytes;
  }
  for (let i = 1; i <= nodes; i++) change[i]! += change[i - 1]!;
  return change.subarray(0, Math.max(1, nodes));
}

/**
 * The most bytes of inputs, outputs and intermediate values alive at once in one run, parameters apart, and the node that runs
 * then. Nodes run in the graph's order and free what is not needed any more.
 */
export function peakLiveness(
  graph: Graph,
  types: ReadonlyMap<string, Type>,
  options: StorageOptions = {},
): { readonly bytes: number; readonly node: string | null } {
  const live = liveBytes(storagesOf(graph, types, options), graph.nodes.length);
  let at = 0;
  live.forEach((bytes, i) => {
    if (bytes > live[at]!) at = i;
  });
  return { bytes: live[at] ?? 0, node: graph.nodes[at]?.name ?? null };
}
