import type * as Tf from '@tensorflow/tfjs-core';
import type { DType, Tensor } from '../../core/tensor.ts';

/**
 * What flows between kernels: a tensor on the host, on the engine, or on both.
 *
 * On the host it is exact in its own type: whole numbers and shapes are computed there. On the engine every
 * floating-point type is float32, every whole-number type int32, and the axes may lie in another order than the graph
 * has them: `order[i]` is the axis of the graph that lies at place i. So a transposition costs nothing until somebody needs
 * the axes in their places, and a convolution's NHWC result runs through elementwise operators as it is.
 */
export interface Value {
  /** As the graph has it. */
  readonly dtype: DType;
  /** As the graph has it. */
  readonly shape: readonly number[];
  /** Follows from the graph's constants and the shapes of its inputs: the same whenever those shapes are. */
  readonly fixed: boolean;
  /** A parameter that one node reads: once that has the form it wants, the others can go. */
  readonly sole?: true;
  /** Row-major, as the graph has it. */
  host?: Tensor;
  device?: Tf.Tensor | undefined;
  /** Of `device`; left out when the axes lie as the graph has them. */
  order?: readonly number[] | undefined;
  /** Other forms of a fixed value that kernels made once: packed weights, transposed constants. */
  forms?: Map<string, Tf.Tensor> | undefined;
}

export const isFloat = (dtype: DType): boolean =>
  dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16' || dtype === 'float64';

/** The engine's type for one of the graph's. */
export function engineType(dtype: DType): 'float32' | 'int32' | 'bool' {
  if (isFloat(dtype)) return 'float32';
  return dtype === 'bool' ? 'bool' : 'int32';
}

/** Frees everything that a value has on the engine. */
export function dispose(value: Value): void {
  value.device?.dispose();
  if (value.forms) for (const form of value.forms.values()) form.dispose();
  // Neither `delete` nor a property that wasn't there: after those an object is a slow one, and this is done at every node.
  if (value.device) value.device = undefined;
  if (value.order) value.order = undefined;
  if (value.forms) value.forms = undefined;
}
