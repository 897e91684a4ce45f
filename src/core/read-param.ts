import { VersusError } from './errors.ts';
import type { Param } from './graph.ts';
import type { WeightSource } from './model.ts';
import { bytesPerElement, elementCount, fromBytes, type Tensor } from './tensor.ts';

/** Pieces in which a source is read: large enough that handing them over costs nothing. */
const PIECE_BYTES = 1 << 20;

/** Memory beyond this is not kept for the next parameter: one table of embeddings would hold as much until the end. */
const MOST_KEPT = 64 << 20;

/** Memory for one parameter at a time: what was read into it before is gone with the next. */
export class Room {
  readonly piece = new Uint8Array(PIECE_BYTES);
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
  const size = elementCount(param.shape) * bytesPerElement(param.dtype);
  const bytes = room?.bytes(size) ?? new Uint8Array(size);
  let filled = 0;
  for await (const chunk of source.read(param, room?.piece)) {
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
