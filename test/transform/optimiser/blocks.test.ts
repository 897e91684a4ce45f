import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../src/core/graph.ts';
import { elementCount, float32, type Tensors } from '../../../src/core/tensor.ts';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { validateGraph } from '../../../src/graph/validate.ts';
import { inBlocks } from '../../../src/transform/optimiser/blocks.ts';
import {
  addOptimiser,
  type OptimiserSpec,
  type StateTensor,
} from '../../../src/transform/optimiser/index.ts';
import { workplace } from '../../backends/artifact.ts';
import { oneThread } from '../../one-thread.ts';

const files = workplace();
const backend = oneThread();
const SHAPES = { table: [6, 8], kernel: [4, 3, 2, 2], bias: [5], prime: [53] };

/** A step whose loss reads the weights, and whose gradients are computed from them. */
function stepped(spec: OptimiserSpec): { graph: Graph; state: readonly StateTensor[] } {
  const g = new GraphBuilder('step');
  const params = Object.entries(SHAPES).map(([name, shape]) => {
    const value = g.input(name, 'float32', shape);
    return { name, value, gradient: g.sin(g.mul(value, 3)) };
  });
  const losses = params.map((p) => g.reduceSum(p.value, undefined, false));
  g.output(
    'loss',
    losses.reduce((a, b) => g.add(a, b)),
  );
  const lossScale = g.input('loss_scale', 'float32', []);
  const { state } = addOptimiser(g, params, spec, { clipNorm: 1, microBatches: 2, lossScale });
  return { graph: g.build(), state };
}

const feedsOf = (graph: Graph): Tensors =>
  Object.fromEntries(
    graph.inputs.map(({ name, shape }, k) => {
      const sizes = shape as number[];
      return [
        name,
        float32(
          sizes,
          Array.from({ length: elementCount(sizes) }, (_, i) => 0.1 + Math.sin(i + k) ** 2),
        ),
      ];
    }),
  );

async function run(graph: Graph): Promise<Tensors> {
  const session = await backend.open(await files.write(graph), { precision: 'fp32' });
  try {
    return await session.run(feedsOf(graph));
  } finally {
    await session.close();
  }
}

describe('updates block by block', () => {
  it.each<OptimiserSpec>([
    { kind: 'adamw', decays: (name) => name !== 'kernel' },
    { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0.1 },
    { kind: 'sgd' },
  ])('are the same to the bit: %j', async (spec) => {
    const plain = stepped(spec);
    const blocked = inBlocks(plain.graph, plain.state, 16);
    validateGraph(blocked.graph);
    expect(blocked.graph.nodes.filter((n) => n.op === 'Scan')).toHaveLength(2);
    const [expected, got] = [await run(plain.graph), await run(blocked.graph)];
    expect(Object.keys(got).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, t] of Object.entries(expected)) expect(got[name]!.data, name).toEqual(t.data);
    const shapes = (state: readonly StateTensor[]) =>
      Object.fromEntries(state.filter((s) => s.holds === 'weight').map((s) => [s.input, s.shape]));
    expect(shapes(blocked.state)).toEqual({ table: [3, 16], kernel: [3, 16], bias: [5], prime: [53] });
    // No node of the update is left that goes over a whole tensor of these.
    const left = blocked.graph.nodes.filter((n) => {
      const shape = plain.graph.values![n.outputs[0]!]?.shape;
      return /^optimiser\/(table|kernel)\//.test(n.name) && n.op !== 'Scan' && shape?.length !== 0;
    });
    expect(left).toEqual([]);
  });

  it('leave a step alone that has nothing large', () => {
    const { graph, state } = stepped({ kind: 'adamw' });
    expect(inBlocks(graph, state)).toEqual({ graph, state });
  });
});
