import fc from 'fast-check';
import { float32, type Tensor, tensor, toFloat16 } from '../../src/core/tensor.ts';
import { codeOf } from '../../src/graph/dtypes.ts';
import {
  filled,
  flags,
  type OperatorCase,
  operatorCase,
  scalar,
  seed,
  shapeAxis,
  vector,
} from './operator-cases.ts';

type Arb = fc.Arbitrary<OperatorCase>;

const UNUSUAL = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -0,
  1,
  -1,
  0.5,
  -2.5,
  90,
  -90,
];

/** Numbers of which many are NaN, infinite or zero. */
const unusual: fc.Arbitrary<Tensor> = fc
  .array(fc.constantFrom(...UNUSUAL), { minLength: 12, maxLength: 12 })
  .map((values) => float32([3, 4], values));

const one = (op: string, more: Partial<OperatorCase> = {}): Arb =>
  unusual.map((x) => operatorCase(op, { inputs: [x], ...more }));
const two = (op: string): Arb =>
  fc.tuple(unusual, unusual).map(([a, b]) => operatorCase(op, { inputs: [a, b] }));

const UNARY =
  'Abs Ceil Celu Cos Elu Erf Exp Floor HardSigmoid HardSwish IsInf IsNaN LeakyRelu Log Neg Reciprocal Relu Round Selu Sigmoid Sign Sin Softplus Softsign Sqrt Tanh ThresholdedRelu'.split(
    ' ',
  );
const BINARY = 'Add Sub Mul Div Max Min Sum Mean PRelu Equal Greater GreaterOrEqual Less LessOrEqual'.split(
  ' ',
);
const REDUCTIONS = 'ReduceSum ReduceMean ReduceMax ReduceMin ReduceL1 ReduceLogSumExp'.split(' ');

/** What has no elements, an axis of one, or no axes at all. */
const sparse = fc.constantFrom<readonly number[]>([0], [2, 0, 3], [0, 1], [], [1], [1, 1, 1]);

const hollow = (op: string, rest: (shape: readonly number[]) => Partial<OperatorCase> = () => ({})): Arb =>
  fc.tuple(sparse, seed).map(([s, n]) => operatorCase(op, { inputs: [filled(s, n)], ...rest(s) }));

const wide: fc.Arbitrary<number[]> = fc.array(fc.constantFrom(1, 2, 3), { minLength: 5, maxLength: 7 });
const halved = (t: Tensor): Tensor => ({
  dtype: 'float16',
  shape: t.shape,
  data: Uint16Array.from(t.data as Float32Array, toFloat16),
});

/** The corners: numbers that are none, tensors without elements, bools that move, many axes, other types of float. */
export const EDGES: Readonly<Record<string, Arb>> = {
  ...Object.fromEntries(UNARY.map((op) => [`${op} of the unusual`, one(op)])),
  ...Object.fromEntries(BINARY.map((op) => [`${op} of the unusual`, two(op)])),
  ...Object.fromEntries(REDUCTIONS.map((op) => [`${op} of the unusual`, one(op, { opset: 18 })])),
  'Clip of the unusual': unusual.map((x) => operatorCase('Clip', { inputs: [x, scalar(-1), scalar(1)] })),
  'Softmax of the unusual': unusual.map((x) => operatorCase('Softmax', { inputs: [x] })),
  'Cast of the unusual': unusual.map((x) =>
    operatorCase('Cast', { inputs: [x], attrs: { to: codeOf('bool') } }),
  ),
  'Where of the unusual': fc
    .tuple(unusual, unusual, seed)
    .map(([a, b, n]) => operatorCase('Where', { inputs: [flags([4], n), a, b] })),

  ...Object.fromEntries(
    ['Relu', 'Exp', 'Identity', 'Softmax', 'Clip', 'Not', 'IsNaN', 'Shape', 'Size'].map((op) => [
      `${op} of nothing`,
      op === 'Not'
        ? sparse.map((s) => operatorCase('Not', { inputs: [flags(s, 1)] }))
        : hollow(op, () => (op === 'Softmax' ? { opset: 13 } : {})),
    ]),
  ),
  'Add of nothing': hollow('Add', (s) => ({ inputs: [filled(s, 1), filled([1], 2)] })),
  'ReduceSum of nothing': hollow('ReduceSum', () => ({ opset: 18 })),
  'Concat with nothing': fc.tuple(fc.nat(2), fc.nat(2), seed).map(([a, b, n]) =>
    operatorCase('Concat', {
      inputs: [filled([2, a, 3], n), filled([2, b, 3], n), filled([2, 0, 3], n)],
      attrs: { axis: 1 },
    }),
  ),
  'Split off nothing': seed.map((n) =>
    operatorCase('Split', { inputs: [filled([3, 2], n), vector([0, 3])], fixed: [1], outputs: 2 }),
  ),
  'Split unevenly': seed.map((n) =>
    operatorCase('Split', {
      inputs: [filled([2, 7], n)],
      attrs: { axis: 1, num_outputs: 3 },
      outputs: 3,
      opset: 18,
    }),
  ),
  'Slice to nothing': seed.map((n) =>
    operatorCase('Slice', { inputs: [filled([3, 2], n), vector([2]), vector([1])], fixed: [1, 2] }),
  ),
  'Expand to nothing': seed.map((n) =>
    operatorCase('Expand', { inputs: [filled([3, 1], n), vector([0, 3, 1])], fixed: [1] }),
  ),
  'Gather nothing': seed.map((n) => operatorCase('Gather', { inputs: [filled([3, 2], n), vector([])] })),
  'MatMul of nothing': seed.map((n) =>
    operatorCase('MatMul', { inputs: [filled([2, 0], n), filled([0, 3], n)] }),
  ),

  'Where of bools': fc.tuple(seed, fc.boolean()).map(([n, wide]) =>
    operatorCase('Where', {
      inputs: [flags([3, 1], n), flags(wide ? [3, 5] : [5], n + 1), flags([3, 5], n + 2)],
    }),
  ),
  'Concat of bools': seed.map((n) =>
    operatorCase('Concat', { inputs: [flags([3, 5], n), flags([3, 2], n + 1)], attrs: { axis: 1 } }),
  ),
  'Slice of bools': fc.tuple(seed, fc.constantFrom(1, 2, -1)).map(([n, step]) =>
    operatorCase('Slice', {
      inputs: [
        flags([3, 7], n),
        vector([step < 0 ? 6 : 1]),
        vector([step < 0 ? 0 : 7]),
        vector([1]),
        vector([step]),
      ],
      fixed: [1, 2, 3, 4],
    }),
  ),
  'Gather of bools': seed.map((n) =>
    operatorCase('Gather', { inputs: [flags([3, 7], n), vector([-1, 0, 2])] }),
  ),
  'Pad of bools': seed.map((n) =>
    operatorCase('Pad', { inputs: [flags([3, 5], n), vector([1, 0, 0, 2])], fixed: [1] }),
  ),
  'Expand of bools': seed.map((n) =>
    operatorCase('Expand', { inputs: [flags([3, 1], n), vector([3, 5])], fixed: [1] }),
  ),
  'Tile of bools': seed.map((n) =>
    operatorCase('Tile', { inputs: [flags([3, 1], n), vector([2, 3])], fixed: [1] }),
  ),
  'Transpose of bools': seed.map((n) => operatorCase('Transpose', { inputs: [flags([3, 5], n)] })),
  'ScatterND of bools': seed.map((n) =>
    operatorCase('ScatterND', {
      inputs: [flags([4, 3], n), { ...vector([0, 2]), shape: [2, 1] }, flags([2, 3], n + 1)],
    }),
  ),
  'Trilu of bools': seed.map((n) => operatorCase('Trilu', { inputs: [flags([3, 5], n)] })),
  'Cast of bools': fc
    .tuple(seed, fc.constantFrom('float32' as const, 'int64' as const, 'uint8' as const, 'float16' as const))
    .map(([n, to]) => operatorCase('Cast', { inputs: [flags([3, 5], n)], attrs: { to: codeOf(to) } })),
  'Xor of bools': seed.map((n) => operatorCase('Xor', { inputs: [flags([3, 5], n), flags([5], n + 1)] })),

  ...Object.fromEntries(
    ['Add', 'Sub', 'Less', 'Max', 'PRelu', 'Where'].map((op) => [
      `${op} of many axes`,
      fc.tuple(wide, fc.constantFrom(0, 1, 2), seed).map(([s, cut, n]) => {
        // Every other axis stretched, or none.
        const other = s.map((d, i) => (i % 2 === cut ? 1 : d));
        const inputs = [filled(s, n), filled(other, n + 1)];
        return operatorCase(op, { inputs: op === 'Where' ? [flags(other, n), ...inputs] : inputs });
      }),
    ]),
  ),
  'Transpose of many axes': wide.chain((s) =>
    fc
      .tuple(
        seed,
        fc.shuffledSubarray(
          s.map((_, i) => i),
          { minLength: s.length },
        ),
      )
      .map(([n, perm]) => operatorCase('Transpose', { inputs: [filled(s, n)], attrs: { perm } })),
  ),
  'ReduceMean of many axes': fc
    .tuple(wide, fc.uniqueArray(fc.nat(4), { minLength: 1 }), seed, fc.constantFrom(0, 1))
    .map(([s, axes, n, keepdims]) =>
      operatorCase('ReduceMean', { inputs: [filled(s, n)], attrs: { axes, keepdims } }),
    ),
  ...Object.fromEntries(
    ['Softmax', 'LogSoftmax', 'Hardmax', 'ArgMax', 'CumSum'].map((op) => [
      `${op} of many axes`,
      fc
        .tuple(wide, fc.nat(4), seed)
        .map(([s, axis, n]) =>
          op === 'CumSum'
            ? operatorCase(op, { inputs: [filled(s, n), { ...vector([axis]), shape: [] }], fixed: [1] })
            : operatorCase(op, { inputs: [filled(s, n, -5, 5)], attrs: { axis } }),
        ),
    ]),
  ),
  'Clip of many axes': fc
    .tuple(wide, seed)
    .map(([s, n]) => operatorCase('Clip', { inputs: [filled(s, n), scalar(-1), scalar(1)] })),
  'Pad of many axes': fc.tuple(wide, seed).map(([s, n]) =>
    operatorCase('Pad', {
      inputs: [filled(s, n), vector([1, 0, 2, 1]), null, vector([1, -2])],
      fixed: [1, 3],
      opset: 18,
    }),
  ),
  'Slice of many axes': fc.tuple(wide, seed).map(([s, n]) =>
    operatorCase('Slice', {
      inputs: [filled(s, n), vector([-1, -2]), vector([9, 9]), vector([1, 4])],
      fixed: [1, 2, 3],
    }),
  ),
  'LayerNormalization of many axes': fc.tuple(wide, seed).map(([s, n]) =>
    operatorCase('LayerNormalization', {
      inputs: [filled(s, n), filled(s.slice(-2), n + 1)],
      attrs: { axis: -2, epsilon: 0.01 },
      floats: ['epsilon'],
      tolerance: 1e-4,
    }),
  ),
  'DequantizeLinear of many axes': fc.tuple(wide, seed).map(([s, n]) =>
    operatorCase('DequantizeLinear', {
      inputs: [
        filled(s, n, -100, 100, 'int8'),
        filled([s[2]!], n, 0.1, 1),
        filled([s[2]!], n, -5, 5, 'int8'),
      ],
      attrs: { axis: 2 },
    }),
  ),
  'LayerNormalization with its statistics': fc.tuple(shapeAxis(2), seed).map(([[s, axis], n]) =>
    operatorCase('LayerNormalization', {
      inputs: [filled(s, n), filled(s.slice(axis), n + 1)],
      attrs: { axis, epsilon: 0.01 },
      floats: ['epsilon'],
      outputs: 3,
      tolerance: 1e-4,
    }),
  ),
  'RMSNormalization with its axis': fc.tuple(shapeAxis(1), seed).map(([[s, axis], n]) =>
    operatorCase('RMSNormalization', {
      inputs: [filled(s, n), filled(s.slice(axis), n + 1)],
      attrs: { axis, epsilon: 0.01 },
      floats: ['epsilon'],
      opset: 23,
      tolerance: 1e-4,
    }),
  ),
  'Pow by whole exponents': fc
    .tuple(unusual, fc.constantFrom(-1, 0, 1, 2, 3, 4))
    .map(([x, e]) => operatorCase('Pow', { inputs: [x, scalar(e)], fixed: [1] })),
  'Mod of the unusual signs': fc
    .tuple(seed, fc.constantFrom(-2.5, 1.5))
    .map(([n, by]) => operatorCase('Mod', { inputs: [filled([12], n), scalar(by)], attrs: { fmod: 1 } })),
  'Mul of halves': seed.map((n) =>
    operatorCase('Mul', { inputs: [halved(filled([5], n)), halved(filled([3, 1], n))], tolerance: 1e-3 }),
  ),
  'Tanh of doubles': seed.map((n) => operatorCase('Tanh', { inputs: [filled([5], n, -3, 3, 'float64')] })),
  'Pad cuts and adds': fc
    .tuple(
      seed,
      fc.constantFrom('constant', 'edge'),
      fc.array(fc.integer({ min: -2, max: 2 }), { minLength: 2, maxLength: 2 }),
    )
    .map(([n, mode, [a, b]]) =>
      operatorCase('Pad', {
        inputs: [filled([3, 6], n), vector([a!, b!]), null, vector([-1])],
        fixed: [1, 3],
        attrs: { mode },
        opset: 19,
      }),
    ),
  'ScatterElements of equal places': fc
    .tuple(seed, fc.constantFrom('add', 'mul', 'max', 'min'))
    .map(([n, reduction]) =>
      operatorCase('ScatterElements', {
        inputs: [
          filled([3, 4], n),
          tensor('int64', [3, 3], BigInt64Array.of(0n, 0n, 1n, -1n, 3n, 3n, 2n, 2n, 2n)),
          filled([3, 3], n + 1),
        ],
        attrs: { axis: 1, reduction },
        opset: 18,
      }),
    ),
  'TopK of equals': fc.tuple(seed, fc.constantFrom(0, 1)).map(([n, largest]) =>
    operatorCase('TopK', {
      inputs: [float32([2, 8], Array.from(filled([2, 8], n, 0, 3, 'int32').data, Number)), vector([5])],
      attrs: { largest },
      outputs: 2,
    }),
  ),
};
