import type { Graph, Param } from '../core/graph.ts';
import { bytesPerElement, type DType, elementCount } from '../core/tensor.ts';

/** How numbers are stored: all of them (fp32, fp16), or the weights of matrix products in blocks with a scale (int8, int4). */
export const STORAGES = ['fp32', 'fp16', 'int8', 'int4'] as const;
export type StoredAs = (typeof STORAGES)[number];

/** Weights that share one float32 scale. */
const BLOCK = 32;
const SCALE_BYTES = 4;

/** Bytes of one number that isn't a quantised weight; quantised models compute in the wider of the two that a device is fast at. */
export const activationBytes = (stored: StoredAs, half: boolean): number =>
  stored === 'fp16' || (stored !== 'fp32' && half) ? 2 : 4;

/** Bytes of an element of a value: floats in the width that the model computes in, other types as they are. */
export function elementBytes(dtype: DType, stored: StoredAs, half: boolean): number {
  return dtype === 'float32' ? activationBytes(stored, half) : bytesPerElement(dtype);
}

/** Weights of matrix products, which are what weight-only quantisation makes small: right operands of rank 2. */
export function productWeights(graph: Graph): ReadonlySet<string> {
  const rank2 = new Set(
    graph.params.filter((p) => p.role === 'weight' && p.shape.length === 2).map((p) => p.name),
  );
  const used = new Set<string>();
  const elsewhere = new Set<string>();
  for (const node of graph.nodes) {
    const product = node.op === 'MatMul' || node.op === 'Gemm';
    node.inputs.forEach((name, i) => {
      if (rank2.has(name)) (product && i === 1 ? used : elsewhere).add(name);
    });
  }
  // A tied embedding is gathered from too and stays as it is.
  return new Set([...used].filter((name) => !elsewhere.has(name)));
}

/** Bytes of a parameter as it is stored. Whole numbers and truth values keep their type. */
export function paramBytes(param: Param, stored: StoredAs, quantised: boolean, half: boolean): number {
  const count = elementCount(param.shape);
  if (param.dtype !== 'float32') return count * bytesPerElement(param.dtype);
  if (!quantised || stored === 'fp32' || stored === 'fp16') return count * activationBytes(stored, half);
  const columns = param.shape.at(-1)!;
  const blocks = (count / columns) * Math.ceil(columns / BLOCK);
  return blocks * (BLOCK * (stored === 'int8' ? 1 : 0.5) + SCALE_BYTES);
}
