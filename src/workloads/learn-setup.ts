import type { OpenOptions, TrainingTraits } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { ModelDef } from '../core/model.ts';
import type { Given } from '../core/workload.ts';
import { graphCost } from '../graph/cost.ts';
import { countOf } from '../training/arrange.ts';
import { type Forward, type ForwardOptions, forwardOf } from '../training/forward/index.ts';
import { judging } from '../training/parts.ts';
import { type TrainingStep, trainingStep } from '../training/step.ts';
import { seeded } from '../weights/index.ts';
import type { LearnParams, Teacher } from './learn.ts';
import { BETAS } from './train-setup.ts';

/** A model's training step, and the graph that judges what it has learnt. */
export interface Learner {
  readonly model: ModelDef;
  readonly forward: Forward;
  readonly step: TrainingStep;
  readonly judging: Graph;
  readonly rate: number;
  /** Names of its graphs among those of the case. */
  readonly graphs: { readonly step: string; readonly judging: string };
}

/** All that a case learns with: the configuration of the model that is derived for it. */
export interface LearnSetup {
  readonly student: Learner;
  readonly teacher: Learner | null;
  readonly open: Partial<OpenOptions>;
  readonly facts: Readonly<Record<string, number>>;
}

/**
 * The arm's model as one that learns: its graphs are the step and the judge, and those of its teacher.
 * @throws VersusError `usage` for a teacher that the workload does not have, or params that make no sense; `unsupported` for a
 *   model that is no classifier of the zoo
 */
export async function setUp(
  { model, params, batch, training }: Given<LearnParams>,
  teachers: Readonly<Record<string, Teacher>>,
): Promise<ModelDef<LearnSetup>> {
  check(model, params, batch);
  const name = params.teacher;
  const found = name !== undefined && Object.hasOwn(teachers, name) ? teachers[name]! : null;
  if (name !== undefined && !found) {
    throw new VersusError('usage', `there is no teacher ${name}`, {
      where: model.name,
      next: `one of ${Object.keys(teachers).join(', ') || 'none: give the workload teachers'}`,
    });
  }
  const student = await learner(
    model,
    params.rate,
    '',
    batch,
    training,
    found ? { distillation: 'hard' } : {},
  );
  const teacher = found && (await learner(found.model, found.rate, 'teacher_', batch, training));
  const { step } = student;
  const { macs, unknown } = graphCost(step.graph, {});
  const weights = new Set(student.forward.graph.params.filter((p) => p.role === 'weight').map((p) => p.name));
  const { tiling: _, ...rest } = model;
  return {
    ...(rest as Omit<ModelDef, 'config' | 'build'>),
    weights: seeded(),
    build: graphsOf,
    config: {
      ...{ student, teacher, open: training.open ?? {} },
      facts: {
        trainable: countOf([student.forward.graph], weights),
        nodes: step.graph.nodes.length,
        ...(unknown.length === 0 && { macs }),
      },
    },
  };
}

function check({ name, task, files }: ModelDef, { images, seeds, steps }: LearnParams, batch: number): void {
  if (task !== 'classify' || files) {
    throw new VersusError('unsupported', 'only classifiers of the zoo learn from scratch', { where: name });
  }
  const whole = (n: number, least: number): boolean => Number.isInteger(n) && n >= least;
  const rising = images.every((n, i) => whole(n, batch) && (i === 0 || n > images[i - 1]!));
  if (images.length > 0 && rising && whole(seeds, 1) && whole(steps, 1)) return;
  throw new VersusError('usage', `images ${images.join(', ')}, seeds ${seeds}, steps ${steps}`, {
    where: name,
    next: `images: rising whole numbers from a batch (${batch}) on; at least one seed and one step`,
  });
}

async function learner(
  model: ModelDef,
  rate: number,
  prefix: string,
  batch: number,
  target: TrainingTraits,
  options: ForwardOptions = {},
): Promise<Learner> {
  const graphs: Record<string, Graph> = await model.build(model.config);
  const forward = await forwardOf(model, graphs, { batch }, options);
  const judged = await forwardOf(model, graphs, { batch }, { ...options, statistics: 'running' });
  const weights = forward.graph.params.filter((p) => p.role === 'weight');
  const shapes = new Map(weights.map((p) => [p.name, p.shape]));
  const step = await trainingStep(forward, {
    ...{ trainable: new Set(shapes.keys()), target, clipNorm: 1 },
    optimiser: {
      ...{ kind: 'adamw', betas: BETAS, weightDecay: 0.05 },
      decays: (name) => (shapes.get(name)?.length ?? 0) > 1,
    },
  });
  return {
    ...{ model, forward, step, rate, judging: judging(judged, step, target) },
    graphs: { step: `${prefix}step`, judging: `${prefix}judging` },
  };
}

const graphsOf = ({ student, teacher }: LearnSetup): Record<string, Graph> =>
  Object.fromEntries(
    [student, ...(teacher ? [teacher] : [])].flatMap(({ graphs, step, judging }) => [
      [graphs.step, step.graph],
      [graphs.judging, judging],
    ]),
  );
