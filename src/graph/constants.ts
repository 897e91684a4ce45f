import { createHash } from 'node:crypto';
import { VersusError } from '../core/errors.ts';
import { type DType, type Tensor, tensor, toBytes, toFloat16 } from '../core/tensor.ts';

/** Longer contents are told apart by their hash. */
const SHORT = 64;

/** Equal for tensors of equal type, shape and bytes. */
export function contentKey({ dtype, shape, data }: Tensor): string {
  const bytes = toBytes(data);
  const content =
    bytes.length <= SHORT
      ? Buffer.from(bytes).toString('hex')
      : createHash('sha256').update(bytes).digest('hex');
  return `${dtype}|${shape.join()}|${content}`;
}

/** A tensor without dimensions. @throws VersusError `input` for a type that graphs have no scalars of */
export function scalarTensor(value: number, dtype: DType): Tensor {
  if (dtype === 'int64') return tensor(dtype, [], BigInt64Array.of(BigInt(value)));
  if (dtype === 'float16') return tensor(dtype, [], Uint16Array.of(toFloat16(value)));
  if (dtype === 'int32') return tensor(dtype, [], Int32Array.of(value));
  if (dtype === 'uint8') return tensor(dtype, [], Uint8Array.of(value));
  if (dtype === 'bool') return tensor(dtype, [], Uint8Array.of(value ? 1 : 0));
  if (dtype === 'float32') return tensor(dtype, [], Float32Array.of(value));
  if (dtype === 'float64') return tensor(dtype, [], Float64Array.of(value));
  throw new VersusError('input', `a scalar of type ${dtype} is not supported`);
}
