import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { shapes } from '../../datasets/shapes/index.ts';
import { reference } from '../../src/backends/reference.ts';
import { tfjs } from '../../src/backends/tfjs/index.ts';
import type { Backend, Precision } from '../../src/core/backend.ts';
import type { ModelDef } from '../../src/core/model.ts';
import type { Activity, Job, Step, Workload } from '../../src/core/workload.ts';
import { openArtifact, openArtifactResident, prepareArtifacts } from '../../src/weights/index.ts';
import { oneThread } from '../one-thread.ts';

export const scratch = mkdtempSync(path.join(os.tmpdir(), 'versus-workloads-'));
export const cleanUp = () => rmSync(scratch, { recursive: true, force: true });

/** The smallest set: 192 images, all splits. */
export const smallShapes = shapes({ size: 192, edge: 64 });

export const backends = { cpu: oneThread(), wasm: tfjs('wasm'), reference } satisfies Record<string, Backend>;

export interface Setup<P> {
  readonly workload: Workload<P>;
  readonly model: ModelDef;
  readonly params: P;
  readonly batch?: number;
  readonly backend?: keyof typeof backends;
  readonly precision?: Precision;
  readonly seed?: number;
  readonly trained?: boolean;
  readonly pass?: Job['pass'];
}

/** Opens a workload as the worker does: artifacts in a cache, sessions on the backend. */
export async function openActivity<P>(
  setup: Setup<P>,
  dataset: Job['dataset'] = () => smallShapes.prepare(path.join(scratch, 'datasets')),
): Promise<Activity> {
  const precision = setup.precision ?? 'fp32';
  const backend: Backend = backends[setup.backend ?? 'cpu'];
  const given = {
    model: setup.model,
    params: setup.params,
    batch: setup.batch ?? 1,
    training: backend.training ?? {},
  };
  const built = (await setup.workload.derive?.(given)) ?? setup.model;
  const artifacts = await prepareArtifacts(built, {
    cacheDir: path.join(scratch, 'cache'),
    maxBytes: 1e9,
    precision,
  });
  const job: Job<P> = {
    model: setup.model,
    built,
    pass: setup.pass ?? 'check',
    params: setup.params,
    batch: setup.batch ?? 1,
    seed: setup.seed ?? 7,
    trained: setup.trained ?? false,
    open: (name) =>
      openArtifact(backend, artifacts[name]!, {
        precision,
        optimisation: 'disabled',
      }),
    openResident: (name, keep, options) =>
      openArtifactResident(
        backend,
        artifacts[name]!,
        { ...options, precision, optimisation: 'disabled' },
        keep,
      ),
    ...(backend.openAutograd && {
      openAutograd: (given) => backend.openAutograd!(setup.model, given, { precision }),
    }),
    dataset,
  };
  return setup.workload.open(job);
}

/** Runs one repetition as the runner does and returns what it did. */
export async function repeat(activity: Activity, repetition = 0): Promise<Omit<Step, 'run'>[]> {
  const done: Omit<Step, 'run'>[] = [];
  for await (const step of activity.steps(repetition)) {
    await step.run();
    done.push({ phase: step.phase, items: step.items });
  }
  return done;
}
