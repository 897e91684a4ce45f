import type { Opened } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { ValueInfo } from '../core/graph.ts';
import { gridPositions, type Run } from '../core/positions.ts';
import type { Tensors } from '../core/tensor.ts';
import { asInts } from './inputs.ts';

/** The position input of a decoder that wants frame, row and column of every token; null for one axis, or none. */
function gridInput(decoder: Opened): ValueInfo | null {
  const found = decoder.inputs.find((i) => i.name === 'position_ids' && i.shape.length === 3);
  if (!found) return null;
  const [axes] = found.shape;
  if (axes === 3 || typeof axes === 'string') return found;
  throw new VersusError('unsupported', `position_ids of ${axes} axes: how images are placed is not known`, {
    next: 'known are three axes: frame, row and column',
  });
}

/**
 * position_ids [3, batch, sequence] of a prompt that every sequence of the batch has; nothing for a decoder with one axis.
 * @throws VersusError `input` when the runs are not as long as the prompt
 */
export function imagePositions(
  decoder: Opened,
  runs: readonly Run[],
  { batch, sequence }: { readonly batch: number; readonly sequence: number },
): Tensors {
  const input = gridInput(decoder);
  if (!input) return {};
  const { places } = gridPositions(runs);
  if (places.length !== sequence) {
    throw new VersusError('input', `a prompt of ${sequence} tokens has positions for ${places.length}`, {
      next: "the model's tiling must make as many tokens as its vision graph hands on",
    });
  }
  const values = [0, 1, 2].flatMap((axis) =>
    Array.from({ length: batch }, () => places.map((place) => place[axis]!)).flat(),
  );
  return { position_ids: asInts(input.dtype, [3, batch, sequence], values) };
}

/** How far positions behind the prompt are from their places in the cache; 0 for a decoder with one axis. */
export function positionShift(decoder: Opened, runs: readonly Run[]): number {
  if (!gridInput(decoder)) return 0;
  const { places, next } = gridPositions(runs);
  return next - places.length;
}
