import type { ModelDef } from '../../core/model.ts';
import type { GraphBuilder, Value } from '../../graph/builder.ts';
import { graft } from '../../graph/graft.ts';
import type { Judged, LossOptions, Sizes } from './forward.ts';
import { fixedInputs, type Graphs, graphNamed, sizedInput, sizeOf } from './inputs.ts';
import { pairedCrossEntropy, pairedSigmoid } from './loss.ts';

/**
 * Two towers: pixel_values [batch, …] and input_ids int64 [batch, sequence], row by row a pair → the loss over all batch²
 * pairs, logits [batch, batch] = cosine · exp(logit_scale) (+ bias) with the images as rows. Texts are padded behind their
 * end: a causal tower reads nothing of it, and one that sees all was made for it.
 */
export function contrastive(
  g: GraphBuilder,
  model: ModelDef,
  graphs: Graphs,
  sizes: Sizes,
  options: LossOptions,
): Judged {
  const { batch } = sizes;
  const [vision, text, similarity] = ['vision', 'text', 'similarity'].map((name) =>
    graphNamed(model, graphs, name),
  ) as [Graphs[string], Graphs[string], Graphs[string]];
  const sequence = sizeOf(model, sizes, 'sequence');
  const pixels = sizedInput(g, model, vision, 'pixel_values', { batch });
  const ids = sizedInput(g, model, text, 'input_ids', { batch, sequence });
  const seen = graft(g, 'vision', vision, { pixel_values: pixels }, ['image_embeds']);
  const fixed = fixedInputs(g, model, text, { batch, sequence });
  const read = graft(g, 'text', text, { ...fixed, input_ids: ids }, ['text_embeds']);
  const { logits_per_image: logits } = graft(g, 'similarity', similarity, { ...seen, ...read }, [
    'logits_per_image',
  ]) as { logits_per_image: Value };
  const pairs = options.pairs ?? (model.family === 'siglip' ? 'sigmoid' : 'softmax');
  const loss = g.scope('loss', () =>
    pairs === 'sigmoid' ? pairedSigmoid(g, logits) : pairedCrossEntropy(g, logits, options.labelSmoothing),
  );
  return { loss, logits, classes: null };
}
