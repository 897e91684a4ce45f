import { VersusError } from '../../../src/core/errors.ts';
import { graphCost } from '../../../src/graph/cost.ts';
import { inferShapes } from '../../../src/graph/infer.ts';
import { decodeOnnx, encodeOnnx } from '../../../src/graph/onnx/index.ts';
import { toHalf } from '../../../src/transform/precision.ts';

/**
 * Everything that reads a graph from outside, one after the other. Lets through what each step throws first; a refusal
 * (VersusError) of a graph that did decode does not keep the next step from being tried.
 */
export function exercise(bytes: Uint8Array): void {
  const graph = decodeOnnx(bytes);
  const dims = Object.fromEntries(
    graph.inputs.flatMap((i) => i.shape.filter((d) => typeof d === 'string')).map((d) => [d, 2]),
  );
  const steps = [
    () => inferShapes(graph),
    () => graphCost(graph, dims),
    () => encodeOnnx(graph),
    () => toHalf(graph),
  ];
  for (const step of steps) {
    try {
      step();
    } catch (error) {
      if (!(error instanceof VersusError)) throw error;
    }
  }
}
