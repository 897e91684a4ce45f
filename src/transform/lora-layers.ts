import type { Graph, Node, Param } from '../core/graph.ts';
import { type LayerKind, type Reading, readingsOf } from '../graph/layers.ts';
import { type ModuleName, moduleNames } from '../graph/module-names.ts';

/** A weight that LoRA can wrap. */
export interface LoraLayer {
  /** The module's name, dots between: `model.layers.0.self_attn.q_proj`. */
  readonly module: string;
  /** The parameter's name in the checkpoint, also where the graph keeps it in blocks. */
  readonly tensor: string;
  readonly kind: 'linear' | 'conv' | 'embedding';
  /** Features that go in and come out; for an embedding tokens and width. */
  readonly from: number;
  readonly to: number;
  /** Sizes of a convolution's kernel; empty for others. */
  readonly kernel: readonly number[];
  readonly groups: number;
  /** The checkpoint keeps it as [in, out], as MatMul reads it. */
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

/** Looks at all graphs of a model together: a table that one reads as embedding and another as matrix is tied. */
export function loraLayers(graphs: readonly Graph[]): LoraLayers {
  const params = new Map<string, { readonly param: Param; readonly module: ModuleName }>();
  const readings = new Map<string, Reading[]>();
  for (const graph of graphs.map(unpacked)) {
    const names = moduleNames(graph, holdsWeights);
    const found = readingsOf(graph);
    for (const param of graph.params.filter(holdsWeights)) {
      if (!params.has(param.name)) params.set(param.name, { param, module: names.get(param.name)! });
      readings.set(param.name, [...(readings.get(param.name) ?? []), ...(found.get(param.name) ?? [])]);
    }
  }
  // A checkpoint's unread layers are like their siblings: `layers.23` as `layers.22`.
  const siblings = new Map<string, Reading>();
  for (const { param } of params.values()) {
    const main = mainReading(readings.get(param.name)!);
    if (main) siblings.set(siblingsOf(param), main);
  }
  const layers: LoraLayer[] = [];
  const others = new Map<string, LayerKind | 'Parameter'>();
  for (const { param, module: name } of params.values()) {
    const own = readings.get(param.name)!;
    const idle = own.length === 0;
    const main = idle ? siblings.get(siblingsOf(param)) : mainReading(own);
    const module = name.dotted.replace(/[._]weight$/, '');
    const tied = main?.kind === 'Embedding' && own.some((r) => r.main && r.kind === 'Linear');
    const output = tied || OUTPUT_LAYERS.test(module);
    const layer = main && layerOf(param, main, { module, tensor: param.name, output, idle });
    if (layer) layers.push(layer);
    else if (param.role === 'weight' && (main || module === name.dotted)) {
      others.set(module, main?.kind ?? 'Parameter');
    }
  }
  return { layers, others };
}

/** Learnt numbers, and the packed integers that quantised layers read in their place. */
const holdsWeights = (p: Param): boolean =>
  p.role === 'weight' ||
  (p.role === 'constant' && (p.dtype === 'int8' || p.dtype === 'uint8') && p.shape.length > 1);

/**
 * The graph as it was before `quantise`, as far as its weights go: what reads a weight's blocks is a product with the weight.
 * Nodes stand in the order of the graph's own.
 */
export function unpacked(graph: Graph): Graph {
  const blocks = new Map(graph.params.flatMap((p) => (p.packed ? [[p.name, p.packed]] : [])));
  if (blocks.size === 0) return graph;
  const params = new Map<string, Param>();
  for (const p of graph.params)
    if (p.packed?.holds !== 'scales') params.set(p.packed?.of.name ?? p.name, p.packed?.of ?? p);
  const nodes = graph.nodes.map((node): Node => {
    const packed = node.op === 'MatMulNBits' ? blocks.get(node.inputs[1] ?? '') : undefined;
    if (!packed) return node;
    const { name, outputs, inputs } = node;
    const [op, attrs] = packed.transposed ? ['MatMul', {}] : ['Gemm', { transB: 1 }];
    return {
      op: op as string,
      name,
      inputs: [inputs[0]!, packed.of.name],
      outputs,
      attrs: attrs as Node['attrs'],
    };
  });
  return { ...graph, params: [...params.values()], nodes };
}

const siblingsOf = (p: Param): string => `${p.name.replace(/\d+/g, '*')} ${p.shape.length}`;

/** A tied table is an embedding and a linear layer; it is wrapped as PEFT wraps it, as an embedding. */
function mainReading(readings: readonly Reading[]): Reading | undefined {
  const mains = readings.filter((r) => r.main && r.kind);
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
