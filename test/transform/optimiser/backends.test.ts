import { describe, expect, it } from 'vitest';
import { tfjs } from '../../../src/backends/tfjs/index.ts';
import { float32, type Tensors, toNumbers } from '../../../src/core/tensor.ts';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { interpret } from '../../../src/graph/interpret.ts';
import { addOptimiser, type OptimiserSpec } from '../../../src/transform/optimiser/index.ts';
import { workplace } from '../../backends/artifact.ts';
import { oneThread } from '../../one-thread.ts';

const files = workplace();
const wave = (shape: number[], phase: number) =>
  float32(
    shape,
    Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => 0.1 + Math.sin(i + phase) ** 2),
  );

describe.each([oneThread(), tfjs('wasm')])('a step on $name', (backend) => {
  it.each<OptimiserSpec>([
    { kind: 'adamw' },
    { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0.1 },
  ])('is what the reference computes, taken or not: %j', async (spec) => {
    const g = new GraphBuilder('update');
    const shapes = { matrix: [3, 5], kernel: [2, 3, 2, 2], bias: [5] };
    const params = Object.entries(shapes).map(([name, shape]) => ({
      name,
      value: g.input(name, 'float32', shape),
      gradient: g.input(`grad/${name}`, 'float32', shape),
    }));
    const lossScale = g.input('loss_scale', 'float32', []);
    addOptimiser(g, params, spec, { clipNorm: 1, microBatches: 2, lossScale });
    const graph = g.build();
    const session = await backend.open(await files.write(graph), { precision: 'fp32' });
    try {
      for (const bad of [1, Number.POSITIVE_INFINITY, Number.NaN]) {
        const feeds: Tensors = Object.fromEntries(
          graph.inputs.map(({ name, shape }, i) => [name, wave(shape as number[], i)]),
        );
        (feeds['grad/bias']!.data as Float32Array)[2]! *= bad;
        const [got, expected] = [await session.run(feeds), interpret(graph, {}, feeds)];
        expect(toNumbers(got.finite!)[0]).toBe(Number(bad === 1));
        for (const { name } of graph.outputs.filter((o) => o.name !== 'gradient_norm')) {
          const want = toNumbers(expected[name]!);
          toNumbers(got[name]!).forEach((v, i) => {
            expect(Math.abs(v - want[i]!), `${name}[${i}]`).toBeLessThan(
              1e-5 * Math.max(1, Math.abs(want[i]!)),
            );
          });
        }
      }
    } finally {
      await session.close();
    }
  });
});
