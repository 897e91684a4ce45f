import type { Graph } from '../core/graph.ts';
import { dropDead } from '../transform/drop-dead.ts';
import { leastPeak } from '../transform/least-peak.ts';
import { lower, type Target } from '../transform/lower/index.ts';
import { backwardOf, withInputs } from './backward.ts';
import { computedBy } from './computed-by.ts';
import type { Forward } from './forward/index.ts';
import { readingState } from './layout.ts';
import type { StepOptions, TrainingStep } from './step.ts';

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
 * @param step whose state they read
 * @throws VersusError as `trainingStep`
 */
export async function stepParts(
  forward: Forward,
  options: StepOptions,
  step: TrainingStep,
): Promise<StepParts> {
  const { g, trained } = await backwardOf(forward, options);
  const gradients = trained.map(({ name }) => `gradient/${name}`);
  trained.forEach(({ gradient }, i) => {
    g.output(gradients[i]!, gradient);
  });
  const whole = g.build();
  const first = { ...whole, outputs: whole.outputs.filter((o) => !gradients.includes(o.name)) };
  const made = async (graph: Graph, part: string): Promise<Graph> => {
    const own = await computedBy(options.target, graph);
    const read = readingState(leastPeak(own, new Set()), step.state, step.params, 'turned');
    return { ...read, name: `${graph.name}.${part}` };
  };
  return { forward: await made(first, 'forward'), backward: await made(whole, 'backward'), gradients };
}

/** A forward graph that gives logits, of the same state that a step reads: what quality is judged by between steps. */
export function judging(forward: Forward, step: TrainingStep, target?: Target): Graph {
  const fed = new Set(step.params.map((p) => p.name));
  const params = forward.graph.params.filter((p) => fed.has(p.name));
  const graph = withInputs(forward.graph, params, [forward.logits]);
  const judged = new Set(graph.nodes.flatMap((node) => node.inputs));
  const lowered = readingState(dropDead(lower(graph, target)), step.state, step.params, 'parameters');
  // Labels are only for the loss.
  const isRead = (name: string): boolean => judged.has(name);
  return { ...lowered, name: `${graph.name}.judging`, inputs: lowered.inputs.filter((i) => isRead(i.name)) };
}
