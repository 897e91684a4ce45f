import type { Node } from '../../core/graph.ts';
import { allocate, elementCount, int64, type Tensor } from '../../core/tensor.ts';
import { kernelOf } from '../../graph/kernels/index.ts';
import { atHost, type Kernel, type Made } from './kernels/kernel.ts';
import { isFloat, type Value } from './value.ts';

/** Fixed floating-point tensors up to this many elements are computed on the host: tables of positions, not weights. */
const MOST = 1 << 16;

/**
 * Whether a node is computed on the host, exactly, by the reference interpreter's kernel: shape arithmetic, whole numbers that
 * are there (int64 has no other place), and small tables that follow from shapes. Floating-point data never is.
 */
export function onHost(node: Node, inputs: readonly (Value | undefined)[]): boolean {
  if (!kernelOf(node)) return false;
  if (node.op === 'Shape' || node.op === 'Size') return true;
  let elements = 0;
  for (const value of inputs) {
    if (!value) continue;
    if (!value.host) return false;
    if (!isFloat(value.dtype)) continue;
    elements += elementCount(value.shape);
    if (!value.fixed || elements > MOST) return false;
  }
  return true;
}

/** Operators whose result has a shape that follows from numbers, wherever those lie. */
const SHAPED = new Set(['Range', 'NonZero', 'ConstantOfShape', 'Constant']);

/** Whether the host computes a node although some of its inputs lie on the engine. */
export function leftToHost(
  node: Node,
  kernel: Kernel | undefined,
  inputs: readonly (Value | undefined)[],
): boolean {
  if (!kernelOf(node)) return false;
  if (SHAPED.has(node.op)) return true;
  if (!kernel) return !inputs.some((value) => value && isFloat(value.dtype));
  return (kernel.host ?? ((values) => atHost(values)))(inputs, node);
}

export function computedOnHost(node: Node, opset: number, inputs: readonly (Value | undefined)[]): Made[] {
  // Its kernel counts the numbers themselves, which need not be there.
  if (node.op === 'Size') return [host(int64([], [elementCount(inputs[0]?.shape ?? [])]))];
  const tensors = inputs.map((value) => value && (value.host ?? outline(value)));
  return kernelOf(node)!({ node, opset, inputs: tensors }).map(host);
}

const host = (tensor: Tensor): Made => ({ dtype: tensor.dtype, shape: tensor.shape, host: tensor });

/** The type and shape of a value without its numbers: all that Shape looks at. */
const outline = ({ dtype, shape }: Value): Tensor => ({ dtype, shape, data: allocate(dtype, 0) });
