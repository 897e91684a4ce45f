import { VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import { elementCount } from '../core/tensor.ts';
import { addLora, type Lora } from '../transform/lora.ts';
import type { LoraSpec } from '../transform/lora-targets.ts';
import { quantise } from '../transform/quantise.ts';
import { trainedIn, weightParts } from '../transform/scope.ts';

/** How a model learns: all weights of a scope, adapters beside them, or adapters beside weights in 4-bit blocks. */
export const WAYS = ['full', 'lora', 'qlora'] as const;
export type Way = (typeof WAYS)[number];

export interface Learning {
  readonly way: Way;
  /** Which part of the model: `full` (when left out), `vision`, `decoder`, `cross-modal`, `vision+cross-modal`. */
  readonly scope?: string;
  /** Of adapters; every linear layer of the scope when `targets` are left out. */
  readonly lora?: Omit<LoraSpec, 'targets'> & Partial<Pick<LoraSpec, 'targets'>>;
  /** Parameters that are new and so train whole, whatever the others do: the head of a new task (PEFT's `modules_to_save`). */
  readonly fresh?: ReadonlySet<string>;
}

/** A model's graphs as they are trained. */
export interface Arranged {
  readonly graphs: Readonly<Record<string, Graph>>;
  /** Names of the parameters that train. */
  readonly trainable: ReadonlySet<string>;
  /** Where adapters train. */
  readonly lora: Lora | null;
}

/**
 * The graphs with adapters and blocks where the way of learning wants them, and what of them trains.
 * @throws VersusError `usage` for a way, scope or targets that there are none of
 */
export function arrange(
  model: ModelDef,
  graphs: Readonly<Record<string, Graph>>,
  learning: Learning,
): Arranged {
  const { way, scope = 'full', fresh = new Set<string>() } = learning;
  if (!WAYS.includes(way)) {
    throw new VersusError('usage', `there is no way of training '${way}'`, {
      next: `one of ${WAYS.join(', ')}`,
    });
  }
  const parts = weightParts(Object.values(graphs), model.parts);
  const within = trainedIn(scope, parts, model.name);
  if (way === 'full') return { graphs, trainable: new Set([...within, ...fresh]), lora: null };
  const frozen = Object.entries(graphs).map(
    ([name, graph]) => [name, way === 'qlora' ? quantise(graph, 4, fresh) : graph] as const,
  );
  const lora = addLora<string>(
    Object.fromEntries(frozen),
    { targets: 'all-linear', ...(learning.lora ?? { r: 8, alpha: 16 }) },
    { model: model.name, within: new Set([...within].filter((name) => !fresh.has(name))) },
  );
  return { graphs: lora.graphs, trainable: new Set([...lora.trained, ...fresh]), lora };
}

/**
 * The weights that make a classifier's logits of its features: those of the last products before them, with their biases.
 * A new task needs new ones.
 */
export function headOf(graph: Graph, logits: string): ReadonlySet<string> {
  const producers = new Map(
    graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)),
  );
  const weights = new Map(graph.params.flatMap((p) => (p.role === 'weight' ? [[p.name, p] as const] : [])));
  const head = new Set<string>();
  const open = [logits];
  const seen = new Set<string>();
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    const node = producers.get(value);
    if (!node || seen.has(value)) continue;
    seen.add(value);
    const own = node.inputs.filter((name) => weights.has(name));
    for (const name of own) head.add(name);
    if (own.every((name) => weights.get(name)!.shape.length < 2)) open.push(...node.inputs);
  }
  return head;
}

/** How many numbers parameters of the graphs hold, each once. */
export function countOf(graphs: readonly Graph[], names: ReadonlySet<string>): number {
  const sizes = new Map<string, number>();
  for (const { name, shape } of graphs.flatMap((graph) => graph.params)) {
    if (names.has(name)) sizes.set(name, elementCount(shape));
  }
  return [...sizes.values()].reduce((a, b) => a + b, 0);
}
