import type { Graph, Param } from '../core/graph.ts';
import { type LayerKind, type Reading, readingsOf } from '../graph/layers.ts';
import { moduleNames } from '../graph/module-names.ts';

/** A weight that LoRA can wrap. */
export interface LoraLayer {
  /** The module's name, dots between: `model.layers.0.self_attn.q_proj`. */
  readonly module: string;
  /** The parameter's name in the graph. */
  readonly tensor: string;
  readonly kind: 'linear' | 'conv' | 'embedding';
  /** Features that go in and come out; for an embedding tokens and width. */
  readonly from: number;
  readonly to: number;
  /** Sizes of a convolution's kernel; empty for others. */
  readonly kernel: readonly number[];
  readonly groups: number;
  /** The graph keeps it as [in, out], as MatMul reads it. */
  readonly transposed: boolean;
  /** A layer that makes logits: `lm_head`, or the embedding table that is one too. */
  readonly output: boolean;
  /** No graph reads it: its adapter would exist and never change. */
  readonly idle: boolean;
}

const KINDS: Partial<Record<LayerKind, LoraLayer['kind']>> = {
  Linear: 'linear',
  Conv: 'conv',
  Embedding: 'embedding',
};

/** What transformers' models call the layer of their output embeddings. */
const OUTPUT_LAYERS = /(^|\.)(lm_head|embed_out|output_layer)$/;

/** The weights of a model that LoRA can wrap, in order, and the other modules with what they are. */
export interface LoraLayers {
  readonly layers: readonly LoraLayer[];
  readonly others: ReadonlyMap<string, LayerKind | 'Parameter'>;
}

export function loraLayers(graphs: readonly Graph[]): LoraLayers {
  const layers = new Map<string, LoraLayer>();
  const others = new Map<string, LayerKind | 'Parameter'>();
  for (const graph of graphs) {
    const names = moduleNames(graph, holdsWeights);
    const readings = readingsOf(graph);
    const params = graph.params.filter(holdsWeights);
    const mains = new Map(params.map((p) => [p.name, mainReading(readings.get(p.name))]));
    // A checkpoint's unread layers are like their siblings: `layers.23` as `layers.22`.
    const siblings = new Map<string, Reading>();
    for (const p of params) {
      const main = mains.get(p.name);
      if (main) siblings.set(siblingsOf(p), main);
    }
    for (const param of params) {
      if (layers.get(param.name)?.idle === false) continue;
      const idle = !readings.has(param.name);
      const main = idle ? siblings.get(siblingsOf(param)) : mains.get(param.name);
      const { dotted } = names.get(param.name)!;
      const module = dotted.replace(/[._]weight$/, '');
      const output =
        OUTPUT_LAYERS.test(module) ||
        (readings.get(param.name)?.filter((r) => r.main && r.kind === 'Linear').length === 1 &&
          main?.kind === 'Embedding');
      const layer = main && layerOf(param, main, { module, tensor: param.name, output, idle });
      if (layer) layers.set(param.name, layer);
      else if (param.role === 'weight' && (main || module === dotted))
        others.set(module, main?.kind ?? 'Parameter');
    }
  }
  return { layers: [...layers.values()], others };
}

/** Learnt numbers, and the packed integers that quantised layers read in their place. */
const holdsWeights = (p: Param): boolean =>
  p.role === 'weight' ||
  (p.role === 'constant' && (p.dtype === 'int8' || p.dtype === 'uint8') && p.shape.length > 1);

const siblingsOf = (p: Param): string => `${p.name.replace(/\d+/g, '*')} ${p.shape.length}`;

/** A tied table is an embedding and a linear layer; it is wrapped as PEFT wraps it, as an embedding. */
function mainReading(readings: readonly Reading[] | undefined): Reading | undefined {
  const mains = readings?.filter((r) => r.main && r.kind) ?? [];
  return mains.find((r) => r.kind === 'Embedding') ?? mains[0];
}

type About = Pick<LoraLayer, 'module' | 'tensor' | 'output' | 'idle'>;

function layerOf(param: Param, { node, kind, transposed }: Reading, about: About): LoraLayer | undefined {
  const known = KINDS[kind!];
  const { shape, name } = param;
  // A table that isn't called a weight (relative positions) is a bare parameter in PyTorch.
  if (!known || (known === 'embedding' && !/(^|[._/])weight$|^onnx::/.test(name))) return undefined;
  const attribute = (key: string): number => Number(node.attrs[key] ?? 1);
  const layer = { ...about, kind: known, kernel: [], groups: 1, transposed };
  if (node.op === 'MatMulNBits') return { ...layer, from: attribute('K'), to: attribute('N') };
  if (known === 'conv') {
    const groups = attribute('group');
    return { ...layer, from: shape[1]! * groups, to: shape[0]!, kernel: shape.slice(2), groups };
  }
  const [first, second] = shape as [number, number];
  const columns = known === 'embedding' || transposed;
  return { ...layer, from: columns ? first : second, to: columns ? second : first };
}
