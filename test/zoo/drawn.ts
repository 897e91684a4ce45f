import * as ort from 'onnxruntime-node';
import type { Graph } from '../../src/core/graph.ts';
import { random, seedOf } from '../../src/core/random.ts';
import { elementCount, type Tensor, type Tensors } from '../../src/core/tensor.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';

/** A graph whose every weight and buffer is drawn, norms and biases too: nothing is 0 or 1. Tied names draw alike. */
export function drawn(graph: Graph, seed = 0, scale = 0.5): Graph {
  const params = graph.params.map((p) => {
    if (p.data) return p;
    const draw = random(seedOf(p.name, seed));
    const next = () => scale * (2 * draw.uniform() - 1);
    return { ...p, data: Float32Array.from({ length: elementCount(p.shape) }, next) };
  });
  return { ...graph, params };
}

/** A graph with its data in onnxruntime, nothing optimised. */
export async function onOnnxruntime(graph: Graph, feeds: Tensors): Promise<Tensors> {
  const session = await ort.InferenceSession.create(encodeOnnx(graph), {
    graphOptimizationLevel: 'disabled',
  });
  const given = Object.entries(feeds).map(([name, t]) => [
    name,
    new ort.Tensor(t.dtype as never, t.data as never, t.shape),
  ]);
  const results = await session.run(Object.fromEntries(given));
  await session.release();
  return Object.fromEntries(
    Object.entries(results).map(([name, t]): [string, Tensor] => [
      name,
      { dtype: t.type as Tensor['dtype'], shape: [...t.dims], data: t.data as never },
    ]),
  );
}
