import type * as Tf from '@tensorflow/tfjs-core';
import type { WasmMemory } from './wasm-memory.ts';

/** Name of the kernel among tfjs's. */
export const WASM_SLICE = 'VersusSlice';
/** Shorter runs are copied element by element: a view costs as much as some twenty of them. */
const SHORT = 24;

/**
 * Slices within the engine's memory. tfjs's own kernel for wasm first copies the whole tensor out of it, for each slice: the heads of
 * an attention cost more so than their products.
 */
export function registerWasmSlice(tf: typeof Tf): void {
  if (tf.getKernel(WASM_SLICE, 'wasm')) return;
  tf.registerKernel({
    kernelName: WASM_SLICE,
    backendName: 'wasm',
    kernelFunc: ({ inputs, attrs, backend }) => {
      const { begin, size } = attrs as unknown as { begin: number[]; size: number[] };
      return sliced(backend as WasmMemory, inputs.x!, begin, size);
    },
  });
}

function sliced(
  backend: WasmMemory,
  x: Tf.TensorInfo,
  begin: readonly number[],
  size: readonly number[],
): Tf.TensorInfo {
  const out = backend.makeOutput(size, x.dtype);
  const [from, to] = [backend.typedArrayFromHeap(x), backend.typedArrayFromHeap(out)];
  // The last axis that is cut: from there on elements lie together.
  let axis = size.length - 1;
  while (axis > 0 && size[axis] === x.shape[axis]) axis--;
  const inner = x.shape.slice(axis + 1).reduce((n, d) => n * d, 1);
  const run = (size[axis] ?? 1) * inner;
  const runs = to.length / run;
  for (let i = 0; i < runs; i++) {
    let start = (begin[axis] ?? 0) * inner;
    let step = (x.shape[axis] ?? 1) * inner;
    for (let k = axis - 1, rest = i; k >= 0; k--) {
      start += (begin[k]! + (rest % size[k]!)) * step;
      rest = Math.floor(rest / size[k]!);
      step *= x.shape[k]!;
    }
    const at = i * run;
    if (run < SHORT) for (let j = 0; j < run; j++) to[at + j] = from[start + j]!;
    else to.set(from.subarray(start, start + run), at);
  }
  return out;
}
