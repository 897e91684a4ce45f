import type { Feeds, Resident } from '../core/backend.ts';
import type { Graph } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import { toNumbers } from '../core/tensor.ts';
import { GraphBuilder, type Value } from '../graph/builder.ts';
import { inferTypes } from '../graph/infer.ts';
import { dropDead } from '../transform/drop-dead.ts';
import { lower, type Target } from '../transform/lower/index.ts';
import { openArtifactResident, prepareArtifacts } from '../weights/index.ts';
import { withInputs } from './backward.ts';
import type { Batches } from './batches.ts';
import { type Forward, IGNORED } from './forward/index.ts';
import { readingState } from './layout.ts';
import type { TrainingStep } from './step.ts';
import type { TrainerOptions } from './trainer.ts';
import { wholeWeights } from './whole.ts';

/** How well a model does on samples that it doesn't learn from. */
export interface Evaluation {
  /** Mean over labels. */
  readonly loss: number;
  /** Share of the labels that have the largest logit; null where nothing is chosen (SigLIP judges pair by pair). */
  readonly accuracy: number | null;
  /** Samples. */
  readonly n: number;
}

/**
 * A forward graph as one that judges: outputs `loss`, and of every cross-entropy in it together `right`, how many labels have
 * the largest logit, and `judged`, how many there are that are not ignored. What changes in training is fed.
 *
 * @param step whose state is judged
 */
export function judgeOf(forward: Forward, step: TrainingStep, target?: Target): Graph {
  const { graph, loss } = forward;
  const changing = new Set(step.params.map((p) => p.name));
  const fed = graph.params.filter((p) => changing.has(p.name));
  const open = withInputs(graph, fed, [loss]);
  const g = GraphBuilder.over(open, inferTypes(open, {}).types);
  const counts = open.nodes
    .filter((n) => n.op === 'SoftmaxCrossEntropyLoss')
    .map(({ inputs: [scores, labels] }) =>
      g.scope('judge', () => counted(g, g.value(scores!), g.value(labels!))),
    );
  if (counts.length > 0) {
    g.output(
      'right',
      sum(
        g,
        counts.map((c) => c.right),
      ),
    );
    g.output(
      'judged',
      sum(
        g,
        counts.map((c) => c.judged),
      ),
    );
  }
  return readingState(dropDead(lower(dropDead(g.build()), target)), step.state, step.params, 'parameters');
}

/** @param scores [rows, classes] @param labels int64 [rows] */
function counted(g: GraphBuilder, scores: Value, labels: Value): { right: Value; judged: Value } {
  const [chosen] = g.op('ArgMax', [scores], { axis: -1, keepdims: 0 });
  const ones = (flags: Value): Value => g.reduceSum(g.cast(flags, 'float32'), undefined, false);
  return { right: ones(g.equal(chosen!, labels)), judged: ones(g.not(g.equal(labels, IGNORED))) };
}

const sum = (g: GraphBuilder, values: readonly Value[]): Value => values.reduce((a, b) => g.add(a, b));

/** Judges a model with what a trainer has made of it so far. The session is there while it judges, and not longer. */
export class Judge {
  readonly #model: ModelDef;
  readonly #graph: Graph;
  readonly #batches: Batches;
  readonly #options: TrainerOptions;
  /** Batches that are judged, the same ones every time. */
  readonly #count: number;

  /** @param most samples that are judged at most; whole batches, and one at least */
  constructor(model: ModelDef, graph: Graph, batches: Batches, most: number, options: TrainerOptions) {
    this.#model = model;
    this.#graph = graph;
    this.#batches = batches;
    this.#options = options;
    this.#count = Math.min(batches.perPass, Math.max(1, Math.floor(most / batches.size)));
  }

  /** @param state of a trainer on the same backend */
  async run(state: Readonly<Record<string, Resident>>): Promise<Evaluation> {
    const { backend, cacheDir, maxBytes, open } = this.#options;
    const { files: _, ...rest } = this.#model;
    const own: ModelDef = {
      ...{ ...rest, name: `${rest.name}.judge`, weights: await wholeWeights(this.#model) },
      build: () => ({ judge: this.#graph }),
    };
    const { judge } = await prepareArtifacts(own, { cacheDir, maxBytes, precision: 'fp32' });
    const named = new Set(this.#graph.inputs.map((i) => i.name));
    const fed = Object.fromEntries(Object.entries(state).filter(([name]) => named.has(name)));
    const settings = { precision: 'fp32' as const, ...backend.training?.open, ...open };
    const session = await openArtifactResident(backend, judge!, settings, () => false);
    const total = { loss: 0, weight: 0, right: 0, judged: 0 };
    try {
      for (let i = 0; i < this.#count; i++) {
        const feeds: Feeds = { ...(await this.#batches.at(i)), ...fed };
        const { host } = await session.run(feeds);
        const number = (name: string): number => (host[name] ? toNumbers(host[name])[0]! : 0);
        const [judged, loss] = [number('judged'), number('loss')];
        const weight = host.judged ? judged : 1;
        total.loss += weight === 0 ? 0 : loss * weight;
        total.weight += weight;
        total.right += number('right');
        total.judged += judged;
      }
    } finally {
      await session.close();
    }
    return {
      loss: total.loss / total.weight,
      accuracy: total.judged > 0 ? total.right / total.judged : null,
      n: this.#count * this.#batches.size,
    };
  }
}
