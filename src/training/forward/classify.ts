import { VersusError } from '../../core/errors.ts';
import type { Graph } from '../../core/graph.ts';
import type { ModelDef } from '../../core/model.ts';
import type { GraphBuilder } from '../../graph/builder.ts';
import { graft } from '../../graph/graft.ts';
import { HEADS, hardDistillation } from './distil.ts';
import type { Judged, LossOptions, Sizes } from './forward.ts';
import { type Graphs, graphNamed, sizedInput } from './inputs.ts';
import { crossEntropy } from './loss.ts';

/**
 * A classifier: what its graph takes (pixel_values [batch, …], or the features of a classical model) and labels int64 [batch]
 * → mean cross-entropy, logits [batch, classes]. With distillation a batch has teacher_labels int64 [batch] besides: the classes
 * that a teacher chose.
 */
export function classify(
  g: GraphBuilder,
  model: ModelDef,
  graphs: Graphs,
  { batch }: Sizes,
  options: LossOptions,
): Judged {
  const graph = graphNamed(model, graphs, 'model');
  const inputs = Object.fromEntries(
    graph.inputs.map(({ name }) => [name, sizedInput(g, model, graph, name, { batch })]),
  );
  const labels = g.input('labels', 'int64', [batch]);
  const output = logitsOf(model, graph);
  if (options.distillation === 'hard') {
    const heads = HEADS.filter((name) => graph.outputs.some((o) => o.name === name));
    const taught = g.input('teacher_labels', 'int64', [batch]);
    const { [output]: both, ...own } = graft(g, 'model', graph, inputs, [output, ...heads]);
    const loss = g.scope('loss', () => hardDistillation(g, own, labels, taught, options.labelSmoothing));
    return { loss, logits: both!, classes: Number(both!.shape.at(-1)) };
  }
  const logits = graft(g, 'model', graph, inputs, [output])[output]!;
  const loss = g.scope('loss', () => crossEntropy(g, logits, labels, options.labelSmoothing));
  return { loss, logits, classes: Number(logits.shape.at(-1)) };
}

/** The output that is judged. A user's own file may call its only one otherwise. */
function logitsOf(model: ModelDef, { outputs }: Graph): string {
  const found =
    outputs.find((o) => o.name === 'logits') ?? (model.files && outputs.length === 1 ? outputs[0] : null);
  if (found) return found.name;
  throw new VersusError('unsupported', 'the model gives no logits to be compared with labels', {
    where: `${model.name}, outputs ${outputs.map((o) => o.name).join(', ')}`,
  });
}
