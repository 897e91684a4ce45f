import { VersusError } from './errors.ts';
import type { Param } from './graph.ts';
import type { WeightSource } from './model.ts';
import { bytesPerElement, elementCount, fromBytes, type Tensor } from './tensor.ts';

/** A parameter's numbers in memory. @throws VersusError `input` when the source holds too few */
export async function readParam(source: WeightSource, param: Param): Promise<Tensor> {
  const bytes = new Uint8Array(elementCount(param.shape) * bytesPerElement(param.dtype));
  let filled = 0;
  for await (const chunk of source.read(param)) {
    if (filled + chunk.byteLength > bytes.byteLength) break;
    bytes.set(chunk, filled);
    filled += chunk.byteLength;
  }
  if (filled !== bytes.byteLength) {
    throw new VersusError('input', `parameter '${param.name}' has ${filled} of ${bytes.byteLength} bytes`, {
      where: source.label,
    });
  }
  return { dtype: param.dtype, shape: param.shape, data: fromBytes(param.dtype, bytes) };
}
