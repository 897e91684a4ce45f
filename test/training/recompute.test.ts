import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import type { Backend, OpenOptions } from '../../src/core/backend.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { toNumbers } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import type { Forward } from '../../src/training/forward/index.ts';
import { stepMemory } from '../../src/training/predict.ts';
import { type TrainingStep, trainingStep } from '../../src/training/step.ts';
import { Trainer } from '../../src/training/trainer.ts';
import { oneThread } from '../one-thread.ts';
import { drawn } from '../transform/passes.ts';

const DEPTH = 12;
const ROWS = 256;
const WIDTH = 16;

/** Layers with two activations each, over many rows: next to nothing but activations. */
function deep(): Forward {
  const g = new GraphBuilder('deep');
  const inputs = [{ name: 'x', dtype: 'float32', shape: [ROWS, WIDTH] }] as const;
  let h = g.input('x', 'float32', [ROWS, WIDTH]);
  for (let i = 0; i < DEPTH; i++) {
    const y = g.matmul(h, g.param(`w${i}`, [WIDTH, WIDTH], { kind: 'uniform', std: 0.3 }));
    h = g.add(h, g.mul(g.tanh(y), g.sigmoid(y)));
  }
  g.output('loss', g.reduceMean(g.mul(h, h), undefined, false));
  return { graph: g.build(), loss: 'loss', logits: 'loss', classes: null, inputs, buffers: new Map() };
}

const model: ModelDef = {
  ...{ name: 'deep', family: 'test', task: 'classify', config: null },
  build: () => ({}),
};
const options = {
  trainable: new Set(Array.from({ length: DEPTH }, (_, i) => `w${i}`)),
  optimiser: { kind: 'sgd', momentum: 0.9 } as const,
};

describe('a step within a memory budget', () => {
  let cacheDir: string;
  beforeAll(async () => {
    cacheDir = await mkdtemp(join(tmpdir(), 'versus-recompute-'));
  });
  afterAll(() => rm(cacheDir, { recursive: true }));

  async function learnt(step: TrainingStep): Promise<number[]> {
    const trainer = await Trainer.open(model, step, { backend: oneThread(), cacheDir, maxBytes: 1e9 });
    try {
      const numbers: number[] = [];
      const batch = { x: drawn([ROWS, WIDTH], 1) };
      for (let i = 0; i < 3; i++) numbers.push((await trainer.run(batch, { lr: 0.1 })).loss);
      for (const name of options.trainable) numbers.push(...toNumbers(await trainer.read(name)));
      return numbers;
    } finally {
      await trainer.close();
    }
  }

  it('learns the same to the bit, with more products', async () => {
    const whole = await trainingStep(deep(), options);
    const { total } = stepMemory(whole);
    const numbers = await learnt(whole);
    const products = (step: TrainingStep) =>
      step.graph.nodes.filter((n) => n.op === 'MatMul' || n.op === 'Gemm').length;
    for (const share of [0.8, 0.6]) {
      const memoryBudget = Math.ceil(share * total);
      const step = await trainingStep(deep(), { ...options, memoryBudget });
      expect(stepMemory(step).total).toBeLessThanOrEqual(memoryBudget);
      expect(products(step)).toBeGreaterThan(products(whole));
      // At most the whole forward pass once more.
      expect(products(step) - products(whole)).toBeLessThanOrEqual(DEPTH);
      expect(await learnt(step)).toEqual(numbers);
    }
  });

  it('is still computed twice when the runtime optimises', async () => {
    const whole = await trainingStep(deep(), options);
    const step = await trainingStep(deep(), { ...options, memoryBudget: 0.6 * stepMemory(whole).total });
    const count = (ops: readonly { op: string }[]) => ops.filter(({ op }) => op === 'Tanh').length;
    const again = count(step.graph.nodes);
    expect(again).toBeGreaterThan(DEPTH);
    /** How many ran, by the runtime's profile. */
    const ran = async (backend: Backend, optimisation: OpenOptions['optimisation']): Promise<number> => {
      const open: OpenOptions = { precision: 'fp32', prove: true, ...(optimisation && { optimisation }) };
      const trainer = await Trainer.open(model, step, { backend, open, cacheDir, maxBytes: 1e9 });
      try {
        await trainer.run({ x: drawn([ROWS, WIDTH], 1) }, { lr: 0.1 });
        return count((await trainer.session.profile!())!);
      } finally {
        await trainer.close();
      }
    };
    const cpu = onnxruntime('cpu');
    const { recomputing: _, ...careless } = cpu.training!;
    for (const optimisation of ['basic', 'all'] as const) {
      expect(await ran(cpu, optimisation)).toBe(again);
      // What the options are there to prevent.
      expect(await ran({ ...cpu, training: careless }, optimisation)).toBe(DEPTH);
    }
  });

  it('computes nothing twice where there is room, and says the least that is possible', async () => {
    const whole = await trainingStep(deep(), options);
    const roomy = await trainingStep(deep(), { ...options, memoryBudget: stepMemory(whole).total });
    expect(roomy.graph.nodes.length).toBe(whole.graph.nodes.length);
    expect(roomy.recomputes).toBeUndefined();
    const error = await trainingStep(deep(), { ...options, memoryBudget: 50_000 }).catch((e: unknown) => e);
    const least = Number(/into 50000 bytes: (\d+) are the least possible/.exec(String(error))?.[1]);
    const step = await trainingStep(deep(), { ...options, memoryBudget: least });
    expect(stepMemory(step).total).toBeLessThanOrEqual(least);
    expect(least).toBeLessThan(0.6 * stepMemory(whole).total);
  });
});
