import type { DType, Tensor } from '../../core/tensor.ts';
import {
  type Call,
  cells,
  fail,
  input,
  isFloat,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  room,
  scratch,
  store,
  textAttr,
} from './kernel.ts';
import { broadcastShape, stretchedIndex } from './strided.ts';

type Rule = (a: number, b: number) => number;

/** Applies a rule to two tensors, broadcast against each other. */
function zip(c: Call, a: Tensor, b: Tensor, rule: Rule, dtype: DType = a.dtype): Tensor {
  if (a.dtype !== b.dtype) fail(c, `operands are ${a.dtype} and ${b.dtype}`);
  const shape = broadcastShape(c, a.shape, b.shape);
  const out = scratch(c, shape);
  const [x, y] = [numbers(a), numbers(b)];
  const [atX, atY] = [stretchedIndex(a.shape, shape), stretchedIndex(b.shape, shape)];
  for (let i = 0; i < out.length; i++) out[i] = rule(x[atX(i)]!, y[atY(i)]!);
  return store(dtype, shape, out);
}

const pair =
  (rule: Rule, dtype?: DType): Kernel =>
  (c) => [zip(c, input(c, 0), input(c, 1), rule, dtype)];

const compare = (rule: (a: number, b: number) => boolean): Kernel =>
  pair((a, b) => Number(rule(a, b)), 'bool');

/** Max, Min, Sum, Mean take any number of operands. */
function fold(rule: Rule, finish: (sum: number, count: number) => number = (x) => x): Kernel {
  return (c) => {
    const operands = c.inputs.map((_, i) => input(c, i));
    const dtype = operands[0]?.dtype ?? fail(c, 'it has no operand');
    const shape = broadcastShape(c, ...operands.map((t) => t.shape));
    const out = scratch(c, shape);
    operands.forEach((t, k) => {
      if (t.dtype !== dtype) fail(c, `operands are ${dtype} and ${t.dtype}`);
      const [values, at] = [numbers(t), stretchedIndex(t.shape, shape)];
      for (let i = 0; i < out.length; i++) out[i] = k === 0 ? values[at(i)]! : rule(out[i]!, values[at(i)]!);
    });
    return [
      store(
        dtype,
        shape,
        out.map((v) => finish(v, operands.length)),
      ),
    ];
  };
}

/** Whole numbers divide towards zero; a zero divisor gives 0 where C would trap. */
const divide: Kernel = (c) => {
  const whole = !isFloat(input(c, 0).dtype);
  return pair((a, b) => (whole ? (b === 0 ? 0 : Math.trunc(a / b)) : a / b))(c);
};

/** `fmod` = 1: the sign of the dividend (C); else that of the divisor (Python). */
const modulo: Kernel = (c) =>
  numberAttr(c, 'fmod', 0) !== 0
    ? pair((a, b) => a % b)(c)
    : pair((a, b) => {
        const rest = a % b;
        return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
      })(c);

/** The exponent may be of another type than the base, which decides. */
const power: Kernel = (c) => {
  const wide = (t: Tensor): Tensor => ({ dtype: 'float64', shape: t.shape, data: numbers(t) });
  return [zip(c, wide(input(c, 0)), wide(input(c, 1)), (a, b) => a ** b, input(c, 0).dtype)];
};

const clip: Kernel = (c) => {
  const x = input(c, 0);
  const bound = (index: number, name: string, fallback: number): number => {
    const given = c.inputs[index];
    return given ? numbers(given)[0]! : numberAttr(c, name, fallback);
  };
  const [low, high] = [bound(1, 'min', Number.NEGATIVE_INFINITY), bound(2, 'max', Number.POSITIVE_INFINITY)];
  return [
    store(
      x.dtype,
      x.shape,
      numbers(x).map((v) => (v < low ? Math.min(low, high) : v > high ? high : v)),
    ),
  ];
};

/** Picks values unchanged, so it needs no arithmetic and loses no bits. */
const where: Kernel = (c) => {
  const [test, a, b] = [input(c, 0), input(c, 1), input(c, 2)];
  if (a.dtype !== b.dtype) fail(c, `branches are ${a.dtype} and ${b.dtype}`);
  const shape = broadcastShape(c, test.shape, a.shape, b.shape);
  const data = room(c, a.dtype, shape);
  const [out, t, x, y] = [cells(data), cells(test.data), cells(a.data), cells(b.data)];
  const [atT, atX, atY] = [test, a, b].map((v) => stretchedIndex(v.shape, shape)) as [Index, Index, Index];
  for (let i = 0; i < out.length; i++) out[i] = t[atT(i)] ? x[atX(i)]! : y[atY(i)]!;
  return [{ dtype: a.dtype, shape, data }];
};
type Index = (position: number) => number;

const shift: Kernel = (c) =>
  textAttr(c, 'direction', 'LEFT') === 'LEFT'
    ? pair((a, b) => a * 2 ** b)(c)
    : pair((a, b) => Math.floor(a / 2 ** b))(c);

const bitwise = (rule: (a: bigint, b: bigint) => bigint): Kernel =>
  pair((a, b) => Number(rule(BigInt(a), BigInt(b))));

const nanOr =
  (rule: Rule): Rule =>
  (a, b) =>
    Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : rule(a, b);

/** Operators of two or more operands, element by element with broadcasting. */
export const binary: KernelTable = {
  Add: pair((a, b) => a + b),
  Sub: pair((a, b) => a - b),
  Mul: pair((a, b) => a * b),
  Div: divide,
  Mod: modulo,
  Pow: power,
  PRelu: pair((x, slope) => (x < 0 ? x * slope : x)),
  Equal: compare((a, b) => a === b),
  Greater: compare((a, b) => a > b),
  GreaterOrEqual: compare((a, b) => a >= b),
  Less: compare((a, b) => a < b),
  LessOrEqual: compare((a, b) => a <= b),
  And: compare((a, b) => a !== 0 && b !== 0),
  Or: compare((a, b) => a !== 0 || b !== 0),
  Xor: compare((a, b) => (a !== 0) !== (b !== 0)),
  BitShift: shift,
  BitwiseAnd: bitwise((a, b) => a & b),
  BitwiseOr: bitwise((a, b) => a | b),
  BitwiseXor: bitwise((a, b) => a ^ b),
  Max: fold(nanOr(Math.max)),
  Min: fold(nanOr(Math.min)),
  Sum: fold((a, b) => a + b),
  Mean: fold(
    (a, b) => a + b,
    (sum, count) => sum / count,
  ),
  Clip: clip,
  Where: where,
};
