import type * as Ort from 'onnxruntime-node';
import type { ValueInfo } from '../../core/graph.ts';
import { DTYPES, type DType, type Tensor, type TensorData } from '../../core/tensor.ts';
import type { Runtime } from './runtime.ts';

/**
 * Wraps tensors for the runtime without copying. A wrapper is kept as long as its tensor lives, so feeding the same
 * weights or cache again costs one lookup; a change of the data in place is seen, because the array is shared.
 */
export function tensorWrapper(runtime: Runtime): (t: Tensor) => Ort.Tensor {
  const known = new WeakMap<Tensor, Ort.Tensor>();
  const OrtTensor = runtime.Tensor as unknown as new (
    type: DType,
    data: TensorData,
    dims: readonly number[],
  ) => Ort.Tensor;
  return (t) => {
    let wrapped = known.get(t);
    if (wrapped === undefined) {
      wrapped = new OrtTensor(t.dtype, t.data, t.shape);
      known.set(t, wrapped);
    }
    return wrapped;
  };
}

/** The runtime's tensor as ours, sharing its memory. */
export function fromRuntime(t: Ort.Tensor): Tensor {
  const data = t.data as unknown as TensorData;
  return {
    dtype: t.type as DType,
    shape: t.dims,
    // Newer JavaScript engines have a Float16Array, which the runtime then uses; ours are bit patterns.
    data:
      t.type === 'float16' && !(data instanceof Uint16Array)
        ? new Uint16Array(
            (data as TensorData).buffer,
            (data as TensorData).byteOffset,
            (data as TensorData).length,
          )
        : data,
  };
}

/** Inputs or outputs as the runtime reports them; a dimension without a name gets one from its place, as in the codec. */
export function describeValues(metadata: readonly Ort.InferenceSession.ValueMetadata[]): ValueInfo[] {
  return metadata.map((value) => {
    if (!value.isTensor) throw new RangeError(`'${value.name}' is not a tensor`);
    if (!(DTYPES as readonly string[]).includes(value.type)) {
      throw new RangeError(`'${value.name}' has element type ${value.type}, which is not supported`);
    }
    return {
      name: value.name,
      dtype: value.type as DType,
      shape: value.shape.map((dim, axis) => (dim === '' ? `?${value.name}.${axis}` : dim)),
    };
  });
}
