import type { Backend, OpenOptions } from '../core/backend.ts';
import type { Graph, Node, ValueInfo } from '../core/graph.ts';
import type { Tensors } from '../core/tensor.ts';
import { inferTypes } from '../graph/infer.ts';
import { bytesOf } from '../graph/ops/entry.ts';
import { compareOutputs, type OutputDifference } from '../stats/parity.ts';
import { expose } from '../transform/expose.ts';
import { fedDims } from '../workloads/inputs.ts';
import { differenceOf, oddity } from './differ.ts';
import { runOnce } from './model.ts';
import type { Workbench } from './workbench.ts';

/** One of the two backends that are compared, and how it is opened. */
export interface Side {
  readonly backend: Backend;
  readonly open: OpenOptions;
}

/** A result of a node. */
export interface Value {
  readonly node: Node;
  readonly index: number;
  readonly info: ValueInfo;
  /** The declared type is a guess: the table lacks the operator. */
  readonly guessed: boolean;
  readonly bytes: number;
}

/** Intermediate values that are held at once, on the host and by a runtime. */
const BATCH_BYTES = 256 * 2 ** 20;
const BATCH_VALUES = 1000;
/** What a value of unknown size is counted as. */
const UNKNOWN_BYTES = 2 ** 20;
/** Their results are no tensors, or are the same on every backend. */
const PASSED_BY = /^(Sequence|SplitToSequence|Optional|Constant$)/;

/** The results of all nodes in topological order, with their types at the sizes that are fed. */
export function valuesOf(graph: Graph, feeds: Tensors): Value[] {
  const { types } = inferTypes(graph, fedDims(graph.inputs, feeds));
  const declared = new Map(graph.outputs.map((o) => [o.name, o]));
  return graph.nodes.flatMap((node, index) => {
    if (PASSED_BY.test(node.op)) return [];
    return node.outputs.flatMap((name) => {
      if (name === '') return [];
      const type = types.get(name) ?? declared.get(name);
      const sizes = type?.shape.filter((d) => typeof d === 'number') ?? [];
      const known = type !== undefined && sizes.length === type.shape.length;
      return {
        ...{ node, index, guessed: type === undefined },
        info: { name, dtype: type?.dtype ?? 'float32', shape: type?.shape ?? [] },
        bytes: known ? bytesOf(type.dtype, sizes) : UNKNOWN_BYTES,
      };
    });
  });
}

/** Values computed by a side: everything that they don't need is left out of the graph. */
export async function valuesOn(
  { backend, open }: Side,
  bench: Workbench,
  wanted: readonly Value[],
  feeds: Tensors,
): Promise<Tensors> {
  const graph = expose(
    bench.graph,
    wanted.map((v) => v.info),
  );
  const untyped = new Set(wanted.filter((v) => v.guessed).map((v) => v.info.name));
  return runOnce(backend, await bench.make(graph, untyped), feeds, open);
}

/** A value with what is wrong about it. */
export interface Found {
  readonly value: Value;
  readonly difference: OutputDifference;
}

export interface Swept {
  /** The first value that differs. */
  readonly first: Found | null;
  /** The first that holds NaN on the reference, or else infinity; looked for up to the first that differs. */
  readonly strange: Found | null;
  /** How many were compared. */
  readonly compared: number;
}

export interface SweepOptions {
  readonly progress?: (done: number, of: number) => void;
  /** Bytes of values that are held at once on each side; a single larger one is held all the same. */
  readonly batchBytes?: number;
}

/**
 * Compares the results of all nodes, in topological order, until one differs: as many at once as fit into bounded memory.
 * Every batch computes only what leads to it.
 */
export async function sweep(
  bench: Workbench,
  tested: Side,
  reference: Side,
  feeds: Tensors,
  tolerance: number,
  options: SweepOptions = {},
): Promise<Swept> {
  const { progress, batchBytes = BATCH_BYTES } = options;
  const values = valuesOf(bench.graph, feeds);
  let compared = 0;
  const strange: { nan: Found | null; infinite: Found | null } = { nan: null, infinite: null };
  const result = (first: Found | null): Swept => ({
    first,
    strange: strange.nan ?? strange.infinite,
    compared,
  });
  for (const batch of batches(values, batchBytes)) {
    progress?.(compared, values.length);
    const expected = await valuesOn(reference, bench, batch, feeds);
    const actual = await valuesOn(tested, bench, batch, feeds);
    for (const value of batch) {
      const { name } = value.info;
      compared++;
      const kind = oddity(expected[name]!);
      if (kind)
        strange[kind] ??= { value, difference: compareOutputs(expected, { [name]: expected[name]! }, 0)[0]! };
      const difference = differenceOf(name, actual, expected, tolerance);
      if (!difference.agrees) return result({ value, difference });
    }
  }
  return result(null);
}

function* batches(values: readonly Value[], most: number): Generator<readonly Value[]> {
  let batch: Value[] = [];
  let bytes = 0;
  for (const value of values) {
    if (batch.length > 0 && (bytes + value.bytes > most || batch.length >= BATCH_VALUES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(value);
    bytes += value.bytes;
  }
  if (batch.length > 0) yield batch;
}
