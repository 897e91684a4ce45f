import { allocate, elementCount, type Tensor, type TensorData, toFloat16 } from '../../core/tensor.ts';
import type { Engine } from './engine.ts';
import { identity, permutation } from './order.ts';
import { isSpent, unspent } from './spent.ts';
import { turned } from './turn.ts';
import type { Value } from './value.ts';

/** A value as a tensor on the host, in the graph's own type and order. */
export async function download(engine: Engine, value: Value): Promise<Tensor> {
  if (value.host) return value.host;
  const { dtype, shape } = value;
  if (elementCount(shape) === 0) return { dtype, shape, data: allocate(dtype, 0) };
  const there = unspent(value.device!);
  const moved = value.order
    ? engine.tf.tidy(() => turned(engine.tf, there, permutation(value.order!, identity(shape.length))))
    : there;
  try {
    return { dtype, shape, data: typed(dtype, await moved.data()) };
  } finally {
    if (moved !== there) moved.dispose();
  }
}

/** Whether a value's numbers are on the engine alone. */
export const isAway = (value: Value | undefined): value is Value =>
  value !== undefined && value.host === undefined;

/**
 * Brings a value's numbers to the host, where they then are besides. Those of a weight that was given back are missing: the host
 * multiplies by one of those only what has no elements.
 */
export async function onto(engine: Engine, value: Value | undefined): Promise<void> {
  if (isAway(value) && !isSpent(value.device)) value.host = await download(engine, value);
}

/** The engine's float32, int32 or bool as the graph's type; floats are rounded to nearest even. */
function typed(dtype: Tensor['dtype'], data: Float32Array | Int32Array | Uint8Array): TensorData {
  // The engine may lend its own memory: what the caller gets is the caller's.
  if (dtype === 'float32') return Float32Array.from(data);
  const out = allocate(dtype, data.length);
  if (dtype === 'float16') for (let i = 0; i < data.length; i++) out[i] = toFloat16(data[i]!);
  else if (dtype === 'bfloat16') {
    const bits = new Uint32Array(Float32Array.from(data).buffer);
    for (let i = 0; i < data.length; i++) out[i] = bfloat16(bits[i]!);
  } else if (out instanceof BigInt64Array || out instanceof BigUint64Array) {
    for (let i = 0; i < data.length; i++) out[i] = BigInt(data[i]!);
  } else out.set(data as never);
  return out;
}

const bfloat16 = (bits: number): number =>
  (bits & 0x7fffffff) > 0x7f800000 ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
