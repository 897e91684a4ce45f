import type { Backend } from '../../src/core/backend.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { random, seedOf } from '../../src/core/random.ts';
import { elementCount, int64, type Tensor, type Tensors, tensor } from '../../src/core/tensor.ts';
import { withAllLogits } from '../../src/estimate/resize.ts';
import { type Forward, forwardOf, type Sizes } from '../../src/training/forward/index.ts';
import { adamCorrections } from '../../src/training/schedule.ts';
import { trainingStep } from '../../src/training/step.ts';
import { Trainer } from '../../src/training/trainer.ts';
import type { OptimiserSpec } from '../../src/transform/optimiser/index.ts';
import { model as zoo } from '../../src/zoo/index.ts';

export const SIZES: Sizes = { batch: 3, sequence: 7 };
export const STEPS = 20;
const BATCHES = 3;

/** AdamW as whoever trains has it: decay for matrices alone. */
export const ADAMW = {
  kind: 'adamw',
  betas: [0.9, 0.99],
  eps: 1e-8,
  weightDecay: 0.05,
  decays: (name: string) => !/bias|norm/.test(name),
} as const satisfies OptimiserSpec;

/** Models of the zoo, so small that a GPU which the processor plays takes them, too. */
export const MODELS: Readonly<Record<string, ModelDef>> = {
  'vit-tiny': shrunk('vit-tiny', { depth: 1, image: [24, 24], width: 32, mlpWidth: 64 }),
  'resnet-tiny': shrunk('resnet-tiny', { depths: [1, 1], widths: [8, 16], stemWidth: 8, image: [24, 24] }),
  'llama-tiny': shrunk('llama-tiny', { depth: 1, vocabulary: 64 }),
};

function shrunk(name: string, smaller: object): ModelDef {
  const model = withAllLogits(zoo(name));
  return { ...model, config: { ...(model.config as object), ...smaller } };
}

export const weightsOf = ({ graph }: Forward): string[] =>
  graph.params.filter((p) => p.role === 'weight').map((p) => p.name);

/** What is fed at a step: a few batches, by turns. A last label does not count. */
export function batchAt(at: number, { inputs, classes, graph }: Forward): Tensors {
  const draw = random(seedOf(graph.name, at % BATCHES));
  return Object.fromEntries(
    inputs.map(({ name, dtype, shape }): [string, Tensor] => {
      const sizes = shape as number[];
      const count = elementCount(sizes);
      if (dtype === 'float32')
        return [
          name,
          tensor(
            dtype,
            sizes,
            Float32Array.from({ length: count }, () => draw.uniform() * 2 - 1),
          ),
        ];
      const ids = Array.from({ length: count }, () => draw.below(classes!));
      if (name === 'labels' && sizes.length > 1) ids[count - 1] = -100;
      return [name, int64(sizes, ids)];
    }),
  );
}

export const scalarsAt = (at: number): Record<string, number> => ({
  lr: 1e-3,
  ...adamCorrections(at + 1, ADAMW.betas),
});

export interface Curve {
  readonly losses: readonly number[];
  /** Bytes that crossed between host and device over all steps, and those that steps have to move. */
  readonly moved: { readonly toDevice: number; readonly toHost: number; readonly fed: number };
}

/** The losses of the first steps on a backend. */
export async function curve(
  model: ModelDef,
  backend: Backend,
  cacheDir: string,
  steps = STEPS,
): Promise<Curve> {
  const forward = await forwardOf(model, await model.build(model.config), SIZES);
  const step = await trainingStep(forward, {
    trainable: new Set(weightsOf(forward)),
    optimiser: ADAMW,
    ...(backend.training && { target: backend.training }),
  });
  const trainer = await Trainer.open(model, step, { backend, cacheDir, maxBytes: 1e9 });
  try {
    const before = trainer.session.traffic();
    const losses: number[] = [];
    let fed = 0;
    for (let at = 0; at < steps; at++) {
      const batch = batchAt(at, forward);
      for (const { data } of Object.values(batch)) fed += data.byteLength;
      fed += step.scalars.length * 4;
      losses.push((await trainer.run(batch, scalarsAt(at))).loss);
    }
    const after = trainer.session.traffic();
    return {
      losses,
      moved: {
        toDevice: after.to_device - before.to_device,
        toHost: after.to_host - before.to_host,
        fed,
      },
    };
  } finally {
    await trainer.close();
  }
}
