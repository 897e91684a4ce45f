import { VersusError } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import { tensor } from '../core/tensor.ts';

/**
 * Rows `at`… of every sequence of `embeds` [batch, sequence, width] are replaced by image features, [batch, n, width] or
 * [batch · n, width]: the placeholder tokens' embeddings are never used.
 */
export function spliceFeatures(embeds: Tensor, features: Tensor, at: number): Tensor {
  const [batch, sequence, width] = embeds.shape as [number, number, number];
  const rows = features.data.length / (batch * width);
  if (features.dtype !== embeds.dtype || features.shape.at(-1) !== width || at + rows > sequence) {
    throw new VersusError(
      'unsupported',
      `image features [${features.shape}] ${features.dtype} don't fit embeddings [${embeds.shape}] ${embeds.dtype}`,
      { next: 'the projector has to yield rows of the language model’s width' },
    );
  }
  const data = embeds.data.slice();
  for (let b = 0; b < batch; b++) {
    const rowsOf = features.data.subarray(b * rows * width, (b + 1) * rows * width);
    data.set(rowsOf as never, (b * sequence + at) * width);
  }
  return tensor(embeds.dtype, embeds.shape, data);
}
