import { VersusError } from '../../core/errors.ts';
import type { GraphBuilder, Value } from '../../graph/builder.ts';
import { crossEntropy } from './loss.ts';

/** Outputs of a model with a head for the label and one for a teacher, as DeiT with `taps` has them. */
export const HEADS = ['cls_logits', 'distillation_logits'] as const;

/**
 * Hard distillation: ½ · CE(class head, label) + ½ · CE(distillation head, the class that the teacher chose). Source: Touvron et
 * al., "Training data-efficient image transformers and distillation through attention" (2021), equation 3, with a head for each
 * target as in its section 4 ("distillation token").
 *
 * @param outputs of the model, [batch, classes] each
 * @param labels int64 [batch]
 * @param taught int64 [batch], the teacher's largest logits
 * @returns a scalar
 * @throws VersusError `unsupported` for a model without the two heads
 */
export function hardDistillation(
  g: GraphBuilder,
  outputs: Readonly<Record<string, Value>>,
  labels: Value,
  taught: Value,
  smoothing = 0,
): Value {
  const [own, token] = HEADS.map((name) => outputs[name]);
  if (!own || !token) {
    throw new VersusError('unsupported', `distillation needs the outputs ${HEADS.join(' and ')}`, {
      where: `outputs ${Object.keys(outputs).join(', ')}`,
      next: "take a DeiT with distillation: 'token+head' and taps: true",
    });
  }
  const sum = g.add(crossEntropy(g, own, labels, smoothing), crossEntropy(g, token, taught));
  return g.mul(sum, 0.5);
}
