import { VersusError } from '../../core/errors.ts';
import type { Tensor } from '../../core/tensor.ts';
import { IGNORED } from './forward.ts';

/**
 * Labels before they are fed: a graph's kernels would read beside the logits for one that names no class.
 * @param labels int64 [batch] or [batch, sequence]
 * @throws VersusError `input` naming the sample, its label and how many classes there are
 */
export function checkLabels(labels: Tensor, classes: number): void {
  const perSample = labels.data.length / (labels.shape[0] || 1);
  labels.data.forEach((label: number | bigint, at: number) => {
    const value = Number(label);
    if ((value >= 0 && value < classes && Number.isInteger(value)) || value === IGNORED) return;
    const sample = Math.floor(at / perSample);
    const place = perSample > 1 ? `, place ${at % perSample}` : '';
    throw new VersusError(
      'input',
      `label ${value} of sample ${sample}${place} is none of ${classes} classes`,
      {
        next: `labels go from 0 to ${classes - 1}; ${IGNORED} is ignored`,
      },
    );
  });
}
