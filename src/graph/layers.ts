import type { Attribute, Graph, GraphAttribute, Node, Param } from '../core/graph.ts';

/** What a tensor is to the node that reads it, by the names of PyTorch's modules. */
export type LayerKind =
  | 'Linear'
  | 'Conv'
  | 'ConvTranspose'
  | 'Embedding'
  | 'LayerNorm'
  | 'RMSNorm'
  | 'BatchNorm'
  | 'GroupNorm'
  | 'InstanceNorm'
  | 'PReLU';

/** One place where a parameter is read, possibly through a Transpose, Cast, Identity or DequantizeLinear. */
export interface Reading {
  readonly node: Node;
  readonly kind?: LayerKind;
  /** It is the main tensor there: a matrix, kernel, table or scale, not a bias. */
  readonly main: boolean;
  /** Rows are inputs and columns outputs, as MatMul reads its second operand. */
  readonly transposed: boolean;
}

/** Operators by the layer they are, with the input that is the main tensor; later inputs belong to the layer too. */
const LAYERS: Readonly<Record<string, readonly [kind: LayerKind, main: number]>> = {
  Gemm: ['Linear', 1],
  MatMul: ['Linear', 1],
  MatMulNBits: ['Linear', 1],
  MatMulInteger: ['Linear', 1],
  QLinearMatMul: ['Linear', 3],
  Conv: ['Conv', 1],
  ConvInteger: ['Conv', 1],
  QLinearConv: ['Conv', 3],
  ConvTranspose: ['ConvTranspose', 1],
  Gather: ['Embedding', 0],
  GatherBlockQuantized: ['Embedding', 0],
  LayerNormalization: ['LayerNorm', 1],
  SkipLayerNormalization: ['LayerNorm', 2],
  SimplifiedLayerNormalization: ['RMSNorm', 1],
  SkipSimplifiedLayerNormalization: ['RMSNorm', 2],
  RMSNormalization: ['RMSNorm', 1],
  BatchNormalization: ['BatchNorm', 1],
  GroupNormalization: ['GroupNorm', 1],
  InstanceNormalization: ['InstanceNorm', 1],
  PRelu: ['PReLU', 1],
};

const THROUGH: ReadonlySet<string> = new Set(['Transpose', 'Cast', 'Identity', 'DequantizeLinear']);

/** Where each parameter is read; a parameter that no node and no output reads is not in the map. */
export function readingsOf(graph: Graph): Map<string, Reading[]> {
  const params = new Map(graph.params.map((p) => [p.name, p]));
  const producers = new Map<string, Node>();
  /** Values that are a parameter, only moved or converted. */
  const aliases = new Map<string, { param: string; swapped: boolean }>();
  const readings = new Map<string, Reading[]>();
  const note = (param: string, reading: Reading): void => {
    const known = readings.get(param);
    if (known) known.push(reading);
    else readings.set(param, [reading]);
  };
  for (const node of graph.nodes) {
    for (const o of node.outputs) producers.set(o, node);
    node.inputs.forEach((name, input) => {
      const source = aliases.get(name) ?? (params.has(name) ? { param: name, swapped: false } : undefined);
      if (!source) return;
      const param = params.get(source.param)!;
      if (input === 0 && THROUGH.has(node.op) && node.outputs[0]) {
        const swaps =
          node.op === 'Transpose' && param.shape.length === 2 && String(node.attrs.perm) !== '0,1';
        aliases.set(node.outputs[0], { ...source, swapped: source.swapped !== swaps });
      } else note(source.param, reading(node, input, param, source.swapped, producers));
    });
    for (const name of outerReads(node)) {
      if (params.has(name)) note(name, { node, main: false, transposed: false });
    }
  }
  // What is only moved, and read by nothing behind that, is still read.
  for (const [value, { param }] of aliases) {
    if (!readings.has(param)) note(param, { node: producers.get(value)!, main: false, transposed: false });
  }
  return readings;
}

function reading(
  node: Node,
  input: number,
  param: Param,
  swapped: boolean,
  producers: ReadonlyMap<string, Node>,
): Reading {
  const [kind, main] = LAYERS[node.op] ?? [];
  const rank = param.shape.length;
  if (kind === undefined || main === undefined || input < main) {
    const norm = node.op === 'Mul' && rank === 1 ? normBefore(node, input, producers) : undefined;
    return { node, ...(norm && { kind: norm }), main: norm !== undefined, transposed: false };
  }
  const isMain = input === main;
  const packed = node.op === 'MatMulNBits' || node.op === 'GatherBlockQuantized';
  if (isMain && (kind === 'Linear' || kind === 'Embedding') && rank !== 2 && !packed) {
    return { node, main: false, transposed: false };
  }
  const byColumns = kind === 'Linear' && !packed && !(node.op === 'Gemm' && node.attrs.transB === 1);
  return { node, kind, main: isMain, transposed: isMain && kind === 'Linear' && byColumns !== swapped };
}

/** A scale behind x ÷ √…, which is a normalisation spelt out: of (x − mean) a LayerNorm, of x an RMSNorm. */
function normBefore(node: Node, input: number, producers: ReadonlyMap<string, Node>): LayerKind | undefined {
  const behindCast = (name: string | undefined): Node | undefined => {
    const made = producers.get(name ?? '');
    return made?.op === 'Cast' ? producers.get(made.inputs[0] ?? '') : made;
  };
  const scaled = behindCast(node.inputs[1 - input]);
  if (scaled?.op !== 'Div' && scaled?.op !== 'Mul') return undefined;
  const factors = scaled.inputs.map(behindCast);
  const root = factors.some(
    (f) => f?.op === 'Sqrt' || f?.op === 'Reciprocal' || (f?.op === 'Div' && overRoot(f)),
  );
  function overRoot(div: Node): boolean {
    return behindCast(div.inputs[1])?.op === 'Sqrt';
  }
  if (!root) return undefined;
  return factors.some((f) => f?.op === 'Sub') ? 'LayerNorm' : 'RMSNorm';
}

/** Values of the enclosing graph that subgraphs of a node (branches, loop bodies) read. */
function outerReads(node: Node): string[] {
  return Object.values(node.attrs)
    .filter(isGraph)
    .flatMap(({ graph }) => [
      ...graph.nodes.flatMap((inner) => [...inner.inputs, ...outerReads(inner)]),
      ...graph.outputs.map((o) => o.name),
    ]);
}

function isGraph(attribute: Attribute): attribute is GraphAttribute {
  return typeof attribute === 'object' && 'kind' in attribute && attribute.kind === 'graph';
}
