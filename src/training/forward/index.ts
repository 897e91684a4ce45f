/** A model's graphs as one that computes its loss: where a training step begins. */
import type { ModelDef } from '../../core/model.ts';
import { GraphBuilder } from '../../graph/builder.ts';
import { trainBatchNorm } from '../../transform/train-batchnorm.ts';
import { classify } from './classify.ts';
import { contrastive } from './contrastive.ts';
import { encoderDecoder } from './encoder-decoder.ts';
import type { Forward, ForwardOptions, Judged, Sizes } from './forward.ts';
import type { Graphs } from './inputs.ts';
import { language } from './language.ts';
import { settled } from './settle.ts';
import { visionLanguage } from './vision-language.ts';

export type { Forward, ForwardOptions, Sizes } from './forward.ts';
export { IGNORED } from './forward.ts';
export { checkLabels } from './labels.ts';

/**
 * Joins a model's graphs into one with its loss, for batches of one size. The task decides what is fed (see `classify`,
 * `language`, `contrastive`, `visionLanguage` and `encoderDecoder`).
 *
 * @param graphs as the model builds them, a language model with the logits of every position
 * @throws VersusError `usage` for a size that is missing or too large, `unsupported` for a model whose graphs are not those
 *   of its task
 */
export async function forwardOf(
  model: ModelDef,
  graphs: Graphs,
  sizes: Sizes,
  options: ForwardOptions = {},
): Promise<Forward> {
  const opset = Object.values(graphs)[0]?.opset[''] ?? 17;
  const g = new GraphBuilder(`${model.name}.training`, { opset });
  const { loss, logits, classes } = taskOf(model, graphs)(g, model, graphs, sizes, options);
  g.output('loss', loss);
  g.output('logits', logits);
  const joined = await settled(g.build());
  const { inputs } = joined;
  const { graph, buffers } =
    options.statistics === 'running'
      ? { graph: joined, buffers: new Map<string, string>() }
      : trainBatchNorm(joined);
  return { graph, loss: 'loss', logits: 'logits', classes, inputs, buffers };
}

type Task = (
  g: GraphBuilder,
  model: ModelDef,
  graphs: Graphs,
  sizes: Sizes,
  options: ForwardOptions,
) => Judged;

function taskOf(model: ModelDef, graphs: Graphs): Task {
  if (model.task === 'classify') return classify;
  if (model.task === 'embed') return contrastive;
  if (graphs.encoder) return encoderDecoder;
  return graphs.vision ? visionLanguage : language;
}
