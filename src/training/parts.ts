import type { Graph } from '../core/graph.ts';
import { dropDead } from '../transform/drop-dead.ts';
import { lower, type Target } from '../transform/lower/index.ts';
import { differentiated, opened } from './differentiate.ts';
import type { Forward } from './forward/index.ts';

export interface PartOptions {
  readonly trainable: ReadonlySet<string>;
  readonly target?: Target;
}

/** The parts of a training step as graphs of their own, which read the same state: what tells where its time goes. */
export interface StepParts {
  /** Gives the loss (and the next buffers, which training computes on the way). */
  readonly forward: Graph;
  /** Gives the gradients, too. */
  readonly backward: Graph;
  /** Outputs of `backward` beside the loss, which can stay on the device. */
  readonly gradients: readonly string[];
}

/**
 * A step without its optimiser, and without its gradients. Everything that `backward` makes is an output, so that nothing is
 * left out which the whole step computes.
 * @throws VersusError as `trainingStep`
 */
export async function stepParts(forward: Forward, options: PartOptions): Promise<StepParts> {
  const { loss, buffers } = forward;
  const open = await opened(forward, options.trainable, new Set([loss, ...buffers.values()]));
  const { g, gradients } = differentiated(open, loss);
  const names = open.trained.map((name) => `gradient/${name}`);
  open.trained.forEach((name, i) => {
    g.output(names[i]!, gradients.get(name)!);
  });
  const named = (graph: Graph, part: string): Graph => ({ ...graph, name: `${graph.name}.${part}` });
  return {
    forward: named(dropDead(lower(open.graph, options.target)), 'forward'),
    backward: named(dropDead(lower(dropDead(g.build()), options.target)), 'backward'),
    gradients: names,
  };
}

/** A forward graph that gives logits, of the same state that a step reads: what quality is judged by between steps. */
export async function judging(forward: Forward, options: PartOptions): Promise<Graph> {
  const { graph } = await opened(forward, options.trainable, new Set([forward.logits]));
  const judged = new Set(graph.nodes.flatMap((node) => node.inputs));
  const lowered = dropDead(lower(graph, options.target));
  // Labels are only for the loss.
  return {
    ...lowered,
    name: `${graph.name}.judging`,
    inputs: lowered.inputs.filter(({ name }) => judged.has(name)),
  };
}
