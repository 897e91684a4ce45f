import type * as Tf from '@tensorflow/tfjs-core';

/** What the kernels need of tfjs's BackendWasm (4.22). */
interface WasmBackend {
  readonly dataIdMap: { get(id: object): { readonly id: number } };
  readonly wasm: {
    cwrap(name: string, returns: null, takes: readonly string[]): (...args: unknown[]) => void;
  };
  incRef(id: object): void;
  refCount(id: object): number;
}

/** Names of the kernels among tfjs's: the sum of two tensors of one shape, over the first one, and a tensor without what is below 0. */
export const WASM_ADD_OVER = 'VersusAddOver';
export const WASM_RELU_OVER = 'VersusReluOver';

/** float32 among the types of tfjs's C++ side. */
const FLOAT32 = 0;

/**
 * tfjs's own sum and rectifier of wasm, which write over their operand: what a residual connection adds up passes through the caches
 * once less for each of them, and no memory is taken for it.
 */
export function registerWasmOver(tf: typeof Tf): void {
  if (tf.getKernel(WASM_ADD_OVER, 'wasm')) return;
  let add: (...args: unknown[]) => void;
  let relu: (...args: unknown[]) => void;
  const number = 'number';
  tf.registerKernel({
    kernelName: WASM_ADD_OVER,
    backendName: 'wasm',
    setupFunc: (backend) => {
      const shape = ['array', number];
      const takes = [number, ...shape, number, ...shape, number, number];
      add = (backend as unknown as WasmBackend).wasm.cwrap('Add', null, takes);
    },
    kernelFunc: ({ inputs, backend }) => {
      const wasm = backend as WasmBackend;
      const { a, b } = inputs as { a: Tf.TensorInfo; b: Tf.TensorInfo };
      const [first, second] = [a, b].map(({ dataId }) => wasm.dataIdMap.get(dataId).id);
      // In one row, for XNNPACK refuses more than six axes.
      const row = new Uint8Array(Int32Array.of(a.shape.reduce((n, d) => n * d, 1)).buffer);
      add(first, row, 1, second, row, 1, FLOAT32, first);
      return shared(wasm, a);
    },
  });
  tf.registerKernel({
    kernelName: WASM_RELU_OVER,
    backendName: 'wasm',
    setupFunc: (backend) => {
      relu = (backend as unknown as WasmBackend).wasm.cwrap('Relu', null, [number, number, number]);
    },
    kernelFunc: ({ inputs, backend }) => {
      const wasm = backend as WasmBackend;
      const { id } = wasm.dataIdMap.get(inputs.x!.dataId);
      relu(id, FLOAT32, id);
      return shared(wasm, inputs.x!);
    },
  });
}

/** A result that lies where an operand lay. */
function shared(backend: WasmBackend, { dataId, shape, dtype }: Tf.TensorInfo): Tf.TensorInfo {
  backend.incRef(dataId);
  return { dataId, shape, dtype };
}

/** Whether no other tensor has this one's data. */
export const isAlone = (tf: typeof Tf, { dataId }: Tf.Tensor): boolean =>
  (tf.backend() as unknown as WasmBackend).refCount(dataId) === 1;
