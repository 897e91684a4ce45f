import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import { float32 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { inferShapes } from '../../src/graph/infer.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';
import { seedData } from './seed-data.ts';

function builder(): { b: GraphBuilder; x: ReturnType<GraphBuilder['input']> } {
  const b = new GraphBuilder('test');
  return { b, x: b.input('x', 'float32', ['batch', 3, 8]) };
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof VersusError && error.kind === 'input') return error.describe();
    throw error;
  }
  throw new Error('it was accepted');
}

describe('names', () => {
  it('come from scopes and operators, and are unique', () => {
    const { b, x } = builder();
    const y = b.scope('encoder', () => b.scope('layers.0', () => b.relu(b.relu(x))));
    b.output('y', b.relu(y));
    expect(b.build().nodes.map((n) => n.name)).toEqual([
      'encoder/layers.0/Relu',
      'encoder/layers.0/Relu_1',
      'Relu',
    ]);
  });

  it('of outputs are the values that producers write, readers read', () => {
    const { b, x } = builder();
    const y = b.relu(x);
    b.output('y', y);
    b.output('z', b.tanh(y));
    const graph = b.build();
    expect(graph.nodes.map((n) => [...n.inputs, ...n.outputs])).toEqual([
      ['x', 'y'],
      ['y', 'z'],
    ]);
    expect(graph.values!.y!.shape).toEqual(['batch', 3, 8]);
  });

  it('of one value may be several, and of an input too', () => {
    const { b, x } = builder();
    const y = b.relu(x);
    b.output('first', y);
    b.output('second', y);
    b.output('third', x);
    expect(b.build().nodes.map((n) => n.op)).toEqual(['Relu', 'Identity', 'Identity']);
  });
});

describe('parameters', () => {
  it('of the same name are one', () => {
    const { b, x } = builder();
    const w = b.param('w', [8, 8]);
    b.output('y', b.matmul(b.matmul(x, w), b.param('w', [8, 8])));
    expect(b.build().params.map((p) => p.name)).toEqual(['w']);
  });

  it('of the same name but another shape are a mistake', () => {
    const { b } = builder();
    b.param('w', [8, 8]);
    expect(refusal(() => b.param('w', [8, 9]))).toMatch(/w is float32\[8, 8\] already, not float32\[8, 9\]/);
  });

  it('with equal contents are stored once', () => {
    const { b, x } = builder();
    b.output('y', b.add(b.mul(x, 2), b.add(b.scalar(2), b.constant(float32([], [2])))));
    expect(b.build().params).toHaveLength(1);
  });
});

describe('mistakes name operator, node and shapes', () => {
  it.each<[string, (b: GraphBuilder, x: ReturnType<GraphBuilder['input']>) => unknown, RegExp]>([
    [
      'matmul',
      (b, x) => b.scope('head', () => b.matmul(x, b.param('w', [9, 8]))),
      /MatMul: .*8 against 9.*float32\[batch, 3, 8\], float32\[9, 8\][\s\S]*head\/MatMul/,
    ],
    ['a symbol against a number', (b, x) => b.add(x, b.param('w', [4, 3, 8])), /Add: .*don't broadcast/],
    ['types', (b, x) => b.add(x, b.cast(x, 'int64')), /float32 and int64 don't mix/],
    [
      'reshape',
      (b, x) => b.reshape(x, ['batch', 25]),
      /\[batch, 3, 8\] has not as many elements as \[batch, 25\]/,
    ],
    ['axis', (b, x) => b.softmax(x, 3), /axis 3 is outside rank 3/],
    ['an unknown operator', (b, x) => b.op('Rellu', [x]), /Rellu is not in the operator table/],
    ['an operator of a later opset', (b, x) => b.op('Gelu', [x]), /Gelu needs opset 20/],
    ['split', (b, x) => b.split(x, [4, 5], 2), /Split: sizes \[4, 5\] of dimension 2: 9 against 8/],
    ['conv', (b, x) => b.conv(x, b.param('w', [4, 2, 3])), /channels of the input.*3 against 2/],
    ['a window too large', (b, x) => b.conv(x, b.param('w', [4, 3, 9])), /a window of 9 doesn't fit into 8/],
    [
      'another builder',
      (b) => b.relu(new GraphBuilder('other').input('far', 'float32', [1])),
      /another builder/,
    ],
    ['a dimension of no input', (b) => b.dim('height'), /no input has a dimension height/],
  ])('%s', (_, make, message) => {
    const { b, x } = builder();
    expect(refusal(() => make(b, x))).toMatch(message);
  });

  it('a node that nothing reads', () => {
    const { b, x } = builder();
    b.relu(x);
    b.output('y', b.tanh(x));
    expect(refusal(() => b.build())).toMatch(/used by nothing[\s\S]*node Relu/);
  });

  it('a weight that nothing reads', () => {
    const { b, x } = builder();
    b.param('spare', [1]);
    b.output('y', b.tanh(x));
    expect(refusal(() => b.build())).toMatch(/parameter spare is used by nothing/);
  });
});

describe('dimensions', () => {
  it('are read from inputs, and from values where no input has them', async () => {
    const b = new GraphBuilder('dimensions');
    const x = b.input('x', 'float32', ['rows', 'columns', 2]);
    const joined = b.reshape(x, ['rows*columns', 2]);
    const longer = b.concat([joined, b.param('extra', [1, 2])], 0);
    b.output('wide', b.expand(b.param('one', [1, 1]), b.dims(['1+columns*rows', 'columns', 3])));
    b.output('longer', longer);
    const graph = b.build();
    expect(graph.outputs[0]!.shape).toEqual(['columns*rows+1', 'columns', 3]);
    expect(inferShapes(graph, { rows: 2, columns: 5 }).outputs[0]!.shape).toEqual([11, 5, 3]);
    const session = await ort.InferenceSession.create(encodeOnnx(seedData(graph)));
    const results = await session.run({ x: new ort.Tensor('float32', new Float32Array(20), [2, 5, 2]) });
    expect(results.wide!.dims).toEqual([11, 5, 3]);
    await session.release();
  });
});

describe('reshape', () => {
  it('copies what stays, leaves one open, reads the rest from the inputs', async () => {
    const b = new GraphBuilder('reshape');
    const ids = b.input('ids', 'float32', ['batch', 'sequence', 6]);
    const flat = b.reshape(ids, ['batch*sequence', 6]);
    const heads = b.reshape(flat, ['batch', 'sequence', 2, 3]);
    const again = b.reshape(b.transpose(heads, [0, 2, 1, 3]), ['batch', 2, '3*sequence']);
    expect(again.shape).toEqual(['batch', 2, '3*sequence']);
    b.output('y', again);
    const session = await ort.InferenceSession.create(encodeOnnx(b.build()));
    const feed = new ort.Tensor(
      'float32',
      Float32Array.from({ length: 60 }, (_, i) => i),
      [5, 2, 6],
    );
    const y = (await session.run({ ids: feed })).y!;
    expect(y.dims).toEqual([5, 2, 6]);
    expect(Array.from(y.data as Float32Array).slice(0, 9)).toEqual([0, 1, 2, 6, 7, 8, 3, 4, 5]);
    await session.release();
  });

  it('makes the look-up of a dimension once', () => {
    const b = new GraphBuilder('dim');
    const x = b.input('x', 'float32', ['batch', 'sequence', 4]);
    const flat = b.reshape(x, ['batch*sequence', 4]);
    b.output('y', b.reshape(b.relu(flat), ['batch', 'sequence', 4]));
    b.output('z', b.reshape(b.tanh(flat), ['batch', 'sequence', 4]));
    expect(b.build().nodes.filter((n) => n.op === 'Shape')).toHaveLength(1);
  });
});

it('writes every method as onnxruntime understands it, with the types that it declared', async () => {
  const b = new GraphBuilder('everything', { opset: 17 });
  const x = b.input('x', 'float32', ['batch', 4, 8, 8]);
  const ids = b.input('ids', 'int64', ['batch', 'n']);
  const c = b.conv(x, b.param('c', [8, 2, 3, 3]), b.param('cb', [8]), {
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    group: 2,
  });
  const bn = [0, 1, 2, 3].map((i) =>
    b.param(`bn${i}`, [8], { kind: 'constant', value: 1 }, { role: i > 1 ? 'buffer' : 'weight' }),
  );
  const norm = b.batchNorm(c, bn[0]!, bn[1]!, bn[2]!, bn[3]!, 1e-5);
  const pooled = b.concat(
    [
      b.maxPool(norm, [3, 3], { strides: [2, 2], pads: [1, 1, 1, 1] }),
      b.averagePool(norm, [3, 3], { strides: [2, 2], count_include_pad: 1, pads: [1, 1, 1, 1] }),
    ],
    1,
  );
  b.output('flat', b.flatten(b.globalAveragePool(pooled)));
  const words = b.gather(b.param('emb', [10, 6]), ids);
  const ln = b.layerNorm(words, b.param('lg', [6]), b.param('lb', [6]), { epsilon: 1e-6 });
  const [q, k] = b.split(ln, [2, 4], -1);
  b.output('q', b.gelu(b.silu(q!)));
  const scores = b.softmax(b.matmul(k!, b.transpose(k!, [0, 2, 1])));
  const causal = b.lessOrEqual(b.unsqueeze(ids, [1]), b.unsqueeze(ids, [2]));
  b.output('scores', b.where(b.and(causal, b.not(b.equal(scores, 0))), scores, -1));
  const steps = b.range(b.scalar(0, 'int64'), b.squeeze(b.dim('n'), [0]), b.scalar(1, 'int64'));
  const angle = b.mul(b.unsqueeze(b.cast(steps, 'float32'), [1]), b.constant(float32([2], [1, 0.1])));
  b.output('angle', b.concat([b.cos(angle), b.sin(angle)], 1));
  b.output('length', b.div(words, b.reduceL2(words, [-1])));
  const statistics = [b.reduceMean(words, [1, 2]), b.reduceSum(words, [1, 2]), b.reduceMax(words, [1, 2])];
  b.output('statistics', b.concat(statistics, 0));
  b.output('last', b.slice(words, [-1], [Number.POSITIVE_INFINITY], [1]));
  b.output('best', b.argMax(words, -1, false));
  b.output(
    'wide',
    b.expand(b.exp(b.neg(b.unsqueeze(b.sqrt(b.abs(words)), [0]))), b.dims([2, 'batch', 'n', 6])),
  );
  const row = b.slice(b.reshape(words, ['batch*n', 6]), [0], [1], [0]);
  b.output('row', b.gemm(row, b.param('fc', [3, 6]), b.param('fcb', [3]), { transB: 1, alpha: 1 }));
  b.output(
    'misc',
    b.minimum(
      b.maximum(b.pow(b.sub(b.reciprocal(b.add(row, 9)), 1), 2), b.log(b.add(b.tanh(row), 2))),
      b.sigmoid(b.erf(row)),
    ),
  );
  const graph = b.build();
  const session = await ort.InferenceSession.create(encodeOnnx(seedData(graph)));
  const results = await session.run({
    x: new ort.Tensor('float32', new Float32Array(2 * 4 * 64).fill(0.3), [2, 4, 8, 8]),
    ids: new ort.Tensor(
      'int64',
      BigInt64Array.from({ length: 6 }, (_, i) => BigInt(i)),
      [2, 3],
    ),
  });
  for (const o of inferShapes(graph, { batch: 2, n: 3 }).outputs) {
    expect([o.name, results[o.name]!.type, ...results[o.name]!.dims]).toEqual([o.name, o.dtype, ...o.shape]);
    expect(Array.from(results[o.name]!.data as Float32Array, Number).every(Number.isFinite), o.name).toBe(
      true,
    );
  }
  await session.release();
});

it('builds ten thousand layers in a moment', () => {
  const b = new GraphBuilder('deep');
  let x = b.input('x', 'float32', ['batch', 'sequence', 16]);
  const w = b.param('w', [16, 16]);
  for (let i = 0; i < 10_000; i++) x = b.scope(`layers.${i}`, () => b.relu(b.matmul(x, w)));
  b.output('y', x);
  const start = process.cpuUsage();
  expect(b.build().nodes).toHaveLength(20_000);
  const { user, system } = process.cpuUsage(start);
  expect((user + system) / 1e6).toBeLessThan(5);
});

it('a dimension is read from an input that has it, or else from one that has a multiple', () => {
  const b = new GraphBuilder('multiple');
  const patches = b.input('patches', 'float32', ['batch', '4*tokens', 2]);
  b.output('tokens', b.dim('tokens'));
  b.output('merged', b.reshape(b.reshape(patches, ['batch*tokens', 8]), ['batch', 'tokens', 8]));
  const feeds = { patches: float32([2, 12, 2], new Float32Array(48)) };
  const outputs = interpret(b.build(), {}, feeds);
  expect(outputs.tokens!.data).toEqual(BigInt64Array.of(3n));
  expect(outputs.merged!.shape).toEqual([2, 3, 8]);
  // Rows and columns may differ: a product of names is no multiple.
  const c = new GraphBuilder('product');
  c.input('image', 'float32', ['rows*columns']);
  expect(refusal(() => c.dim('rows'))).toMatch(/no input has a dimension rows/);
});
