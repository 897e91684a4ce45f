import type * as Tf from '@tensorflow/tfjs-core';

/** What is used of tfjs's BackendWasm (4.22) to work in its memory. */
export interface WasmMemory {
  makeOutput(shape: readonly number[], dtype: string): Tf.TensorInfo;
  /** A view of the engine's memory, until that grows. */
  typedArrayFromHeap(info: Tf.TensorInfo): Float32Array | Int32Array | Uint8Array;
}

/** A float32 tensor of the wasm engine whose numbers are written where they then lie. */
export function writtenOnWasm(
  tf: typeof Tf,
  shape: readonly number[],
  write: (into: Float32Array) => void,
): Tf.Tensor {
  const memory = tf.backend() as unknown as WasmMemory;
  const info = memory.makeOutput(shape, 'float32');
  write(memory.typedArrayFromHeap(info) as Float32Array);
  return tf.engine().makeTensorFromTensorInfo(info);
}
