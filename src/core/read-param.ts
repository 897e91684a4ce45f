import { VersusError } from './errors.ts';
import type { Param } from './graph.ts';
import type { WeightSource } from './model.ts';
import { bytesPerElement, elementCount, fromBytes, type Tensor } from './tensor.ts';

/** Memory beyond this is not kept for the next parameter: one table of embeddings would hold as much until the end. */
const MOST_KEPT = 64 << 20;

/** Memory for one parameter at a time: what was read into it before is gone with the next. */
export class Room {
  private all = new Uint8Array(0);

  /** Its first bytes, whatever they held. */
  bytes(count: number): Uint8Array<ArrayBuffer> {
    if (count > MOST_KEPT) return new Uint8Array(count);
    if (this.all.byteLength < count) this.all = new Uint8Array(count);
    return this.all.subarray(0, count);
  }
}

/**
 * A parameter's numbers in memory of their own, or in `room`, where the next one is read over them.
 * @throws VersusError `input` when the source holds too few
 */
export async function readParam(source: WeightSource, param: Param, room?: Room): Promise<Tensor> {
  const { dtype, shape } = param;
  const count = elementCount(shape);
  const size = count * bytesPerElement(dtype);
  // Sources put numbers there by the eight.
  const lent = room?.bytes(Math.ceil(count / 8) * 8 * bytesPerElement(dtype));
  const bytes = lent?.subarray(0, size) ?? new Uint8Array(size);
  let filled = 0;
  for await (const chunk of source.read(param, lent)) {
    if (filled + chunk.byteLength > size) break;
    if (chunk.buffer !== bytes.buffer) bytes.set(chunk, filled);
    // A source that fills what it is lent piece by piece would write over the piece before.
    else if (chunk.byteLength !== size) return readParam(source, param);
    filled += chunk.byteLength;
  }
  if (filled !== size) {
    throw new VersusError('input', `parameter '${param.name}' has ${filled} of ${size} bytes`, {
      where: source.label,
    });
  }
  return { dtype, shape, data: fromBytes(dtype, bytes) };
}
