import fc from 'fast-check';
import { random } from '../../../src/core/random.ts';
import { type DType, float32, int64 } from '../../../src/core/tensor.ts';
import { codeOf } from '../../../src/graph/dtypes.ts';
import type { Value } from '../sketch.ts';
import { ANY, all, axisIn, draw, numbered, operand, raw, type Step, type Steps } from './draws.ts';

const EXACT = { exact: true };
const shapeOf = (v: Value): readonly number[] => v.tensor.shape;
const notEmpty = (v: Value): boolean => !shapeOf(v).includes(0);

/** Bit by bit, with the shape of the second operand that of the first or one that stretches to it. */
const bitwise = (op: string): fc.Arbitrary<Step> =>
  fc.tuple(draw, fc.nat(99), fc.boolean()).map(
    ([d, seed, narrow]): Step =>
      (s) => {
        if (s.opset < 18) return;
        const x = operand(s, d, { dtypes: ['int32', 'int64', 'uint8', 'int8'] });
        const shape = narrow ? shapeOf(x).map((n) => Math.min(n, 1)) : shapeOf(x);
        s.emit(op, [x, s.constant(numbered(x.tensor.dtype, shape, seed))], {}, EXACT);
      },
  );

const not = draw.map(
  (d): Step =>
    (s) => {
      if (s.opset < 18) return;
      s.emit('BitwiseNot', [operand(s, d, { dtypes: ['int32', 'int64', 'uint8'] })], {}, EXACT);
    },
);

const shift = fc.tuple(draw, fc.constantFrom('LEFT', 'RIGHT'), fc.nat(3)).map(
  ([d, direction, by]): Step =>
    (s) => {
      if (s.opset < 11) return;
      const dtypes: readonly DType[] = ['uint8', 'uint32', 'uint64'];
      const x = operand(s, d, { dtypes });
      s.emit('BitShift', [x, s.constant(numbered(x.tensor.dtype, [], 0, [by, by]))], { direction }, EXACT);
    },
);

const castLike = fc.tuple(draw, fc.constantFrom<DType>('float32', 'int64', 'bool')).map(
  ([d, to]): Step =>
    (s) => {
      if (s.opset < 15) return;
      const x = operand(s, d, { dtypes: ANY, where: (v) => v.exact });
      s.emit('CastLike', [x, s.constant(numbered(to, [1], 0))], {}, EXACT);
    },
);

/** Slices, or elements where no axis is given; what the condition does not reach is left out. */
const compress = fc.tuple(draw, raw, fc.boolean(), fc.nat(99), fc.nat(1)).map(
  ([d, a, flat, seed, short]): Step =>
    (s) => {
      const x = operand(s, d, { dtypes: ANY, rank: [1, 4], where: notEmpty });
      if (!notEmpty(x) || s.opset < 9) return;
      const axis = axisIn(a, shapeOf(x).length);
      if (axis < 0 && s.opset < 11) return;
      const size = flat ? shapeOf(x).reduce((n, dim) => n * dim, 1) : shapeOf(x).at(axis)!;
      const holds = numbered('bool', [Math.max(1, size - short)], seed);
      s.emit('Compress', [x, s.constant(holds)], flat ? {} : { axis }, EXACT);
    },
);

const eye = fc.tuple(draw, fc.integer({ min: -3, max: 3 }), fc.boolean()).map(
  ([d, k, typed]): Step =>
    (s) => {
      if (s.opset < 9) return;
      const x = operand(s, d, { dtypes: ['float32', 'int64', 'int32'], rank: [2, 2], where: notEmpty });
      if (!notEmpty(x)) return;
      s.emit('EyeLike', [x], { k, ...(typed && { dtype: codeOf('float32') }) }, EXACT);
    },
);

const UNUSUAL = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -1, 2.5];

/** Which elements are unusual: a result of bools, which later operators may take. */
const unusual = (op: 'IsNaN' | 'IsInf'): fc.Arbitrary<Step> =>
  fc.tuple(draw, fc.nat(3)).map(
    ([d, signs]): Step =>
      (s) => {
        if (s.opset < 13) return;
        const next = random(d.seed);
        const size = d.shape.reduce((n, dim) => n * dim, 1);
        const numbers = Array.from({ length: size }, () => UNUSUAL[next.below(UNUSUAL.length)]!);
        const x = s.input(float32(d.shape, numbers), true);
        const attrs = op === 'IsInf' ? { detect_positive: signs & 1, detect_negative: signs >> 1 } : {};
        s.emit(op, [x], attrs, EXACT);
      },
  );

const localResponse = fc.tuple(draw, fc.integer({ min: 1, max: 4 }), fc.boolean()).map(
  ([d, size, plain]): Step =>
    (s) => {
      const x = operand(s, d, { dtypes: ['float32'], rank: [4, 4], where: notEmpty });
      if (!notEmpty(x)) return;
      const attrs = plain ? { size } : { size, alpha: 0.5, beta: 0.5, bias: 2 };
      s.emit('LRN', [x], attrs, { floats: ['alpha', 'beta', 'bias'] });
    },
);

/** The deviation is the divisor, so numbers that are all alike would give noise. */
const clear = (v: Value): boolean => notEmpty(v) && v.exact;

const meanVariance = fc.tuple(draw, fc.constantFrom([0, 2, 3], [2, 3], [1, 2, 3])).map(
  ([d, axes]): Step =>
    (s) => {
      const shape = [2, ...d.shape.slice(0, 1), 2, 2, 3].slice(0, 4);
      const x = operand(s, { ...d, shape }, { dtypes: ['float32'], rank: [4, 4], where: clear });
      if (!clear(x) || s.opset < 13 || shapeOf(x).slice(2).includes(1)) return;
      s.emit('MeanVarianceNormalization', [x], { axes });
    },
);

const scatter = fc.tuple(draw, raw, fc.nat(99)).map(
  ([d, a, seed]): Step =>
    (s) => {
      // The name that ScatterElements had before operator set 11.
      if (s.opset < 9 || s.opset > 10) return;
      const x = operand(s, d, { dtypes: ['float32', 'int64'], rank: [1, 4], where: notEmpty });
      if (!notEmpty(x)) return;
      const axis = a % shapeOf(x).length;
      const shape = shapeOf(x).map((n, i) => (i === axis ? 1 : n));
      const length = shape.reduce((n, dim) => n * dim, 1);
      const next = random(seed);
      const at = int64(
        shape,
        Array.from({ length }, () => next.below(shapeOf(x)[axis]!)),
      );
      const updates = s.constant(numbered(x.tensor.dtype, shape, seed));
      s.emit('Scatter', [x, s.constant(at), updates], { axis }, EXACT);
    },
);

const small = all((x) => Math.abs(x) <= 20);

const swish = fc.tuple(draw, fc.constantFrom(undefined, 0.5, 2)).map(
  ([d, alpha]): Step =>
    (s) => {
      if (s.opset < 24) return;
      const x = operand(s, d, { dtypes: ['float32'], where: small });
      s.emit('Swish', [x], alpha === undefined ? {} : { alpha }, { floats: ['alpha'] });
    },
);

/** Operators that few exporters write. */
export const rare: Steps = {
  BitwiseAnd: bitwise('BitwiseAnd'),
  BitwiseOr: bitwise('BitwiseOr'),
  BitwiseXor: bitwise('BitwiseXor'),
  BitwiseNot: not,
  BitShift: shift,
  CastLike: castLike,
  Compress: compress,
  EyeLike: eye,
  IsNaN: unusual('IsNaN'),
  IsInf: unusual('IsInf'),
  LRN: localResponse,
  MeanVarianceNormalization: meanVariance,
  Scatter: scatter,
  Swish: swish,
};
