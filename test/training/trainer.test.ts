import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reference } from '../../src/backends/reference.ts';
import type { Backend } from '../../src/core/backend.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { float32, type Tensor, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import type { Forward } from '../../src/training/forward/index.ts';
import { adamCorrections } from '../../src/training/schedule.ts';
import { trainingStep } from '../../src/training/step.ts';
import { Trainer } from '../../src/training/trainer.ts';
import type { OptimiserSpec } from '../../src/transform/optimiser/index.ts';
import { oneThread } from '../one-thread.ts';
import { apart, drawn } from '../transform/passes.ts';

/** Three products in a row: the gradient of one reads the weight of the next. */
function regression(widths: readonly number[] = [4, 8, 8, 2]): Forward {
  const g = new GraphBuilder('regression');
  const inputs = [
    { name: 'x', dtype: 'float32', shape: [6, 4] },
    { name: 'y', dtype: 'float32', shape: [6, 2] },
  ] as const;
  const [x, y] = inputs.map(({ name, shape }) => g.input(name, 'float32', shape));
  let h = x!;
  for (let i = 0; i < 3; i++) {
    h = g.gemm(h, g.param(`w${i}`, [widths[i + 1]!, widths[i]!], { kind: 'uniform', std: 0.4 }), null, {
      transB: 1,
    });
  }
  const off = g.sub(h, y!);
  g.output('loss', g.reduceSum(g.mul(off, off), undefined, false));
  return { graph: g.build(), loss: 'loss', logits: 'loss', classes: null, inputs, buffers: new Map() };
}

const model: ModelDef = {
  name: 'regression',
  family: 'test',
  task: 'classify',
  config: null,
  build: () => ({}),
};
const batch: Tensors = { x: drawn([6, 4], 1), y: drawn([6, 2], 2) };

describe('a trainer', () => {
  let cacheDir: string;
  beforeAll(async () => {
    cacheDir = await mkdtemp(join(tmpdir(), 'versus-trainer-'));
  });
  afterAll(() => rm(cacheDir, { recursive: true }));

  async function train(backend: Backend, trainable: readonly string[], steps: number, clipNorm?: number) {
    const forward = regression();
    const step = await trainingStep(forward, {
      ...(backend.training && { target: backend.training }),
      trainable: new Set(trainable),
      optimiser: { kind: 'sgd', momentum: 0.9 },
      ...(clipNorm !== undefined && { clipNorm }),
    });
    const trainer = await Trainer.open(model, step, { backend, cacheDir, maxBytes: 1e9 });
    try {
      const losses: number[] = [];
      for (let i = 0; i < steps; i++) losses.push((await trainer.run(batch, { lr: 0.01 })).loss);
      const weights: Record<string, number[]> = {};
      for (const name of trainable) weights[name] = [...toNumbers(await trainer.read(name))];
      return { losses, weights };
    } finally {
      await trainer.close();
    }
  }

  // Without clipping nothing but the order that `orderedUpdates` makes keeps a weight until its last reader has run.
  it.each([
    undefined,
    5,
  ])('writes state over itself on onnxruntime and learns what the reference learns, clipped at %s', async (clip) => {
    const all = ['w0', 'w1', 'w2'];
    const [ours, wanted] = [await train(oneThread(), all, 12, clip), await train(reference, all, 12, clip)];
    expect(wanted.losses.at(-1)).toBeLessThan(0.6 * wanted.losses[0]!);
    ours.losses.forEach((loss, i) => {
      expect(Math.abs(loss / wanted.losses[i]! - 1), `loss of step ${i}`).toBeLessThan(1e-4);
    });
    for (const name of all) {
      const off = ours.weights[name]!.map((w, i) => Math.abs(w - wanted.weights[name]![i]!));
      expect(Math.max(...off), name).toBeLessThan(1e-4);
    }
  });

  it('takes state in the shapes of parameters and gives it so, however a step lays it out', async () => {
    const backend = oneThread();
    const forward = regression([4, 320, 256, 2]);
    const trainable = new Set(['w0', 'w1', 'w2']);
    const optimiser: OptimiserSpec = { kind: 'adamw', weightDecay: 0.1 };
    const steps = [
      await trainingStep(forward, { trainable, optimiser }),
      await trainingStep(forward, { trainable, optimiser, target: backend.training! }),
    ];
    const own = steps[1]!.state.find((s) => s.input === 'moment1/w1')!;
    expect(own).toMatchObject({ transposed: true, shape: [2, 40960] });
    expect(steps[1]!.graph.nodes.filter((n) => n.op === 'Scan')).toHaveLength(1);
    // Two steps with each layout, then two more by the other from the state of the first.
    const states: Record<string, Tensor>[] = [];
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      let state: Record<string, Tensor> = {};
      let t = 0;
      for (const which of order) {
        const trainer = await Trainer.open(model, steps[which]!, { backend, cacheDir, maxBytes: 1e9 }, state);
        for (let i = 0; i < 2; i++)
          await trainer.run(batch, { lr: 0.01, ...adamCorrections(++t, [0.9, 0.999]) });
        state = {};
        for (const { input } of steps[which]!.state) state[input] = await trainer.read(input);
        await trainer.close();
      }
      states.push(state);
    }
    expect(states[0]!.w1!.shape).toEqual([256, 320]);
    expect(apart(states[0]!, states[1]!)).toBeLessThan(1e-4);
  });

  it('leaves frozen weights in the artifact', async () => {
    const { losses } = await train(oneThread(), ['w1'], 5);
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
  });

  it('stops at a loss that is no number, and names the step', async () => {
    const step = await trainingStep(regression(), { trainable: new Set(['w0']), optimiser: { kind: 'sgd' } });
    const trainer = await Trainer.open(model, step, { backend: oneThread(), cacheDir, maxBytes: 1e9 });
    await trainer.run(batch, { lr: 0.01 });
    const broken = { ...batch, x: float32([6, 4], new Array(24).fill(Number.NaN)) };
    await expect(trainer.run(broken, { lr: 0.01 })).rejects.toThrow(/loss of step 2 is NaN/);
    await trainer.close();
  });

  it('refuses to train nothing', async () => {
    const options = { trainable: new Set(['elsewhere']), optimiser: { kind: 'sgd' } as const };
    await expect(trainingStep(regression(), options)).rejects.toThrow(/no parameter of the graph trains/);
  });
});
