import type { DType } from '../../core/tensor.ts';
import {
  type Call,
  input,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  store,
  textAttr,
} from './kernel.ts';

/** The error function to float64 accuracy: its confluent series below 2.5 (Abramowitz and Stegun 7.1.6), Lentz's continued fraction of erfc beyond (7.1.14). */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = a;
    let sum = a;
    for (let n = 1; term > sum * 1e-17; n++) {
      term *= (2 * a * a) / (2 * n + 1);
      sum += term;
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum;
  }
  let tail = a;
  for (let k = 60; k >= 1; k--) tail = a + k / 2 / tail;
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * tail));
}

/** Halves go to the even neighbour, as ONNX's Round demands. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

function map(f: (x: number, c: Call) => number, dtype?: DType): Kernel {
  return (c) => {
    const x = input(c, 0);
    return [
      store(
        dtype ?? x.dtype,
        x.shape,
        numbers(x).map((v) => f(v, c)),
      ),
    ];
  };
}

/** As `map`, with the attributes read once. */
function mapWith(make: (c: Call) => (x: number) => number): Kernel {
  return (c) => {
    const x = input(c, 0);
    return [store(x.dtype, x.shape, numbers(x).map(make(c)))];
  };
}

/** Operators of one operand, element by element, and the activations with attributes (defaults as in the ONNX operator table). */
export const unary: KernelTable = {
  Abs: map(Math.abs),
  Acos: map(Math.acos),
  Acosh: map(Math.acosh),
  Asin: map(Math.asin),
  Asinh: map(Math.asinh),
  Atan: map(Math.atan),
  Atanh: map(Math.atanh),
  BitwiseNot: map((x) => -x - 1),
  Ceil: map(Math.ceil),
  Cos: map(Math.cos),
  Cosh: map(Math.cosh),
  Erf: map(erf),
  Exp: map(Math.exp),
  Floor: map(Math.floor),
  HardSwish: map((x) => x * Math.max(0, Math.min(1, x / 6 + 0.5))),
  IsNaN: map((x) => (Number.isNaN(x) ? 1 : 0), 'bool'),
  Log: map(Math.log),
  Mish: map((x) => x * Math.tanh(softplus(x))),
  Neg: map((x) => -x),
  Not: map((x) => (x === 0 ? 1 : 0)),
  Reciprocal: map((x) => 1 / x),
  Relu: map((x) => (x < 0 ? 0 : x)),
  Round: map(roundHalfEven),
  Sigmoid: map(sigmoid),
  Sign: map(Math.sign),
  Sin: map(Math.sin),
  Sinh: map(Math.sinh),
  Softplus: map(softplus),
  Softsign: map((x) => x / (1 + Math.abs(x))),
  Sqrt: map(Math.sqrt),
  Tan: map(Math.tan),
  Tanh: map(Math.tanh),
  Celu: mapWith((c) => {
    const alpha = numberAttr(c, 'alpha', 1);
    return (x) => Math.max(0, x) + Math.min(0, alpha * Math.expm1(x / alpha));
  }),
  Elu: mapWith((c) => {
    const alpha = numberAttr(c, 'alpha', 1);
    return (x) => (x < 0 ? alpha * Math.expm1(x) : x);
  }),
  Gelu: mapWith((c) =>
    textAttr(c, 'approximate', 'none') === 'tanh'
      ? (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
      : (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  ),
  HardSigmoid: mapWith((c) => {
    const [alpha, beta] = [numberAttr(c, 'alpha', 0.2), numberAttr(c, 'beta', 0.5)];
    return (x) => Math.max(0, Math.min(1, alpha * x + beta));
  }),
  IsInf: (c) => {
    const x = input(c, 0);
    const [up, down] = [numberAttr(c, 'detect_positive', 1) !== 0, numberAttr(c, 'detect_negative', 1) !== 0];
    const found = numbers(x).map((v) =>
      Number((up && v === Number.POSITIVE_INFINITY) || (down && v === Number.NEGATIVE_INFINITY)),
    );
    return [store('bool', x.shape, found)];
  },
  LeakyRelu: mapWith((c) => {
    const alpha = numberAttr(c, 'alpha', 0.01);
    return (x) => (x < 0 ? alpha * x : x);
  }),
  Selu: mapWith((c) => {
    const alpha = numberAttr(c, 'alpha', 1.6732632423543772);
    const gamma = numberAttr(c, 'gamma', 1.0507009873554805);
    return (x) => gamma * (x <= 0 ? alpha * Math.expm1(x) : x);
  }),
  Shrink: mapWith((c) => {
    const [bias, lambd] = [numberAttr(c, 'bias', 0), numberAttr(c, 'lambd', 0.5)];
    return (x) => (x < -lambd ? x + bias : x > lambd ? x - bias : 0);
  }),
  Swish: mapWith((c) => {
    const alpha = numberAttr(c, 'alpha', 1);
    return (x) => x * sigmoid(alpha * x);
  }),
  ThresholdedRelu: mapWith((c) => {
    const alpha = numberAttr(c, 'alpha', 1);
    return (x) => (x > alpha ? x : 0);
  }),
};
