import type { Graph } from '../../src/core/graph.ts';
import { random, seedOf } from '../../src/core/random.ts';
import { elementCount } from '../../src/core/tensor.ts';

/** The graph with numbers in its float32 weights: uniform in ±scale, or the constant that the parameter asks for. */
export function seedData(graph: Graph, scale = 0.5): Graph {
  const params = graph.params.map((p) => {
    if (p.data || p.dtype !== 'float32') return p;
    const draw = random(seedOf(p.name));
    const constant = p.init?.kind === 'constant' ? p.init.value : undefined;
    const next = () => constant ?? scale * (2 * draw.uniform() - 1);
    return { ...p, data: Float32Array.from({ length: elementCount(p.shape) }, next) };
  });
  return { ...graph, params };
}
