import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { float32, int64, tensor } from '../../../src/core/tensor.ts';
import { GraphBuilder, type Value } from '../../../src/graph/builder.ts';
import { gradient } from '../../../src/transform/gradient/index.ts';
import { checkGradient } from './check.ts';

const IGNORED = -100;

describe('SoftmaxCrossEntropyLoss', () => {
  const drawn = fc
    .record({
      rows: fc.integer({ min: 1, max: 3 }),
      classes: fc.integer({ min: 2, max: 4 }),
      rest: fc.constantFrom([], [2], [1, 2]),
    })
    .chain(({ rows, classes, rest }) => {
      const n = rest.reduce((a, d) => a * d, rows);
      return fc.record({
        scores: fc.constant([rows, classes, ...rest]),
        labels: fc.constant([rows, ...rest]),
        values: fc.array(fc.integer({ min: 0, max: classes - 1 }), { minLength: n, maxLength: n }),
        ignored: fc.option(fc.array(fc.boolean(), { minLength: n, maxLength: n }), { nil: undefined }),
        weighed: fc.boolean(),
        reduction: fc.constantFrom('none', 'sum', 'mean'),
        logs: fc.boolean(),
        seed: fc.integer(),
      });
    });

  it('in its reductions, with weights, with rows to ignore, and through the logarithms besides', () => {
    fc.assert(
      fc.property(drawn, ({ scores, labels, values, ignored, weighed, reduction, logs, seed }) => {
        // A mean of nothing is no number.
        const given = values.map((label, i) => (ignored?.[i] && i > 0 ? IGNORED : label));
        checkGradient({
          shapes: [scores],
          seed,
          build: (g, x) => {
            const weights = Float64Array.from({ length: scores[1]! }, (_, i) => 0.5 + i);
            const inputs = [x!, g.constant(int64(labels, given))];
            if (weighed) inputs.push(g.constant(tensor('float64', [scores[1]!], weights)));
            const attrs = { reduction, ...(ignored && { ignore_index: IGNORED }) };
            return g.op('SoftmaxCrossEntropyLoss', inputs, attrs, { outputs: logs ? 2 : 1 });
          },
        });
      }),
      { numRuns: 60 },
    );
  });

  it('gives the node the output that its gradient reads', () => {
    const g = new GraphBuilder('case');
    const [x, labels] = [g.input('x', 'float32', [2, 3]), g.input('labels', 'int64', [2])];
    g.output('loss', g.op('SoftmaxCrossEntropyLoss', [x, labels])[0]!);
    const graph = gradient(g.build(), 'loss', ['x']);
    expect(graph.nodes.find((n) => n.op === 'SoftmaxCrossEntropyLoss')!.outputs).toHaveLength(2);
    expect(graph.nodes.filter((n) => /Softmax$/.test(n.op))).toEqual([]);
  });
});

describe('Dropout', () => {
  const built = (build: (g: GraphBuilder, x: Value) => Value) => ({
    shapes: [[2, 3]],
    build: (g: GraphBuilder, x?: Value) => build(g, x!),
  });

  it('at inference, and in training without a loss, hands the gradient on', () => {
    checkGradient(built((g, x) => g.op('Dropout', [x])[0]!));
    checkGradient(built((g, x) => g.op('Dropout', [x, g.scalar(0), g.scalar(1, 'bool')])[0]!));
  });

  it('in training keeps the mask and scales by what is kept', () => {
    const g = new GraphBuilder('case');
    const x = g.input('x', 'float32', [2, 3]);
    const ratio = g.constant(float32([], [0.25]));
    g.output('loss', g.reduceSum(g.op('Dropout', [x, ratio, g.scalar(1, 'bool')])[0]!, undefined, false));
    const graph = gradient(g.build(), 'loss', ['x']);
    const mask = graph.nodes.find((n) => n.op === 'Dropout')!.outputs[1]!;
    expect(graph.nodes.find((n) => n.op === 'Cast')!.inputs).toEqual([mask]);
  });
});

describe('Einsum', () => {
  it.each([
    ['bqhd,bkhd->bhqk', [2, 3, 2, 2], [2, 4, 2, 2]],
    ['ij,jk', [2, 3], [3, 2]],
    ['...ij,...jk->...ik', [2, 1, 2, 3], [3, 3, 2]],
    ['i,j->ij', [2], [3]],
    ['ij->j', [2, 3]],
    ['ij->ji', [2, 3]],
    ['abc,cd,de->be', [2, 2, 3], [3, 2], [2, 2]],
    ['ab,ab->', [2, 3], [2, 3]],
  ] as [string, ...number[][]][])('%s', (equation, ...shapes) => {
    checkGradient({ shapes, build: (g, ...x) => g.op('Einsum', x, { equation })[0]! });
  });
});

describe('MatMulNBits', () => {
  it('in its forms: the gradient of the left operand and of the bias', () => {
    const drawn = fc.record({
      bits: fc.constantFrom(2, 4, 8),
      k: fc.constantFrom(16, 20, 40),
      n: fc.integer({ min: 1, max: 3 }),
      zero: fc.constantFrom('none', 'packed', 'float'),
      bias: fc.boolean(),
      lead: fc.constantFrom([], [2], [2, 2]),
      seed: fc.integer({ min: 0, max: 255 }),
    });
    fc.assert(
      fc.property(drawn, ({ bits, k, n, zero, bias, lead, seed }) => {
        const [size, blocks] = [16, Math.ceil(k / 16)];
        const bytes = (count: number): Uint8Array =>
          Uint8Array.from({ length: count }, (_, i) => (seed + 37 * i) % 256);
        const rowBytes = Math.ceil((blocks * bits) / 8);
        checkGradient({
          shapes: [[...lead, k], ...(bias ? [[n]] : [])],
          build: (g, a, c) => {
            const scales = Float64Array.from({ length: n * blocks }, (_, i) => 0.1 + i / 50);
            const packed = g.constant(
              tensor('uint8', [n, blocks, (size * bits) / 8], bytes((n * blocks * size * bits) / 8)),
            );
            const points = {
              none: () => null,
              packed: () => g.constant(tensor('uint8', [n * rowBytes], bytes(n * rowBytes))),
              float: () =>
                g.constant(
                  tensor(
                    'float64',
                    [n * blocks],
                    scales.map((s) => s * 20),
                  ),
                ),
            };
            const inputs = [
              a!,
              packed,
              g.constant(tensor('float64', [n * blocks], scales)),
              points[zero](),
              null,
              bias ? c! : null,
            ];
            const attrs = { K: k, N: n, bits, block_size: size };
            return g.op('MatMulNBits', inputs, attrs, { domain: 'com.microsoft' })[0]!;
          },
        });
      }),
      { numRuns: 30 },
    );
  });
});
