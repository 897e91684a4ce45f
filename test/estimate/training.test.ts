import { describe, expect, it } from 'vitest';
import type { ModelDef } from '../../src/core/model.ts';
import { chained } from '../../src/estimate/chain.ts';
import { estimateTraining } from '../../src/estimate/index.ts';
import { call } from '../../src/estimate/phases.ts';
import { savedBy } from '../../src/estimate/saved.ts';
import { type TrainingOptions, trainingMemory } from '../../src/estimate/training.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { model, models } from '../../src/zoo/index.ts';

/** x [4, 8] → relu(x · Aᵀ) [4, 16] → · Bᵀ → logits [4, 2]. */
function perceptron() {
  const g = new GraphBuilder('mlp');
  const x = g.input('x', 'float32', [4, 8]);
  const hidden = g.relu(g.gemm(x, g.param('a', [16, 8]), null, { transB: 1 }));
  g.output('logits', g.gemm(hidden, g.param('b', [2, 16]), null, { transB: 1 }));
  return chained('mlp', [call({ model: g.build() }, 'model', {})]);
}
const options = (learning: string[], other: Partial<TrainingOptions> = {}): TrainingOptions => ({
  ...{ trainable: new Set(learning), optimiser: 'adamw', width: 4 },
  ...other,
});
const WEIGHTS = 4 * (128 + 32);

describe('memory of a training step', () => {
  it('full: both inputs of products, gradients and two states of every weight', () => {
    const m = trainingMemory(perceptron(), WEIGHTS, options(['a', 'b']));
    expect(m.trainable).toBe(160);
    expect(m.weights).toBe(WEIGHTS);
    expect(m.optimiser).toBe(2 * WEIGHTS);
    // At the peak: x, relu's result (the product's own storage), the gradients of both, and b's gradient.
    expect(m.at).toBe('backward of Relu');
    expect(m.gradients).toBe(4 * 32);
    expect(m.activations + m.transient).toBe(4 * (32 + 64 + 64 + 64));
    expect(m.peak).toBe(m.weights + m.gradients + m.optimiser + m.activations + m.transient);
  });

  it('only the last layer: nothing is kept of what lies before it', () => {
    const all = trainingMemory(perceptron(), WEIGHTS, options(['a', 'b']));
    const last = trainingMemory(perceptron(), WEIGHTS, options(['b']));
    expect(last.trainable).toBe(32);
    expect(last.optimiser).toBe(2 * 4 * 32);
    // relu's result and the logits; x, which the caller holds, is not kept for anything.
    expect(last.activations).toBe(4 * (64 + 8));
    expect(last.peak).toBeLessThan(all.peak);
  });

  it('an adapter keeps the input of its product and rank numbers a row, and learns r (in + out)', () => {
    const adapters = new Map([['a', { rank: 2, parameters: 2 * (8 + 16) }]]);
    const m = trainingMemory(perceptron(), WEIGHTS, options([], { adapters }));
    expect(m.trainable).toBe(48);
    expect(m.weights).toBe(WEIGHTS + 4 * 48);
    expect(m.optimiser).toBe(2 * 4 * 48);
    expect(m.gradients).toBe(4 * 48);
  });

  it.each([
    ['adamw', 2],
    ['momentum', 1],
    ['sgd', 0],
  ] as const)('%s keeps %i numbers a parameter', (optimiser, states) => {
    expect(trainingMemory(perceptron(), WEIGHTS, options(['a', 'b'], { optimiser })).optimiser).toBe(
      states * WEIGHTS,
    );
  });

  it('a product keeps a factor only for the gradient of the other', () => {
    const node = { op: 'MatMul', name: 'm', inputs: ['a', 'b'], outputs: ['c'], attrs: {} };
    expect(savedBy(node, [true, false])).toEqual(['b']);
    expect(savedBy(node, [false, true])).toEqual(['a']);
    expect(savedBy(node, [true, true])).toEqual(['a', 'b']);
    expect(savedBy({ ...node, op: 'Unheard' }, [true, false])).toEqual(['a', 'b', 'c']);
  });

  const tiny = models().filter((m) => m.name.endsWith('-tiny') && m.family !== 'classical');
  it.each(
    tiny.map((m) => [m.name, m] as const),
  )('%s: LoRA and a frozen half take less than all', async (_, m) => {
    const weights = await weightsOf(m);
    const names = [...weights.keys()];
    const step = (learning: string[], adapters?: TrainingOptions['adapters']) =>
      estimateTraining(m, {
        ...{ batch: 2, prompt: 8, stored: 'fp32', optimiser: 'adamw', trainable: new Set(learning) },
        ...(adapters && { adapters }),
      });
    const full = await step(names);
    expect(full.trainable).toBe([...weights.values()].reduce((a, s) => a + s.reduce((x, y) => x * y, 1), 0));
    expect(full.activations + full.transient).toBeGreaterThan(0);
    const half = await step(names.slice(names.length / 2));
    expect(half.peak).toBeLessThan(full.peak);
    const wrapped = [...weights].filter(([, shape]) => shape.length === 2 && shape.every((d) => d >= 16));
    const adapters = new Map(
      wrapped.map(([name, [out, inner]]) => [name, { rank: 1, parameters: out! + inner! }]),
    );
    const lora = await step([], adapters);
    expect(lora.trainable).toBe([...adapters.values()].reduce((sum, a) => sum + a.parameters, 0));
    expect(lora.peak).toBeLessThanOrEqual(full.peak);
  });

  it('half precision halves the activations and not the optimiser', async () => {
    const m = model('vit-tiny');
    const trainable = new Set((await weightsOf(m)).keys());
    const [full, half] = await Promise.all(
      (['fp32', 'fp16'] as const).map((stored) =>
        estimateTraining(m, { batch: 2, stored, optimiser: 'adamw', trainable }),
      ),
    );
    expect(half!.activations).toBe(full!.activations / 2);
    expect(half!.optimiser).toBe(full!.optimiser);
  });
});

async function weightsOf(m: ModelDef): Promise<Map<string, readonly number[]>> {
  const graphs = await m.build(m.config as never);
  const params = Object.values(graphs).flatMap((g) => g.params.filter((p) => p.role === 'weight'));
  return new Map(params.map((p) => [p.name, p.shape]));
}
