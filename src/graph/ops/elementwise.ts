import type { Dim } from '../../core/graph.ts';
import type { DType } from '../../core/tensor.ts';
import { addDims, floorDivDim, mulDims, sameDim, subDims } from '../dims.ts';
import { dtypeOf } from '../dtypes.ts';
import { broadcast, stretch } from './broadcast.ts';
import { type OpContext, type OpEntry, type OpTable, typed } from './entry.ts';

const INTEGERS: readonly DType[] = ['int64', 'int32', 'int16', 'int8', 'uint64', 'uint32', 'uint16', 'uint8'];

/** How an operator acts on one element of shape arithmetic; undefined where the result is not known. */
type Fold = (a: Dim, b: Dim, integer: boolean) => Dim | undefined;

function unary(
  since: number,
  options: { floats?: readonly string[]; fold?: (a: number) => number } = {},
): OpEntry {
  return {
    inputs: [1, 1],
    since,
    ...(options.floats && { floats: options.floats }),
    infer: (c) => {
      const x = c.in(0);
      const numbers = options.fold && c.numbers(0);
      return [typed(x.dtype, x.shape, numbers && options.fold ? numbers.map(options.fold) : undefined)];
    },
  };
}

function foldBinary(c: OpContext, shape: readonly Dim[], fold: Fold): readonly Dim[] | undefined {
  const [x, y] = [c.in(0), c.in(1)];
  const a = x.value && stretch(x.value, x.shape, shape);
  const b = y.value && stretch(y.value, y.shape, shape);
  if (!a || !b || a.length !== b.length) return undefined;
  const integer = INTEGERS.includes(x.dtype);
  const out: Dim[] = [];
  for (let i = 0; i < a.length; i++) {
    const r = fold(a[i]!, b[i]!, integer);
    if (r === undefined || (typeof r === 'number' && (integer ? !Number.isSafeInteger(r) : Number.isNaN(r))))
      return undefined;
    out.push(r);
  }
  return out;
}

function binary(since: number, fold?: Fold, result?: DType): OpEntry {
  return {
    inputs: [2, 2],
    since,
    infer: (c) => {
      const dtype = c.sameTypes(0, 1);
      const shape = broadcast(c, [c.shape(0), c.shape(1)]);
      return [typed(result ?? dtype, shape, fold && foldBinary(c, shape, fold))];
    },
  };
}

const onNumbers =
  (f: (a: number, b: number) => number): Fold =>
  (a, b) =>
    typeof a === 'number' && typeof b === 'number' ? f(a, b) : undefined;

const divide: Fold = (a, b, integer) => {
  if (typeof b !== 'number' || b === 0) return sameDim(a, b) ? 1 : undefined;
  if (typeof a === 'number') return integer ? Math.trunc(a / b) : a / b;
  // Sizes are never negative, so truncating is flooring.
  return integer && b > 0 ? floorDivDim(a, b) : undefined;
};

const equal: Fold = (a, b) => {
  if (sameDim(a, b)) return 1;
  if (typeof a === 'number' && typeof b === 'number') return 0;
  // A size is never negative: the `Equal(shape, -1)` that exporters write before Expand is false for a symbol.
  const other = typeof a === 'number' ? a : b;
  return typeof other === 'number' && other < 0 ? 0 : undefined;
};

const variadic: OpEntry = {
  inputs: [1, Number.POSITIVE_INFINITY],
  since: 6,
  infer: (c) => {
    const all = Array.from({ length: c.count }, (_, i) => i);
    return [
      typed(
        c.sameTypes(...all),
        broadcast(
          c,
          all.map((i) => c.shape(i)),
        ),
      ),
    ];
  },
};

const foldVariadic = (f: (a: number, b: number) => number): OpEntry => ({
  ...variadic,
  infer: (c) => {
    const [type] = variadic.infer(c) as [ReturnType<typeof typed>];
    if (c.count !== 2) return [type];
    return [typed(type.dtype, type.shape, foldBinary(c, type.shape, onNumbers(f)))];
  },
});

const cast = (to: (c: OpContext) => DType, inputs: number): OpEntry => ({
  inputs: [inputs, inputs],
  since: inputs === 1 ? 6 : 15,
  infer: (c) => {
    const dtype = to(c);
    const value = c.value(0)?.map((d) => {
      if (typeof d !== 'number') return d;
      if (dtype === 'bool') return d === 0 ? 0 : 1;
      return INTEGERS.includes(dtype) ? Math.trunc(d) : d;
    });
    return [typed(dtype, c.shape(0), value)];
  },
});

/** Operators that act on every element by itself, after broadcasting. */
export const elementwise: OpTable = {
  Add: binary(7, addDims),
  Sub: binary(7, subDims),
  Mul: binary(7, mulDims),
  Div: binary(7, divide),
  Mod: binary(
    10,
    onNumbers((a, b) => (b === 0 ? Number.NaN : a - b * Math.floor(a / b))),
  ),
  // The exponent may have a type of its own.
  Pow: {
    inputs: [2, 2],
    since: 7,
    infer: (c) => {
      const shape = broadcast(c, [c.shape(0), c.shape(1)]);
      return [
        typed(
          c.in(0).dtype,
          shape,
          foldBinary(
            c,
            shape,
            onNumbers((a, b) => a ** b),
          ),
        ),
      ];
    },
  },
  PRelu: binary(7),
  And: binary(
    7,
    onNumbers((a, b) => (a && b ? 1 : 0)),
    'bool',
  ),
  Or: binary(
    7,
    onNumbers((a, b) => (a || b ? 1 : 0)),
    'bool',
  ),
  Xor: binary(
    7,
    onNumbers((a, b) => (a !== b ? 1 : 0)),
    'bool',
  ),
  Equal: binary(7, equal, 'bool'),
  Greater: binary(
    7,
    onNumbers((a, b) => (a > b ? 1 : 0)),
    'bool',
  ),
  GreaterOrEqual: binary(
    12,
    onNumbers((a, b) => (a >= b ? 1 : 0)),
    'bool',
  ),
  Less: binary(
    7,
    onNumbers((a, b) => (a < b ? 1 : 0)),
    'bool',
  ),
  LessOrEqual: binary(
    12,
    onNumbers((a, b) => (a <= b ? 1 : 0)),
    'bool',
  ),
  BitShift: binary(11),
  BitwiseAnd: binary(18),
  BitwiseOr: binary(18),
  BitwiseXor: binary(18),
  BitwiseNot: unary(18),
  Min: foldVariadic(Math.min),
  Max: foldVariadic(Math.max),
  Sum: variadic,
  Mean: variadic,
  Not: unary(1, { fold: (a) => (a ? 0 : 1) }),
  Neg: unary(6, { fold: (a) => -a }),
  Abs: unary(6, { fold: Math.abs }),
  Sign: unary(9, { fold: Math.sign }),
  Floor: unary(6, { fold: Math.floor }),
  Ceil: unary(6, { fold: Math.ceil }),
  Sqrt: unary(6, { fold: Math.sqrt }),
  Round: unary(11),
  Reciprocal: unary(6, { fold: (a) => 1 / a }),
  Exp: unary(6),
  Log: unary(6),
  Sin: unary(7),
  Cos: unary(7),
  Tan: unary(7),
  Asinh: unary(9),
  Acosh: unary(9),
  Atanh: unary(9),
  Shrink: unary(9, { floats: ['bias', 'lambd'] }),
  Asin: unary(7),
  Acos: unary(7),
  Atan: unary(7),
  Sinh: unary(9),
  Cosh: unary(9),
  Tanh: unary(6),
  Erf: unary(9),
  Sigmoid: unary(6),
  Relu: unary(6),
  LeakyRelu: unary(6, { floats: ['alpha'] }),
  Elu: unary(6, { floats: ['alpha'] }),
  Selu: unary(6, { floats: ['alpha', 'gamma'] }),
  Celu: unary(12, { floats: ['alpha'] }),
  ThresholdedRelu: unary(10, { floats: ['alpha'] }),
  HardSigmoid: unary(6, { floats: ['alpha', 'beta'] }),
  HardSwish: unary(14),
  Softplus: unary(1),
  Softsign: unary(1),
  Gelu: unary(20),
  Mish: unary(18),
  Swish: unary(24, { floats: ['alpha'] }),
  IsNaN: { inputs: [1, 1], since: 9, infer: (c) => [typed('bool', c.shape(0))] },
  IsInf: { inputs: [1, 1], since: 10, infer: (c) => [typed('bool', c.shape(0))] },
  Clip: { ...unary(6, { floats: ['min', 'max'] }), inputs: [1, 3] },
  Identity: { inputs: [1, 1], since: 1, infer: (c) => [c.in(0)], bytes: 'view' },
  Dropout: {
    inputs: [1, 3],
    outputs: 2,
    since: 7,
    floats: ['ratio'],
    infer: (c) => [typed(c.in(0).dtype, c.shape(0)), typed('bool', c.shape(0))],
  },
  Cast: cast((c) => dtypeOf(c.int('to', 0)) ?? c.fail(`element type ${c.int('to', 0)} is not supported`), 1),
  CastLike: cast((c) => c.in(1).dtype, 2),
  Where: {
    inputs: [3, 3],
    since: 9,
    infer: (c) => {
      if (c.in(0).dtype !== 'bool') c.fail('the condition must be bool');
      const dtype = c.sameTypes(1, 2);
      const shape = broadcast(c, [c.shape(0), c.shape(1), c.shape(2)]);
      const [condition, a, b] = [0, 1, 2].map((i) => {
        const t = c.in(i);
        return t.value && stretch(t.value, t.shape, shape);
      });
      const known = condition && a && b && condition.every((d) => typeof d === 'number');
      return [typed(dtype, shape, known ? condition.map((d, i) => (d ? a[i]! : b[i]!)) : undefined)];
    },
  },
};
