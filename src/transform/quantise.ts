import { VersusError } from '../core/errors.ts';
import type { Graph, Node, Packed, Param } from '../core/graph.ts';
import { inferShapes } from '../graph/infer.ts';
import { MICROSOFT, operatorOf } from '../graph/ops/index.ts';

/** Weights that share a scale: neighbours along the input axis of a product. */
export const BLOCK = 32;

/**
 * `accuracy_level` of the products (docs/ContribOperators.md). Left at 0 (as A comes), onnxruntime's CPU kernel for 4 bits
 * computes in float32; for 8 bits it has none and would unpack the whole matrix on every call (28 times the time of float32
 * for a row of 4096), so there level 4 lets it round A to 8 bits per block.
 */
const ACCURACY: Readonly<Record<Packed['bits'], number>> = { 4: 0, 8: 4 };

/**
 * The graph with the weights of its matrix products in blocks of `bits`-bit numbers: MatMul and Gemm become onnxruntime's
 * `com.microsoft.MatMulNBits`, biases an Add behind it (not every execution provider takes its bias input).
 *
 * Converted is the right operand of a product where it is a learnt float32 matrix [N, K] (Gemm with `transB`) or [K, N],
 * with K ≥ 32, no factors and no transposed left operand. Everything else stays float32: convolutions, normalisations,
 * biases, embedding tables (a look-up reads a few rows; of an unused row not even the pages are loaded), products of
 * activations, and what is narrower than a block. A weight with other uses (a tied embedding) is kept beside its blocks.
 *
 * `NAME` [N, K] becomes `NAME_Q4` (`_Q8`), uint8 [N, ⌈K ÷ 32⌉, 32 · bits ÷ 8] with the earlier weight in the lower bits, and
 * `NAME_scales`, float32 [N · ⌈K ÷ 32⌉]; w ≈ (q − 2^(bits − 1)) · scale. A [K, N] is transposed and called `NAME.T`. The bytes
 * are made by `weights/blocks.ts`.
 *
 * @param keep names of weights that stay as they are, e.g. because they train
 * @throws VersusError `unsupported` for a subgraph, which may use weights unseen
 */
export function quantise(graph: Graph, bits: Packed['bits'], keep: ReadonlySet<string> = new Set()): Graph {
  for (const node of graph.nodes) {
    if (!Object.values(node.attrs).some((a) => typeof a === 'object' && 'kind' in a && a.kind === 'graph'))
      continue;
    throw new VersusError('unsupported', `${node.op} has a subgraph and can't be quantised`, {
      where: `node ${node.name}`,
      next: 'Run this model in fp32.',
    });
  }
  const names = namesOf(graph);
  const params = new Map(graph.params.filter((p) => !keep.has(p.name)).map((p) => [p.name, p]));
  const blocks = new Map<string, Blocks>();
  const nodes = graph.nodes.flatMap((node) => {
    const product = productOf(node, params);
    if (!product) return [node];
    const { weight, transposed } = product;
    const stem = transposed ? `${weight.name}.T` : weight.name;
    const made = blocks.get(stem) ?? blocksOf(weight, stem, bits, names);
    blocks.set(stem, made);
    return replaced(node, made, bits, names);
  });
  if (blocks.size === 0) return graph;
  const used = new Set([...nodes.flatMap((n) => n.inputs), ...graph.outputs.map((o) => o.name)]);
  const { values: _, ...rest } = graph;
  return inferShapes({
    ...rest,
    opset: { ...graph.opset, [MICROSOFT]: 1 },
    params: graph.params.flatMap((p) => {
      const made = [p.name, `${p.name}.T`].flatMap((stem) => blocks.get(stem) ?? []);
      const own = made.filter(({ values }) => values.packed!.of === p);
      const kept = own.length === 0 || used.has(p.name);
      return [...(kept ? [p] : []), ...own.flatMap(({ values, scales }) => [values, scales])];
    }),
    nodes,
  });
}

interface Blocks {
  readonly values: Param;
  readonly scales: Param;
}

interface Product {
  readonly weight: Param;
  /** The weight is [K, N]. */
  readonly transposed: boolean;
}

/** The weight of a product that can be computed from blocks. */
function productOf(node: Node, params: ReadonlyMap<string, Param>): Product | null {
  if (node.domain || !operatorOf(node)) return null;
  const weight = params.get(node.inputs[1] ?? '');
  if (weight?.role !== 'weight' || weight.dtype !== 'float32' || weight.shape.length !== 2) return null;
  const { alpha = 1, beta = 1, transA = 0, transB = 0 } = node.attrs;
  const plain = alpha === 1 && transA === 0 && (beta === 1 || !node.inputs[2]);
  if (!(node.op === 'MatMul' || (node.op === 'Gemm' && plain))) return null;
  const transposed = transB === 0;
  return weight.shape[transposed ? 0 : 1]! >= BLOCK ? { weight, transposed } : null;
}

function blocksOf(of: Param, stem: string, bits: Packed['bits'], names: Set<string>): Blocks {
  const transposed = stem !== of.name;
  const [k, n] = sizes(of, transposed);
  const blocks = Math.ceil(k / BLOCK);
  const packed = { of, transposed, bits } as const;
  const [values, scales] = [fresh(names, `${stem}_Q${bits}`), fresh(names, `${stem}_scales`)];
  return {
    values: {
      name: values,
      dtype: 'uint8',
      shape: [n, blocks, (BLOCK * bits) / 8],
      role: 'weight',
      packed: { ...packed, holds: 'values', twin: scales },
    },
    scales: {
      name: scales,
      dtype: 'float32',
      shape: [n * blocks],
      role: 'weight',
      packed: { ...packed, holds: 'scales', twin: values },
    },
  };
}

function replaced(node: Node, { values, scales }: Blocks, bits: Packed['bits'], names: Set<string>): Node[] {
  const { of, transposed } = values.packed!;
  const [K, N] = sizes(of, transposed);
  const [left, , bias] = node.inputs as [string, string, string | undefined];
  const [output] = node.outputs as [string];
  const product = bias ? fresh(names, `${output}/product`) : output;
  const accuracy = ACCURACY[bits] === 0 ? {} : { accuracy_level: ACCURACY[bits] };
  const matmul: Node = {
    op: 'MatMulNBits',
    domain: MICROSOFT,
    name: node.name,
    inputs: [left, values.name, scales.name],
    outputs: [product],
    attrs: { K, N, bits, block_size: BLOCK, ...accuracy },
  };
  if (!bias) return [matmul];
  const name = fresh(names, `${node.name}/bias`);
  return [matmul, { op: 'Add', name, inputs: [product, bias], outputs: [output], attrs: {} }];
}

/** K and N of a weight. */
function sizes({ shape }: Param, transposed: boolean): [number, number] {
  const [rows, columns] = shape as [number, number];
  return transposed ? [rows, columns] : [columns, rows];
}

function namesOf(graph: Graph): Set<string> {
  const nodes = graph.nodes.flatMap((n) => [n.name, ...n.outputs]);
  return new Set([...nodes, ...graph.params.map((p) => p.name), ...graph.inputs.map((i) => i.name)]);
}

function fresh(names: Set<string>, wanted: string): string {
  let name = wanted;
  for (let i = 1; names.has(name); i++) name = `${wanted}_${i}`;
  names.add(name);
  return name;
}
