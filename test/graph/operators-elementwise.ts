import fc from 'fast-check';
import type { DType, Tensor } from '../../src/core/tensor.ts';
import { toFloat16 } from '../../src/core/tensor.ts';
import { codeOf } from '../../src/graph/dtypes.ts';
import {
  filled,
  flags,
  type OperatorCase,
  operatorCase,
  scalar,
  seed,
  shape,
  shapePair,
} from './operator-cases.ts';

type Arb = fc.Arbitrary<OperatorCase>;

function unary(op: string, low = -3, high = 3, extra: Partial<OperatorCase> = {}): Arb {
  return fc
    .tuple(shape(0), seed)
    .map(([s, n]) => operatorCase(op, { inputs: [filled(s, n, low, high)], ...extra }));
}

function binary(
  op: string,
  dtype: DType = 'float32',
  low = -3,
  high = 3,
  extra: Partial<OperatorCase> = {},
): Arb {
  return fc.tuple(shapePair, seed).map(([[a, b], n]) =>
    operatorCase(op, {
      inputs: [filled(a, n, low, high, dtype), filled(b, n + 1, low, high, dtype)],
      ...extra,
    }),
  );
}

const logical = (op: string): Arb =>
  fc
    .tuple(shapePair, seed)
    .map(([[a, b], n]) => operatorCase(op, { inputs: [flags(a, n), flags(b, n + 1)] }));

const halves = (shape: readonly number[], n: number): Tensor => {
  const x = filled(shape, n);
  return { dtype: 'float16', shape, data: Uint16Array.from(x.data as Float32Array, toFloat16) };
};

const cast = fc
  .tuple(
    shape(0, 2),
    seed,
    fc.constantFrom<DType>('float32', 'float64', 'int64', 'int32', 'uint8', 'int8', 'bool', 'float16'),
    fc.constantFrom<DType>('float32', 'float64', 'int64', 'int32', 'uint8', 'int8', 'bool', 'float16'),
  )
  // Negative floats to unsigned types are undefined in C, so in onnxruntime too.
  .map(([s, n, from, to]) => {
    const x =
      from === 'bool'
        ? flags(s, n)
        : filled(s, n, from.startsWith('float') && to === 'uint8' ? 0 : -60, 60, from);
    return operatorCase('Cast', {
      inputs: [from === 'uint8' ? filled(s, n, 0, 60, 'uint8') : x],
      attrs: { to: codeOf(to) },
    });
  });

/** Element-by-element operators with random shapes, values and attributes. */
export const ELEMENTWISE: Readonly<Record<string, Arb>> = {
  Abs: unary('Abs'),
  Acos: unary('Acos', -1, 1),
  Acosh: unary('Acosh', 1, 4),
  Asin: unary('Asin', -1, 1),
  Asinh: unary('Asinh'),
  Atan: unary('Atan'),
  Atanh: unary('Atanh', -0.9, 0.9),
  Ceil: unary('Ceil'),
  Cos: unary('Cos'),
  Cosh: unary('Cosh'),
  Erf: unary('Erf', -7, 7),
  Exp: unary('Exp'),
  Floor: unary('Floor'),
  HardSwish: unary('HardSwish', -5, 5),
  Log: unary('Log', 0.1, 5),
  Mish: unary('Mish', -5, 5, { opset: 18 }),
  Neg: unary('Neg'),
  Reciprocal: unary('Reciprocal', 0.1, 3),
  Relu: unary('Relu'),
  Round: unary('Round'),
  Sigmoid: unary('Sigmoid', -20, 20),
  Sign: unary('Sign'),
  Sin: unary('Sin'),
  Sinh: unary('Sinh'),
  Softplus: unary('Softplus', -20, 20),
  Softsign: unary('Softsign'),
  Sqrt: unary('Sqrt', 0, 9),
  Tan: unary('Tan', -1, 1),
  Tanh: unary('Tanh'),
  Gelu: unary('Gelu', -5, 5, { opset: 20 }),
  'Gelu tanh': unary('Gelu', -5, 5, { opset: 20, attrs: { approximate: 'tanh' } }),
  Celu: unary('Celu', -3, 3, { attrs: { alpha: 0.7 }, floats: ['alpha'] }),
  Elu: unary('Elu', -3, 3, { attrs: { alpha: 2 }, floats: ['alpha'] }),
  HardSigmoid: unary('HardSigmoid', -5, 5, { attrs: { alpha: 0.25 }, floats: ['alpha'] }),
  LeakyRelu: unary('LeakyRelu', -3, 3, { attrs: { alpha: 0.3 }, floats: ['alpha'] }),
  Selu: unary('Selu'),
  Shrink: unary('Shrink', -2, 2, { attrs: { bias: 0.25, lambd: 0.75 }, floats: ['bias', 'lambd'] }),
  ThresholdedRelu: unary('ThresholdedRelu', -2, 2, { attrs: { alpha: 0.5 }, floats: ['alpha'] }),
  IsInf: fc.tuple(fc.boolean(), fc.boolean()).map(([up, down]) =>
    operatorCase('IsInf', {
      inputs: [{ dtype: 'float32', shape: [4], data: new Float32Array([1, Infinity, -Infinity, NaN]) }],
      attrs: { detect_positive: Number(up), detect_negative: Number(down) },
    }),
  ),
  IsNaN: fc.constant(
    operatorCase('IsNaN', {
      inputs: [{ dtype: 'float32', shape: [3], data: new Float32Array([1, NaN, Infinity]) }],
    }),
  ),
  Not: fc.tuple(shape(0), seed).map(([s, n]) => operatorCase('Not', { inputs: [flags(s, n)] })),
  Add: binary('Add'),
  'Add int64': binary('Add', 'int64', -50, 50),
  Sub: binary('Sub'),
  Mul: binary('Mul'),
  Div: binary('Div', 'float32', 0.5, 3),
  'Div int32': fc
    .tuple(shapePair, seed)
    .map(([[a, b], n]) =>
      operatorCase('Div', { inputs: [filled(a, n, -50, 50, 'int32'), filled(b, n, 1, 7, 'int32')] }),
    ),
  'Mod int64': fc.tuple(shapePair, seed, fc.constantFrom(0, 1)).map(([[a, b], n, fmod]) =>
    operatorCase('Mod', {
      inputs: [filled(a, n, -50, 50, 'int64'), filled(b, n, 1, 7, 'int64')],
      attrs: { fmod },
    }),
  ),
  'Mod float': binary('Mod', 'float32', 0.5, 3, { attrs: { fmod: 1 } }),
  Pow: binary('Pow', 'float32', 0.2, 3),
  'Pow float by int': fc
    .tuple(shape(0), seed)
    .map(([s, n]) => operatorCase('Pow', { inputs: [filled(s, n), filled([], n, 0, 4, 'int64')] })),
  PRelu: fc
    .tuple(shape(2), seed)
    .map(([s, n]) => operatorCase('PRelu', { inputs: [filled(s, n), filled(s.slice(1), n + 1)] })),
  Equal: binary('Equal', 'int64', 0, 3),
  'Equal float': binary('Equal', 'float32', 0, 3),
  Greater: binary('Greater'),
  GreaterOrEqual: binary('GreaterOrEqual', 'int64', 0, 3),
  Less: binary('Less'),
  LessOrEqual: binary('LessOrEqual'),
  And: logical('And'),
  Or: logical('Or'),
  Xor: logical('Xor'),
  Max: binary('Max'),
  Min: binary('Min', 'int64', -5, 5),
  Sum: binary('Sum'),
  Mean: binary('Mean'),
  'Sum of one': unary('Sum'),
  BitShift: fc.tuple(shapePair, seed, fc.constantFrom('LEFT', 'RIGHT')).map(([[a, b], n, direction]) =>
    operatorCase('BitShift', {
      inputs: [filled(a, n, 0, 200, 'uint32'), filled(b, n, 0, 5, 'uint32')],
      attrs: { direction },
    }),
  ),
  BitwiseAnd: binary('BitwiseAnd', 'int32', -99, 99, { opset: 18 }),
  BitwiseOr: binary('BitwiseOr', 'int32', -99, 99, { opset: 18 }),
  BitwiseXor: binary('BitwiseXor', 'int32', -99, 99, { opset: 18 }),
  BitwiseNot: fc
    .tuple(shape(0), seed)
    .map(([s, n]) => operatorCase('BitwiseNot', { inputs: [filled(s, n, -99, 99, 'int32')], opset: 18 })),
  Clip: fc
    .tuple(shape(0), seed, fc.boolean(), fc.boolean())
    .map(([s, n, low, high]) =>
      operatorCase('Clip', { inputs: [filled(s, n), low ? scalar(-1) : null, high ? scalar(0.5) : null] }),
    ),
  Where: fc.tuple(shapePair, seed).map(([[a, b], n]) =>
    operatorCase('Where', {
      inputs: [flags(a, n), filled(b, n, -9, 9, 'int64'), filled(a, n + 1, -9, 9, 'int64')],
    }),
  ),
  'Where float': fc
    .tuple(shapePair, seed)
    .map(([[a, b], n]) =>
      operatorCase('Where', { inputs: [flags(a, n), filled(b, n), scalar(Number.NEGATIVE_INFINITY)] }),
    ),
  Cast: cast,
  CastLike: fc
    .tuple(shape(0), seed)
    .map(([s, n]) => operatorCase('CastLike', { inputs: [filled(s, n, -9, 9, 'int64'), scalar(0)] })),
  'Add float16': fc.tuple(shapePair, seed).map(([[a, b], n]) =>
    // onnxruntime rounds once, as we do; its fp32 intermediate can still tie differently.
    operatorCase('Add', { inputs: [halves(a, n), halves(b, n + 1)], tolerance: 1e-3 }),
  ),
  'Sigmoid float16': fc
    .tuple(shape(), seed)
    .map(([s, n]) => operatorCase('Sigmoid', { inputs: [halves(s, n)], tolerance: 1e-3 })),
};
