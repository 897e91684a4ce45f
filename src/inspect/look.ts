import type { Graph } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import { bytesPerElement } from '../core/tensor.ts';
import type { LoraSpec } from '../transform/lora-targets.ts';
import { weightParts } from '../transform/scope.ts';
import { type GraphReport, graphReport } from './graphs.ts';
import { type PartShare, partShares, sums, wholeParts } from './parts.ts';
import { type Training, trainingOf } from './training.ts';
import { type Module, type ModuleTensor, moduleTree, tensorsOf } from './tree.ts';

/** All that `versus inspect` knows of a model, before it is text or JSON. */
export interface Look {
  readonly model: ModelDef;
  readonly graphs: Readonly<Record<string, GraphReport>>;
  readonly dims: Readonly<Record<string, number>>;
  readonly tree: Module;
  /** Sum over the graphs at these sizes; null where one graph's cannot be known. */
  readonly macs: number | null;
  /** Bytes of all tensors as they are stored, shared ones once. */
  readonly weightBytes: number;
  readonly parts: readonly PartShare[];
  /** The part of every module that lies in one. */
  readonly partOfModule: ReadonlyMap<Module, PartShare['part']>;
  readonly training: Training;
  /** Elements of a tensor that the scope trains. */
  readonly trains: (tensor: ModuleTensor) => number;
  /** Parameters of the adapter around a tensor. */
  readonly adapter: (tensor: ModuleTensor) => number;
  /** The same summed over modules. */
  readonly trainsBelow: ReadonlyMap<Module, number>;
  readonly adapterBelow: ReadonlyMap<Module, number>;
}

/**
 * Looks at a model's graphs.
 * @param asked sizes of symbolic dimensions, and what `--scope` and `--lora` ask for
 * @throws VersusError `usage` for a scope that the model doesn't have or targets that fit nothing, `input` where graphs
 * disagree about a shared tensor
 */
export function look(
  model: ModelDef,
  graphs: Readonly<Record<string, Graph>>,
  asked: {
    readonly dims: Readonly<Record<string, number>>;
    readonly scope?: string;
    readonly lora?: LoraSpec;
  },
): Look {
  const tree = moduleTree(graphs);
  const parts = weightParts(Object.values(graphs), model.parts);
  const training = trainingOf(model.name, graphs, tree, parts, asked);
  const reports = Object.fromEntries(
    Object.entries(graphs).map(([name, graph]) => [name, graphReport(graph, asked.dims)]),
  );
  const macs = Object.values(reports).map((report) => report.macs);
  const find = (tensor: ModuleTensor) => parts.get(tensor.name);
  const adapters = new Map(training.lora?.targets.map((t) => [t.tensor, t.parameters]));
  const trains = (t: ModuleTensor): number => (training.scope?.trained.has(t.name) ? t.elements : 0);
  const adapter = (t: ModuleTensor): number => adapters.get(t.name) ?? 0;
  let weightBytes = 0;
  for (const t of tensorsOf(tree)) weightBytes += t.elements * bytesPerElement(t.dtype);
  return {
    model,
    graphs: reports,
    dims: asked.dims,
    tree,
    macs: macs.every((m) => m !== null) ? macs.reduce((a, b) => a + b, 0) : null,
    weightBytes,
    parts: partShares(tree, find),
    partOfModule: wholeParts(tree, find),
    training,
    trains,
    adapter,
    trainsBelow: sums(tree, trains),
    adapterBelow: sums(tree, adapter),
  };
}
