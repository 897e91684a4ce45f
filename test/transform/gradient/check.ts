import { expect } from 'vitest';
import type { Graph } from '../../../src/core/graph.ts';
import { random } from '../../../src/core/random.ts';
import { elementCount, type Tensor, type Tensors, tensor, toNumbers } from '../../../src/core/tensor.ts';
import { GraphBuilder, type Value } from '../../../src/graph/builder.ts';
import { interpret } from '../../../src/graph/interpret.ts';
import { validateGraph } from '../../../src/graph/validate.ts';
import { gradient } from '../../../src/transform/gradient/index.ts';

export interface GradientCase {
  /** Shapes of the differentiated inputs x0, x1, …, all float64. */
  readonly shapes: readonly (readonly number[])[];
  /** What is differentiated; several results are weighed and summed up. */
  readonly build: (g: GraphBuilder, ...inputs: Value[]) => Value | readonly Value[];
  readonly opset?: number;
  /** Applied to the graph of which the gradient is made. */
  readonly rewrite?: (graph: Graph) => Graph;
  /** Numbers of the inputs; uniform in ±1 when left out. Keep them away from kinks by more than the step. */
  readonly draw?: (input: number, uniform: () => number) => number;
  readonly seed?: number;
  /** Inputs that are differentiated; all when left out. */
  readonly wrt?: readonly number[];
  /** Of the difference, relative to the larger of 1 and the quotient. */
  readonly tolerance?: number;
}

const STEP = 1e-5;

/**
 * Holds a gradient against central differences, all in float64: the derivative of a randomly weighed sum of the results along a
 * random direction in each input, and along a few of the input's axes.
 */
export function checkGradient(c: GradientCase): void {
  const rand = random(c.seed ?? 1);
  const noise = (): number => rand.uniform() * 2 - 1;
  const g = new GraphBuilder('case', { opset: c.opset ?? 17 });
  const inputs = c.shapes.map((shape, i) => g.input(`x${i}`, 'float64', shape));
  const made = c.build(g, ...inputs);
  const results = Array.isArray(made) ? (made as readonly Value[]) : [made as Value];
  const sums = results.map((y) => {
    const weights = Float64Array.from({ length: elementCount(y.shape as number[]) }, noise);
    const weighed = g.mul(y, g.constant(tensor('float64', y.shape as number[], weights)));
    return g.reduceSum(weighed, undefined, false);
  });
  g.output(
    'loss',
    sums.reduce((a, b) => g.add(a, b)),
  );
  const forward = (c.rewrite ?? ((graph) => graph))(g.build());
  const wrt = (c.wrt ?? c.shapes.map((_, i) => i)).map((i) => `x${i}`);
  const graph = gradient(forward, 'loss', wrt);
  validateGraph(graph);

  const feeds: Tensors = {};
  c.shapes.forEach((shape, i) => {
    const draw = (): number => (c.draw ? c.draw(i, rand.uniform) : noise());
    const data = Float64Array.from({ length: elementCount(shape) }, draw);
    feeds[`x${i}`] = tensor('float64', shape, data);
  });
  const computed = interpret(graph, {}, feeds);
  for (const name of wrt) {
    const x = feeds[name]!;
    const dx = computed[`grad.${name}`]!;
    expect([dx.dtype, ...dx.shape], `type of grad.${name}`).toEqual(['float64', ...x.shape]);
    const slopes = toNumbers(dx);
    const axes = Array.from({ length: 3 }, () => rand.below(Math.max(1, x.data.length)));
    const directions = [
      Float64Array.from({ length: x.data.length }, noise),
      ...axes.map((at) => Float64Array.from({ length: x.data.length }, (_, i) => Number(i === at))),
    ];
    for (const direction of x.data.length > 0 ? directions : []) {
      const lossAt = (step: number): number => {
        const moved = Float64Array.from(x.data as Float64Array, (v, i) => v + step * direction[i]!);
        const there: Tensor = tensor('float64', x.shape, moved);
        return toNumbers(interpret(forward, {}, { ...feeds, [name]: there }).loss!)[0]!;
      };
      const quotient = (lossAt(STEP) - lossAt(-STEP)) / (2 * STEP);
      const slope = direction.reduce((sum, d, i) => sum + d * slopes[i]!, 0);
      const off = Math.abs(slope - quotient) / Math.max(1, Math.abs(quotient));
      expect(off, `grad.${name}: ${slope} against ${quotient}`).toBeLessThan(c.tolerance ?? 1e-6);
    }
  }
}
