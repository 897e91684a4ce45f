import type { ModelDef } from '../../core/model.ts';
import { gridPositions } from '../../core/positions.ts';
import type { GraphBuilder, Value } from '../../graph/builder.ts';
import { graft } from '../../graph/graft.ts';
import type { Judged, LossOptions, Sizes } from './forward.ts';
import { putBetween, seenImage } from './image.ts';
import { fixedInputs, type Graphs, graphNamed, sizeOf } from './inputs.ts';
import { nextToken } from './language.ts';
import { ignoredLabels } from './loss.ts';

/**
 * A language model that sees: what its vision graph takes, and input_ids and labels int64 [batch, sequence] of the text alone
 * → mean cross-entropy of the next token, logits [batch, before + image tokens + rest, vocabulary]. The image stands behind
 * the first `before` tokens; nothing has to predict it.
 */
export function visionLanguage(
  g: GraphBuilder,
  model: ModelDef,
  graphs: Graphs,
  sizes: Sizes,
  options: LossOptions,
): Judged {
  const { batch, before = 0 } = sizes;
  const sequence = sizeOf(model, sizes, 'sequence');
  const decoder = graphNamed(model, graphs, 'decoder');
  const { features, tokens, run } = seenImage(g, model, graphs, sizes);
  const ids = g.input('input_ids', 'int64', [batch, sequence]);
  const labels = g.input('labels', 'int64', [batch, sequence]);
  const embed = graphNamed(model, graphs, 'embed');
  const { inputs_embeds: text } = graft(g, 'embed', embed, { input_ids: ids }, ['inputs_embeds']) as {
    inputs_embeds: Value;
  };
  const all = g.scope('prompt', () => putBetween(g, text, features, before));
  const length = sequence + tokens;
  const axes = decoder.inputs.find((i) => i.name === 'position_ids')?.shape.length === 3;
  const runs = [{ text: before }, run, { text: sequence - before }];
  const { places } = gridPositions(runs);
  const positions = axes ? [0, 1, 2].flatMap((axis) => places.map((place) => place[axis]!)) : undefined;
  const fixed = fixedInputs(g, model, decoder, { batch, sequence: length }, positions);
  const { logits } = graft(g, 'decoder', decoder, { ...fixed, inputs_embeds: all }, ['logits']) as {
    logits: Value;
  };
  const answers = g.scope('loss', () => putBetween(g, labels, ignoredLabels(g, batch, tokens), before));
  return nextToken(g, model, logits, answers, options);
}
