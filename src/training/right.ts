import { type Tensor, toNumbers } from '../core/tensor.ts';
import { IGNORED } from './forward/index.ts';

/**
 * Which samples of a batch a model has right: a class by its largest logit; an answer where each of its tokens, given those
 * before it, has the largest logit, so that greedy decoding would say it word for word.
 *
 * @param logits [batch, classes] or [batch, length, vocabulary]; where the length is more than the labels', an image stands
 *   behind the first `before` tokens
 * @param labels int64 [batch] or [batch, sequence], -100 where nothing is asked
 * @param options.next a label is foretold by the place before it (decoders), not by its own (encoder–decoders)
 */
export function rightOnes(
  logits: Tensor,
  labels: Tensor,
  options: { readonly before?: number; readonly next: boolean },
): boolean[] {
  const wanted = toNumbers(labels);
  const values = toNumbers(logits);
  const width = logits.shape.at(-1)!;
  const [batch] = labels.shape as [number];
  if (labels.shape.length === 1) {
    return Array.from({ length: batch }, (_, i) => largest(values, i * width, width) === wanted[i]);
  }
  const [sequence, length] = [labels.shape[1]!, logits.shape[1]!];
  const { before = 0, next } = options;
  const image = length - sequence;
  const placeOf = (token: number): number => (token < before ? token : token + image) - (next ? 1 : 0);
  return Array.from({ length: batch }, (_, row) => {
    for (let t = next ? 1 : 0; t < sequence; t++) {
      const label = wanted[row * sequence + t]!;
      if (label === IGNORED) continue;
      if (largest(values, (row * length + placeOf(t)) * width, width) !== label) return false;
    }
    return true;
  });
}

/** Place of the largest of some numbers; the first among equals. */
function largest(values: Float64Array, from: number, count: number): number {
  let best = 0;
  for (let i = 1; i < count; i++) if (values[from + i]! > values[from + best]!) best = i;
  return best;
}
