import type * as Ort from 'onnxruntime-node';
import type { Graph } from '../../core/graph.ts';
import { allocate, type DType, elementCount, type Tensor } from '../../core/tensor.ts';
import { encodeOnnx } from '../../graph/onnx/index.ts';
import { explain } from './errors.ts';
import type { Runtime } from './runtime.ts';
import { fromRuntime } from './tensors.ts';

/** Element types that the runtime lets lie in a buffer of the GPU. */
const GPU_TYPES = ['float32', 'float16', 'int32', 'int64', 'uint32', 'uint8', 'bool'] as const;
type GpuType = (typeof GPU_TYPES)[number];

export const onGpu = (dtype: DType): dtype is GpuType => (GPU_TYPES as readonly string[]).includes(dtype);

/**
 * Copies tensors between host and GPU by graphs of one Identity: the runtime's own `getData()` on a tensor of the GPU aborts the
 * process (1.30). Tensors travel flat, so a session per element type and direction does.
 */
export class Transfer {
  readonly #runtime: Runtime;
  readonly #sessions = new Map<string, Promise<Ort.InferenceSession>>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  async toHost(tensor: Ort.Tensor, dtype: DType, shape: readonly number[]): Promise<Tensor> {
    const length = elementCount(shape);
    if (length === 0) return { dtype, shape, data: allocate(dtype, 0) };
    const flat = this.#runtime.Tensor.fromGpuBuffer(tensor.gpuBuffer, {
      dataType: dtype as GpuType,
      dims: [length],
    });
    const session = await this.#session(dtype, 'cpu');
    const { y } = await session.run({ x: flat });
    return { dtype, shape, data: fromRuntime(y as Ort.Tensor).data };
  }

  async toDevice(tensor: Ort.Tensor, dtype: DType): Promise<Ort.Tensor> {
    const session = await this.#session(dtype, 'gpu-buffer');
    const { dims, size } = tensor;
    const { y } = await session.run({ x: tensor.reshape([size]) });
    // The flat tensor owns the buffer; what is handed on only gives it another shape.
    const flat = y as Ort.Tensor;
    return this.#runtime.Tensor.fromGpuBuffer(flat.gpuBuffer, {
      dataType: dtype as GpuType,
      dims,
      dispose: () => flat.dispose(),
    });
  }

  async close(): Promise<void> {
    const sessions = await Promise.allSettled(this.#sessions.values());
    this.#sessions.clear();
    for (const opened of sessions) if (opened.status === 'fulfilled') await opened.value.release();
  }

  #session(dtype: DType, to: 'cpu' | 'gpu-buffer'): Promise<Ort.InferenceSession> {
    const key = `${dtype} ${to}`;
    let session = this.#sessions.get(key);
    if (session === undefined) {
      session = this.#runtime.InferenceSession.create(encodeOnnx(identity(dtype)), {
        executionProviders: ['webgpu'],
        preferredOutputLocation: { y: to },
        logSeverityLevel: 4,
      }).catch((error: unknown) => {
        throw explain(error, 'webgpu', `a copy of ${dtype} to the ${to === 'cpu' ? 'host' : 'GPU'}`);
      });
      this.#sessions.set(key, session);
    }
    return session;
  }
}

function identity(dtype: DType): Graph {
  return {
    name: 'copy',
    opset: { '': 17 },
    inputs: [{ name: 'x', dtype, shape: ['n'] }],
    outputs: [{ name: 'y', dtype, shape: ['n'] }],
    params: [],
    nodes: [{ op: 'Identity', name: 'copy/Identity', inputs: ['x'], outputs: ['y'], attrs: {} }],
  };
}
