import fc from 'fast-check';
import { type DType, toNumbers } from '../../../src/core/tensor.ts';
import type { Value } from '../sketch.ts';
import {
  all,
  type Draw,
  draw,
  FLOATS,
  NUMBERS,
  numbered,
  operand,
  raw,
  roundable,
  type Step,
  type Steps,
} from './draws.ts';

interface Unary {
  readonly dtypes?: readonly DType[];
  readonly where?: (v: Value) => boolean;
  readonly range?: readonly [number, number];
  readonly attrs?: Readonly<Record<string, number | string>>;
  readonly exact?: boolean;
  /** First operator set with these types. */
  readonly since?: number;
}

const inside = (low: number, high: number): Pick<Unary, 'where' | 'range'> => ({
  where: all((x) => x >= low && x <= high),
  range: [low, high],
});

function unary(op: string, given: Unary = {}): fc.Arbitrary<Step> {
  return draw.map((d) => (s) => {
    if (s.opset < (given.since ?? 0)) return;
    const x = operand(s, d, {
      dtypes: given.dtypes ?? FLOATS,
      ...(given.where && { where: given.where }),
      ...(given.range && { range: given.range }),
    });
    const floats = Object.keys(given.attrs ?? {}).filter((k) => typeof given.attrs![k] === 'number');
    s.emit(op, [x], given.attrs ?? {}, { floats, exact: given.exact ?? false });
  });
}

/** The second shape, made to broadcast with the first: its dimensions from the right, some of them 1, some left out. */
function stretchable(shape: readonly number[], d: Draw): number[] {
  const keep = shape.slice(d.seed % (shape.length + 1));
  const narrow = keep.map((size, i) => ((d.seed >> (i + 3)) % 3 === 0 ? 1 : size));
  return (d.seed >> 7) % 4 === 0 ? [2, 1, ...shape.map(() => 1)].slice(-shape.length - 1) : narrow;
}

const fitsWith = (a: readonly number[], b: readonly number[]): boolean =>
  Array.from({ length: Math.min(a.length, b.length) }, (_, i) => [a.at(-1 - i)!, b.at(-1 - i)!]).every(
    ([x, y]) => x === y || x === 1 || y === 1,
  );

interface Binary {
  readonly dtypes?: readonly DType[];
  readonly right?: (v: Value) => boolean;
  readonly left?: (v: Value) => boolean;
  readonly range?: readonly [number, number];
  readonly exact?: boolean;
  readonly attrs?: Readonly<Record<string, number | string>>;
  readonly since?: (dtype: DType) => number;
  /** Operands may not nearly be equal. */
  readonly distinct?: boolean;
}

function binary(op: string, given: Binary = {}): fc.Arbitrary<Step> {
  return fc.tuple(draw, draw, fc.boolean()).map(([a, b, swap]) => (s) => {
    const range = given.range && { range: given.range };
    const x = operand(s, a, {
      dtypes: given.dtypes ?? NUMBERS,
      ...(given.left && { where: given.left }),
      ...range,
    });
    if (s.opset < (given.since?.(x.tensor.dtype) ?? 0)) return;
    const y = operand(
      s,
      { ...b, shape: stretchable(x.tensor.shape, b) },
      {
        dtypes: [x.tensor.dtype],
        where: (v) => fitsWith(v.tensor.shape, x.tensor.shape) && (given.right?.(v) ?? true),
        ...range,
      },
    );
    if (given.distinct && !(x.exact && y.exact) && tooClose(x, y)) return;
    const both = swap && !given.left && !given.right ? [y, x] : [x, y];
    s.emit(op, both, given.attrs ?? {}, { exact: given.exact ?? false });
  });
}

/** Any number of one against any of the other: more than needed, but enough. */
function tooClose(x: Value, y: Value): boolean {
  const right = toNumbers(y.tensor);
  return toNumbers(x.tensor).some((a) => right.some((b) => Math.abs(a - b) < 1e-2));
}

function variadic(op: string, dtypes: readonly DType[], exact: boolean): fc.Arbitrary<Step> {
  return fc.tuple(draw, fc.array(draw, { maxLength: 2 })).map(([first, rest]) => (s) => {
    const x = operand(s, first, { dtypes });
    if (x.tensor.dtype !== 'float32' && s.opset < 13) return;
    const more = rest.map((d) =>
      operand(
        s,
        { ...d, shape: stretchable(x.tensor.shape, d) },
        { dtypes: [x.tensor.dtype], where: (v) => v.tensor.shape.join() === x.tensor.shape.join() },
      ),
    );
    s.emit(op, [x, ...more], {}, { exact });
  });
}

const nonZero = all((x) => Math.abs(x) >= 0.25);
const compared: Binary = {
  distinct: true,
  exact: true,
  since: (t) => (t === 'float32' || t === 'float16' ? 11 : 9),
};
const logical: Binary = { dtypes: ['bool'], exact: true };

const clip = fc.tuple(draw, fc.nat(8), fc.nat(8), raw).map(
  ([d, low, high, left]): Step =>
    (s) => {
      const x = operand(s, d, { dtypes: NUMBERS });
      const { dtype } = x.tensor;
      if (s.opset < 11) {
        if (dtype !== 'float32') return;
        s.emit('Clip', [x], { min: low - 4, max: high + low - 4 }, { floats: ['min', 'max'], exact: true });
        return;
      }
      if (dtype !== 'float32' && s.opset < 12) return;
      const bound = (v: number) => s.constant(numbered(dtype, [], 1, [v, v]));
      const bounds = [left % 3 === 1 ? null : bound(low - 4), left % 3 === 2 ? null : bound(low + high - 4)];
      s.emit('Clip', [x, ...bounds], {}, { exact: true });
    },
);

const where = fc.tuple(draw, draw, draw).map(
  ([c, a, b]): Step =>
    (s) => {
      if (s.opset < 9) return;
      const x = operand(s, a, { dtypes: NUMBERS });
      const fits = (v: Value) => fitsWith(v.tensor.shape, x.tensor.shape);
      const test = operand(
        s,
        { ...c, shape: stretchable(x.tensor.shape, c) },
        { dtypes: ['bool'], where: fits },
      );
      const y = operand(
        s,
        { ...b, shape: stretchable(x.tensor.shape, b) },
        { dtypes: [x.tensor.dtype], where: (v) => fits(v) && fitsWith(v.tensor.shape, test.tensor.shape) },
      );
      s.emit('Where', [test, x, y], {}, { exact: true });
    },
);

const prelu = fc.tuple(draw, draw).map(
  ([a, b]): Step =>
    (s) => {
      const x = operand(s, a, { dtypes: ['float32'] });
      const slope = numbered(
        'float32',
        stretchable(x.tensor.shape, b).slice(-x.tensor.shape.length || 99),
        b.seed,
      );
      if (!fitsWith(slope.shape, x.tensor.shape)) return;
      s.emit('PRelu', [x, s.constant({ ...slope, shape: slope.shape })]);
    },
);

/** NaN and infinities through the operators that ask for them, and through those that must hand NaN on. */
const wild = fc
  .tuple(fc.constantFrom('IsNaN', 'IsInf', 'Relu', 'Max', 'Min', 'Sigmoid', 'Tanh', 'Abs'), fc.nat(3))
  .map(
    ([op, n]): Step =>
      (s) => {
        const values = [1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -2];
        if (s.opset < 13) return;
        const x = s.input({ dtype: 'float32', shape: [5], data: Float32Array.from(values) }, true);
        const attrs = op === 'IsInf' ? { detect_positive: n & 1, detect_negative: n >> 1 } : {};
        s.emit(op, op === 'Max' || op === 'Min' ? [x, s.constant(numbered('float32', [], n))] : [x], attrs, {
          wild: true,
        });
      },
  );

const SMOOTH = [
  'Tanh',
  'Sigmoid',
  'Softsign',
  'Softplus',
  'Erf',
  'Atan',
  'Asinh',
  'Selu',
  'HardSwish',
  'Mish',
];
const SINCE: Readonly<Record<string, number>> = { Erf: 9, Asinh: 9, HardSwish: 14, Mish: 18, Softplus: 1 };

/** Operators on every element by itself, with broadcasting. */
export const elementwise: Steps = {
  ...Object.fromEntries(SMOOTH.map((op) => [op, unary(op, { since: SINCE[op] ?? 7 })])),
  Gelu: fc.oneof(unary('Gelu', { since: 20 }), unary('Gelu', { since: 20, attrs: { approximate: 'tanh' } })),
  Elu: unary('Elu', { attrs: { alpha: 0.75 } }),
  Celu: unary('Celu', { since: 12, attrs: { alpha: 0.75 }, dtypes: ['float32'] }),
  LeakyRelu: fc.oneof(unary('LeakyRelu'), unary('LeakyRelu', { attrs: { alpha: 0.25 } })),
  HardSigmoid: fc.oneof(unary('HardSigmoid'), unary('HardSigmoid', { attrs: { alpha: 0.25, beta: 0.5 } })),
  ThresholdedRelu: unary('ThresholdedRelu', {
    since: 10,
    where: (v) => v.exact,
    attrs: { alpha: 0.5 },
    exact: true,
  }),
  Shrink: unary('Shrink', { since: 9, where: (v) => v.exact, attrs: { bias: 0.25, lambd: 0.75 } }),
  Relu: unary('Relu', { exact: true }),
  Neg: unary('Neg', { dtypes: NUMBERS, exact: true }),
  Abs: unary('Abs', { dtypes: NUMBERS, exact: true }),
  Sign: unary('Sign', { since: 13, dtypes: NUMBERS, where: (v) => v.exact || nonZero(v), exact: true }),
  Floor: unary('Floor', { where: roundable, exact: true }),
  Ceil: unary('Ceil', { where: roundable, exact: true }),
  Round: unary('Round', { since: 11, where: roundable, exact: true }),
  Exp: unary('Exp', inside(-6, 4)),
  Log: unary('Log', inside(0.25, 900)),
  Sqrt: unary('Sqrt', inside(0.125, 900)),
  Reciprocal: unary('Reciprocal', { where: nonZero, range: [1, 4] }),
  // The sine of a large half is noise.
  Sin: unary('Sin', { dtypes: ['float32'], where: inside(-50, 50).where! }),
  Cos: unary('Cos', { dtypes: ['float32'], where: inside(-50, 50).where! }),
  Tan: unary('Tan', inside(-1, 1)),
  Asin: unary('Asin', inside(-0.75, 0.75)),
  Acos: unary('Acos', inside(-0.75, 0.75)),
  Atanh: unary('Atanh', { ...inside(-0.75, 0.75), since: 9 }),
  Acosh: unary('Acosh', { ...inside(1.5, 5), since: 9 }),
  Sinh: unary('Sinh', { ...inside(-3, 3), since: 9 }),
  Cosh: unary('Cosh', { ...inside(-3, 3), since: 9 }),
  Not: unary('Not', { dtypes: ['bool'], exact: true }),
  Identity: unary('Identity', { dtypes: NUMBERS, exact: true }),
  Add: binary('Add'),
  Sub: binary('Sub'),
  Mul: binary('Mul'),
  Div: binary('Div', { right: nonZero, range: [1, 4] }),
  Mod: fc.oneof(
    binary('Mod', { dtypes: ['int64', 'int32'], right: nonZero, range: [1, 7], since: () => 10 }),
    binary('Mod', { dtypes: ['int64', 'int32'], right: nonZero, range: [-7, -1], since: () => 10 }),
    binary('Mod', { dtypes: ['int32'], right: nonZero, range: [1, 7], attrs: { fmod: 1 }, since: () => 10 }),
  ),
  Pow: binary('Pow', {
    dtypes: ['float32'],
    ...{ left: all((x) => x >= 0.25 && x <= 8), right: all((x) => Math.abs(x) <= 3), range: [1, 3] as const },
  }),
  PRelu: prelu,
  Equal: binary('Equal', compared),
  Greater: binary('Greater', compared),
  Less: binary('Less', compared),
  GreaterOrEqual: binary('GreaterOrEqual', { ...compared, since: () => 12 }),
  LessOrEqual: binary('LessOrEqual', { ...compared, since: () => 12 }),
  And: binary('And', logical),
  Or: binary('Or', logical),
  Xor: binary('Xor', logical),
  Max: variadic('Max', NUMBERS, true),
  Min: variadic('Min', NUMBERS, true),
  Sum: variadic('Sum', ['float32'], false),
  Mean: variadic('Mean', ['float32'], false),
  Clip: clip,
  Where: where,
  'NaN and infinities': wild,
};
