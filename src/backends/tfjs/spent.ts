import type * as Tf from '@tensorflow/tfjs-core';
import { VersusError } from '../../core/errors.ts';
import type { Engine } from './engine.ts';
import type { Value } from './value.ts';

/** What tfjs's wasm engine (4.22) knows of a tensor's data. */
interface WasmData {
  memoryOffset: number;
}
interface WasmBackend {
  readonly dataIdMap: { get(id: object): WasmData };
  readonly wasm: { _free(offset: number): void };
}

const spent = new WeakSet<object>();
/** Smaller blocks are not worth their place in the list. */
export const FEWEST_BYTES = 1 << 16;

/**
 * Gives back the memory of a weight that the wasm engine has packed. XNNPACK copies a convolution's filter, and a product's right
 * side, into a layout of its own when it first meets the tensor, keeps that until the tensor is disposed of, and never reads the
 * tensor again: without this every weight is there twice, a filter three times.
 *
 * Only for parameters with one reader, which asks for the same kernel with the same padding every time, and after it has run.
 */
export function spend(engine: Engine, value: Value, tensor: Tf.Tensor): void {
  if (engine.name !== 'wasm' || !value.sole || !value.fixed || tensor.size * 4 < FEWEST_BYTES) return;
  const id = tensor.dataId as object;
  if (spent.has(id)) return;
  const backend = engine.tf.backend() as unknown as WasmBackend;
  const data = backend.dataIdMap.get(id);
  backend.wasm._free(data.memoryOffset);
  // Disposing of the tensor frees this place again, which is nothing then.
  data.memoryOffset = 0;
  spent.add(id);
}

/** Whether a tensor's numbers were given back. */
export const isSpent = (tensor: Tf.Tensor | undefined): boolean =>
  tensor !== undefined && spent.has(tensor.dataId as object);

/** A tensor whose numbers are about to be read. @throws VersusError `infrastructure` when they were given back */
export function unspent<T extends Tf.Tensor>(tensor: T): T {
  if (!isSpent(tensor)) return tensor;
  throw new VersusError(
    'infrastructure',
    'a weight that the engine has packed is asked for in another form',
    {
      next: 'report this as a bug of Versus; --backend onnxruntime-cpu runs the model',
    },
  );
}
