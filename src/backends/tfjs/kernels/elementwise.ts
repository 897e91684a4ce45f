import type * as Tf from '@tensorflow/tfjs-core';
import { toNumbers } from '../../../core/tensor.ts';
import { numberAttr } from '../../../graph/kernels/kernel.ts';
import type { Value } from '../value.ts';
import { combined, many, two } from './broadcast.ts';
import { flatly } from './fold.ts';
import {
  atHost,
  type Call,
  device,
  floats,
  input,
  type Kernel,
  type KernelTable,
  kernel,
  made,
  orderOf,
} from './kernel.ts';

/** Whether a value is known to hold no NaN: a constant on the host. */
const clean = (value: Value | undefined): boolean =>
  !!value?.host && value.fixed && !toNumbers(value.host).some(Number.isNaN);

/** The larger or smaller of two: wasm takes NaN from its first operand only. */
function extremum(pick: 'maximum' | 'minimum'): Kernel {
  return many((a, b, c) => {
    const { tf } = c;
    const result = tf[pick](a, b);
    if (c.engine.name !== 'wasm' || c.inputs.slice(1).every(clean)) return result;
    return tf.where(tf.isNaN(b), b, result);
  });
}

/** Keeps values between two bounds, each of which may be missing; NaN stays NaN. */
const clip: Kernel = kernel((c) => {
  const { tf } = c;
  const x = input(c, 0);
  const bound = (index: number, name: string): Tf.Tensor | null => {
    const given = c.inputs[index];
    if (given) return tf.reshape(device(c, given), []);
    return name in c.node.attrs ? tf.scalar(numberAttr(c, name, 0)) : null;
  };
  const [low, high] = [bound(1, 'min'), bound(2, 'max')];
  const y = flatly(c, device(c, x), (tensor) => {
    // `clipByValue` turns NaN into the lower bound on wasm.
    const above = low ? tf.maximum(tensor, low) : tensor;
    return high ? tf.minimum(above, high) : above;
  });
  return [made(tf.clone(y), x.dtype, orderOf(x))];
});

/** Powers that need no logarithm, which costs accuracy and, for negative bases on some engines, the result. */
const POWERS: ReadonlyMap<number, (x: Tf.Tensor, c: Call) => Tf.Tensor> = new Map([
  [-1, (x, { tf }) => tf.reciprocal(x)],
  [-0.5, (x, { tf }) => tf.reciprocal(tf.sqrt(x))],
  [0, (x, { tf }) => tf.onesLike(x)],
  [0.5, (x, { tf }) => tf.sqrt(x)],
  [1, (x, { tf }) => tf.clone(x)],
  [2, (x, { tf }) => tf.square(x)],
  [3, (x, { tf }) => tf.mul(tf.square(x), x)],
  [4, (x, { tf }) => tf.square(tf.square(x))],
]);

const power: Kernel = kernel((c) => {
  const { tf } = c;
  const [x, exponent] = [input(c, 0), input(c, 1)];
  const known = exponent.host?.data.length === 1 && exponent.shape.length <= x.shape.length;
  const short = known ? POWERS.get(Number(exponent.host!.data[0])) : undefined;
  if (short && exponent.dtype !== 'float16' && exponent.dtype !== 'bfloat16') {
    return [
      made(
        flatly(c, device(c, x), (tensor) => short(tensor, c)),
        x.dtype,
        orderOf(x),
      ),
    ];
  }
  return [combined(c, [x, exponent], x.dtype, ([a, b]) => tf.pow(a!, floats(c, b!)))];
});

/** The rest of a division: with the dividend's sign (`fmod` = 1) or with the divisor's. */
const modulo: Kernel = two((a, b, c) => {
  const { tf } = c;
  if (numberAttr(c, 'fmod', 0) === 0) return tf.mod(a, b);
  return tf.mul(tf.sign(a), tf.mod(tf.abs(a), tf.abs(b)));
});

/** Picks from two; wasm picks bools wrongly, four at a time. */
const where: Kernel = {
  host: (inputs) => atHost(inputs, 1),
  run: (c) => {
    const { tf } = c;
    const [test, a, b] = [input(c, 0), input(c, 1), input(c, 2)];
    if (a.dtype !== 'bool') {
      return [combined(c, [test, a, b], a.dtype, ([t, x, y]) => tf.where(t!, x!, y!))];
    }
    return [
      combined(c, [test, a, b], 'bool', ([t, x, y]) =>
        tf.logicalOr(tf.logicalAnd(t!, x!), tf.logicalAnd(tf.logicalNot(t!), y!)),
      ),
    ];
  },
};

/** Operators of two or more operands, element by element with broadcasting. */
export const elementwise: KernelTable = {
  Sub: two((a, b, { tf }) => tf.sub(a, b)),
  Mul: two((a, b, { tf }) => tf.mul(a, b)),
  Div: two((a, b, { tf }) => tf.div(a, b)),
  Mod: modulo,
  Pow: power,
  PRelu: two((x, slope, { tf }) => tf.where(tf.less(x, 0), tf.mul(x, slope), x)),
  Max: extremum('maximum'),
  Min: extremum('minimum'),
  Sum: many((a, b, { tf }) => tf.add(a, b)),
  Mean: many(
    (a, b, { tf }) => tf.add(a, b),
    (sum, { tf, inputs }) => tf.div(sum, inputs.length),
  ),
  Clip: clip,
  Where: where,
  Greater: two((a, b, { tf }) => tf.greater(a, b), 'bool'),
  GreaterOrEqual: two((a, b, { tf }) => tf.greaterEqual(a, b), 'bool'),
  Less: two((a, b, { tf }) => tf.less(a, b), 'bool'),
  LessOrEqual: two((a, b, { tf }) => tf.lessEqual(a, b), 'bool'),
  Equal: two((a, b, { tf }) => tf.equal(a, b), 'bool'),
  And: two((a, b, { tf }) => tf.logicalAnd(a, b), 'bool'),
  Or: two((a, b, { tf }) => tf.logicalOr(a, b), 'bool'),
  Xor: two((a, b, { tf }) => tf.notEqual(a, b), 'bool'),
};
