import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { random } from '../../src/core/random.ts';
import { elementCount, float32, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { validateGraph } from '../../src/graph/validate.ts';
import { lowerBatchNorm } from '../../src/transform/lower/batchnorm.ts';
import { trainBatchNorm } from '../../src/transform/train-batchnorm.ts';

const rand = random(5);
const drawn = (shape: readonly number[]) =>
  float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => 0.5 + rand.uniform()),
  );

const x = drawn([2, 3, 2, 4]);
const [scale, bias, mean, variance] = [1, 2, 3, 4].map(() => drawn([3]));
const params: Tensors = { scale: scale!, bias: bias!, mean: mean!, variance: variance! };

/** As many normalisations in a row as asked for, all with the same statistics. */
function network(count: number, shape: readonly (number | string)[] = x.shape, opset = 17): Graph {
  const g = new GraphBuilder('case', { opset });
  let y = g.input('x', 'float32', shape);
  const [a, b, m, v] = Object.keys(params).map((name) => g.param(name, [3]));
  for (let i = 0; i < count; i++) y = g.batchNorm(y, a!, b!, m!, v!, 1e-3);
  g.output('y', y);
  return g.build();
}

const close = (a: Tensors, b: Tensors, names: readonly string[]): void => {
  for (const name of names) {
    const [got, wanted] = [toNumbers(a[name]!), toNumbers(b[name]!)];
    expect(a[name]!.shape).toEqual(b[name]!.shape);
    got.forEach((v, i) => {
      expect(v, name).toBeCloseTo(wanted[i]!, 5);
    });
  }
};

describe('normalisations in training', () => {
  it('keep the unbiased variance, as torch.nn.BatchNorm2d does', () => {
    const { graph, buffers } = trainBatchNorm(network(1), {}, { momentum: 0.25 });
    expect([...buffers]).toEqual([
      ['mean', 'next/mean'],
      ['variance', 'next/variance'],
    ]);
    const made = interpret(graph, params, { x });
    const values = toNumbers(x).filter((_, i) => Math.floor(i / 8) % 3 === 1);
    const average = values.reduce((a, b) => a + b, 0) / 16;
    const unbiased = values.reduce((sum, v) => sum + (v - average) ** 2, 0) / 15;
    expect(toNumbers(made['next/mean']!)[1]).toBeCloseTo(0.75 * toNumbers(mean!)[1]! + 0.25 * average, 5);
    expect(toNumbers(made['next/variance']!)[1]).toBeCloseTo(
      0.75 * toNumbers(variance!)[1]! + 0.25 * unbiased,
      5,
    );
  });

  it('update statistics that they share one after the other', () => {
    const { graph, buffers } = trainBatchNorm(network(2));
    expect([...buffers.keys()]).toEqual(['mean', 'variance']);
    const first = interpret(trainBatchNorm(network(1)).graph, params, { x });
    const again = { ...params, mean: first['next/mean']!, variance: first['next/variance']! };
    const second = interpret(trainBatchNorm(network(1)).graph, again, { x: first.y! });
    close(interpret(graph, params, { x }), second, ['y', 'next/mean', 'next/variance']);
  });

  it('leave what is not chosen, and say what they need', () => {
    const graph = network(1);
    expect(trainBatchNorm(graph, {}, { chosen: () => false }).graph).toBe(graph);
    expect(() => trainBatchNorm(network(1, ['batch', 3]), { batch: 1 })).toThrow(/one value per channel/);
    expect(() => trainBatchNorm(network(1, ['batch', 3]))).toThrow(/\[batch, 3\]/);
  });
});

describe('normalisations in training without the operator', () => {
  it.each([17, 18])('give what it gives, opset %d', async (opset) => {
    const { graph } = trainBatchNorm(network(2, x.shape, opset));
    const lowered = await lowerBatchNorm(graph);
    validateGraph(lowered);
    expect(lowered.nodes.some((n) => n.attrs.training_mode)).toBe(false);
    close(interpret(lowered, params, { x }), interpret(graph, params, { x }), [
      'y',
      'next/mean',
      'next/variance',
    ]);
  });

  it('and with running statistics of its own', async () => {
    const g = new GraphBuilder('case');
    const names = Object.keys(params);
    const inputs = [g.input('x', 'float32', x.shape), ...names.map((name) => g.param(name, [3]))];
    const attrs = { training_mode: 1, momentum: 0.8, epsilon: 1e-3 };
    const outputs = g.op('BatchNormalization', inputs, attrs, { outputs: 3 });
    outputs.forEach((value, i) => {
      g.output(`out${i}`, value);
    });
    const graph = g.build();
    const lowered = await lowerBatchNorm(graph);
    expect(lowered.nodes.length).toBeGreaterThan(1);
    close(interpret(lowered, params, { x }), interpret(graph, params, { x }), ['out0', 'out1', 'out2']);
  });
});
