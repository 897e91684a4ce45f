import type { ModelDef } from '../../core/model.ts';
import type { GraphBuilder, Value } from '../../graph/builder.ts';
import { graft } from '../../graph/graft.ts';
import type { Judged, LossOptions, Sizes } from './forward.ts';
import { putBetween, seenImage } from './image.ts';
import { fixedInputs, type Graphs, graphNamed, sizeOf } from './inputs.ts';
import { asRows } from './language.ts';
import { crossEntropy } from './loss.ts';

/**
 * An encoder reads image and prompt, a decoder answers: what the vision graph takes, input_ids int64 [batch, prompt],
 * decoder_input_ids and labels int64 [batch, sequence] (the same answer, the first a token behind: it begins with the start
 * token) → mean cross-entropy, logits [batch, sequence, vocabulary]. A model without a vision graph reads the prompt alone.
 */
export function encoderDecoder(
  g: GraphBuilder,
  model: ModelDef,
  graphs: Graphs,
  sizes: Sizes,
  options: LossOptions,
): Judged {
  const { batch, before = 0 } = sizes;
  const [prompt, sequence] = [sizeOf(model, sizes, 'prompt'), sizeOf(model, sizes, 'sequence')];
  const [embed, encoder, decoder] = ['embed', 'encoder', 'decoder'].map((name) =>
    graphNamed(model, graphs, name),
  ) as [Graphs[string], Graphs[string], Graphs[string]];
  const image = graphs.vision ? seenImage(g, model, graphs, sizes) : null;
  const ids = g.input('input_ids', 'int64', [batch, prompt]);
  const begun = g.input('decoder_input_ids', 'int64', [batch, sequence]);
  const labels = g.input('labels', 'int64', [batch, sequence]);
  const embedded = (scope: string, tokens: Value): Value =>
    graft(g, scope, embed, { input_ids: tokens }, ['inputs_embeds']).inputs_embeds!;

  const text = embedded('embed', ids);
  const all = image ? g.scope('prompt', () => putBetween(g, text, image.features, before)) : text;
  const source = prompt + (image?.tokens ?? 0);
  const hides = fixedInputs(g, model, encoder, { batch, sequence: source });
  const present = encoder.outputs.flatMap(({ name }) => (/^present\./.test(name) ? [name] : []));
  const read = graft(g, 'encoder', encoder, { ...hides, inputs_embeds: all }, present);
  const cross = present.map((name) => [name.replace(/^present\./, 'past_key_values.'), read[name]!] as const);

  const { encoder_attention_mask: mask } = fixedInputs(g, model, decoder, { batch, sequence: source });
  const { logits } = graft(
    g,
    'decoder',
    decoder,
    {
      ...fixedInputs(g, model, decoder, { batch, sequence }),
      ...(mask && { encoder_attention_mask: mask }),
      ...Object.fromEntries(cross),
      inputs_embeds: embedded('embed_answer', begun),
    },
    ['logits'],
  ) as { logits: Value };
  const rows = asRows(g, model, logits, labels);
  const answers = g.reshape(labels, [batch * sequence]);
  const loss = g.scope('loss', () => crossEntropy(g, rows, answers, options.labelSmoothing));
  return { loss, logits, classes: Number(logits.shape.at(-1)) };
}
