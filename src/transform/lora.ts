import { VersusError } from '../core/errors.ts';
import type { Graph, Node, ValueInfo } from '../core/graph.ts';
import { inferShapes } from '../graph/infer.ts';
import { type Reading, readingsOf } from '../graph/layers.ts';
import { unpacked } from './lora-layers.ts';
import { LoraNodes } from './lora-nodes.ts';
import { type LoraSpec, type LoraTarget, loraTargets } from './lora-targets.ts';

/** A model's graphs with adapters in them. */
export interface Lora<Name extends string = string> {
  readonly graphs: Readonly<Record<Name, Graph>>;
  readonly spec: LoraSpec;
  /** The targets were looked for in all of the model, not within a scope of it. */
  readonly whole: boolean;
  /** What is wrapped; those that no graph reads (`idle`) have no parameters in the graphs. */
  readonly targets: readonly LoraTarget[];
  /** Names of the parameters that train. */
  readonly trained: readonly string[];
  /**
   * With dropout: inputs that were added, each of the shape of the activation that it multiplies. A mask holds
   * 1 ÷ (1 − dropout) where the activation passes, 0 where it is dropped; it is made on the host (`training/dropout.ts`),
   * because no two runtimes' own Dropout draws the same from a seed.
   */
  readonly masks: readonly ValueInfo[];
}

/**
 * Low-rank adapters beside the weights that `spec` chooses: each place where such a weight W is read as a layer computes
 * y + s · B(A(x)) in place of y. What is frozen stays as it is, also in 4-bit blocks (QLoRA: `quantise` first, then this).
 *
 * Linear layers get two Gemm, of which the second adds onto y; convolutions a Conv with the same window, one of 1 × 1 (in the
 * groups of the first), and an Add; embeddings a look-up in Aᵀ. New parameters carry PEFT's names and are drawn as PEFT draws
 * them (A uniform in ±1 ÷ √fan-in, B zero; of embeddings A zero, B of standard deviation 1, here uniform), so a fresh adapter
 * changes nothing.
 *
 * @param options.within names of the parameters that may be wrapped, of a scope
 * @throws VersusError `usage` as `loraTargets`, and for a dropout outside 0 … 1; `unsupported` where a wrapped weight is also
 *   read in a way that its adapter could not follow
 */
export function addLora<Name extends string>(
  graphs: Readonly<Record<Name, Graph>>,
  spec: LoraSpec,
  options: { readonly model: string; readonly within?: ReadonlySet<string> },
): Lora<Name> {
  const { dropout = 0 } = spec;
  if (!(dropout >= 0 && dropout < 1))
    throw new VersusError('usage', `LoRA dropout must be at least 0 and below 1, not ${dropout}`);
  const names = Object.keys(graphs) as Name[];
  const targets = loraTargets(
    names.map((name) => graphs[name]),
    spec,
    options,
  );
  const masks: ValueInfo[] = [];
  const made = names.map((name) => [name, inject(graphs[name], targets, spec, masks)] as const);
  const present = new Set(made.flatMap(([, graph]) => graph.params.map((p) => p.name)));
  const trained = targets.flatMap((t) => [t.names.a, t.names.b]).filter((name) => present.has(name));
  return {
    graphs: Object.fromEntries(made) as Record<Name, Graph>,
    ...{ spec, whole: options.within === undefined, targets, trained, masks },
  };
}

function inject(graph: Graph, targets: readonly LoraTarget[], spec: LoraSpec, masks: ValueInfo[]): Graph {
  const plain = unpacked(graph);
  const places = new Map(plain.nodes.map((node, i) => [node, i]));
  const readings = readingsOf(plain);
  const wrapped = new Map<number, Node[]>();
  const adapters = new LoraNodes(graph, spec.dropout ?? 0);
  for (const target of targets) {
    for (const reading of readings.get(target.tensor) ?? []) {
      if (target.output && target.kind === 'embedding' && spec.tied === false && reading.kind === 'Linear')
        continue;
      const place = places.get(reading.node);
      if (!reading.main || place === undefined || wrapped.has(place))
        throw cannotFollow(graph, target, reading);
      wrapped.set(place, adapters.beside(graph.nodes[place]!, target));
    }
  }
  if (wrapped.size === 0) return graph;
  masks.push(...adapters.masks);
  const { values: _, ...rest } = graph;
  return inferShapes({
    ...rest,
    inputs: [...graph.inputs, ...adapters.masks],
    params: [...graph.params, ...adapters.params],
    nodes: graph.nodes.flatMap((node, i) => wrapped.get(i) ?? [node]),
  });
}

/** Other uses than as a layer's weight: what is learnt would not show there, and merging would change them. */
function cannotFollow(graph: Graph, { module, tensor }: LoraTarget, { node }: Reading): VersusError {
  return new VersusError(
    'unsupported',
    `${tensor} is also read by ${node.op}, which an adapter cannot follow`,
    {
      where: `graph ${graph.name}, node ${node.name || '(unnamed)'}`,
      next: `leave ${module} out of the targets`,
    },
  );
}
