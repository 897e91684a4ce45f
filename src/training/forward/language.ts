import { VersusError } from '../../core/errors.ts';
import type { ModelDef } from '../../core/model.ts';
import type { GraphBuilder, Value } from '../../graph/builder.ts';
import { showShape } from '../../graph/dims.ts';
import { graft } from '../../graph/graft.ts';
import type { Judged, LossOptions, Sizes } from './forward.ts';
import { fixedInputs, type Graphs, graphNamed, sizeOf } from './inputs.ts';
import { crossEntropy, nextLabels } from './loss.ts';

/**
 * A language model: input_ids and labels int64 [batch, sequence] (the ids again, -100 where nothing is to be learnt: prompts,
 * padding behind the text) → mean cross-entropy of the next token, logits [batch, sequence, vocabulary].
 */
export function language(
  g: GraphBuilder,
  model: ModelDef,
  graphs: Graphs,
  sizes: Sizes,
  options: LossOptions,
): Judged {
  const graph = graphNamed(model, graphs, 'model');
  const { batch } = sizes;
  const sequence = sizeOf(model, sizes, 'sequence');
  const ids = g.input('input_ids', 'int64', [batch, sequence]);
  const labels = g.input('labels', 'int64', [batch, sequence]);
  const fixed = fixedInputs(g, model, graph, { batch, sequence });
  const { logits } = graft(g, 'model', graph, { ...fixed, input_ids: ids }, ['logits']) as { logits: Value };
  return nextToken(g, model, logits, labels, options);
}

/** Logits [batch, length, vocabulary] of every place against labels [batch, length], which say what is there. */
export function nextToken(
  g: GraphBuilder,
  model: ModelDef,
  logits: Value,
  labels: Value,
  { labelSmoothing }: LossOptions,
): Judged {
  const loss = g.scope('loss', () =>
    crossEntropy(g, asRows(g, model, logits, labels), nextLabels(g, labels), labelSmoothing),
  );
  return { loss, logits, classes: Number(logits.shape.at(-1)) };
}

/** Logits as rows, [batch · length, vocabulary]. @throws VersusError `usage` for a graph that gives only the last place's */
export function asRows(g: GraphBuilder, model: ModelDef, logits: Value, labels: Value): Value {
  const [batch, length] = labels.shape as [number, number];
  if (logits.shape[0] !== batch || logits.shape[1] !== length) {
    throw new VersusError(
      'usage',
      `logits of ${showShape(logits.shape)} for ${batch} texts of ${length} tokens: every place is needed`,
      { where: model.name, next: 'build the model with logits of all positions' },
    );
  }
  return g.reshape(logits, [batch * length, logits.shape[2]!]);
}
