import fc from 'fast-check';
import { random } from '../../../src/core/random.ts';
import { type DType, int64, type Tensor } from '../../../src/core/tensor.ts';
import type { Value } from '../sketch.ts';
import { ANY, axisIn, draw, numbered, operand, raw, type Step, type Steps } from './draws.ts';

const EXACT = { exact: true };
const shapeOf = (v: Value): readonly number[] => v.tensor.shape;
const notEmpty = (v: Value): boolean => !shapeOf(v).includes(0);
const count = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** Indices into a dimension of `size`, from either end when `negative`. */
function indices(shape: readonly number[], size: number, seed: number, negative: boolean): Tensor {
  const next = random(seed);
  return int64(
    shape,
    Array.from(
      { length: count(shape) },
      () => next.below(size) - (negative && next.uniform() < 0.5 ? size : 0),
    ),
  );
}

const atMost = (shape: readonly number[], seed: number): number[] =>
  shape.map((size, i) => Math.max(1, size - ((seed >> i) & 1)));

const gather = fc.tuple(draw, draw, raw, fc.boolean(), fc.boolean()).map(
  ([d, at, a, negative, narrow]): Step =>
    (s) => {
      const x = operand(s, d, { dtypes: ANY, rank: [1, 4], where: notEmpty });
      if (!notEmpty(x)) return;
      const axis = axisIn(a, shapeOf(x).length);
      if (axis < 0 && s.opset < 11) return;
      const picked = indices(at.shape.slice(0, 2), shapeOf(x).at(axis)!, at.seed, negative && s.opset >= 11);
      const places: Tensor = narrow
        ? { dtype: 'int32', shape: picked.shape, data: Int32Array.from(picked.data as BigInt64Array, Number) }
        : picked;
      s.emit('Gather', [x, at.constant ? s.constant(places) : s.input(places)], { axis }, EXACT);
    },
);

const gatherElements = fc.tuple(draw, draw, raw, fc.integer({ min: 0, max: 3 })).map(
  ([d, at, a, length]): Step =>
    (s) => {
      if (s.opset < 11) return;
      const x = operand(s, d, { dtypes: ['float32', 'int64', 'int32'], rank: [1, 4], where: notEmpty });
      if (!notEmpty(x)) return;
      const axis = axisIn(a, shapeOf(x).length);
      const place = axis < 0 ? axis + shapeOf(x).length : axis;
      const shape = atMost(shapeOf(x), at.seed).map((n, i) => (i === place ? length : n));
      const picked = indices(shape, shapeOf(x)[place]!, at.seed, true);
      s.emit('GatherElements', [x, at.constant ? s.constant(picked) : s.input(picked)], { axis }, EXACT);
    },
);

/** Tuples of indices into the first `depth` dimensions from `batch` on, one tuple per place of `lead`. */
function tuples(x: Value, batch: number, depth: number, lead: readonly number[], seed: number): Tensor {
  const next = random(seed);
  const sizes = shapeOf(x).slice(batch, batch + depth);
  const rows = Array.from({ length: count(lead) }, () =>
    sizes.map((n) => next.below(n) - (next.uniform() < 0.3 ? n : 0)),
  );
  return int64([...lead, depth], rows.flat());
}

const gatherNd = fc.tuple(draw, draw, fc.nat(3), fc.nat(1)).map(
  ([d, at, deep, b]): Step =>
    (s) => {
      const batch = s.opset < 12 ? 0 : b;
      const x = operand(s, d, { dtypes: ['float32', 'int64'], rank: [batch + 1, 4], where: notEmpty });
      if (!notEmpty(x) || s.opset < 11) return;
      const depth = 1 + (deep % (shapeOf(x).length - batch));
      const lead = [...shapeOf(x).slice(0, batch), ...at.shape.slice(0, 2)];
      if (lead.length === 0) return;
      const picked = tuples(x, batch, depth, lead, at.seed);
      s.emit('GatherND', [x, s.constant(picked)], batch ? { batch_dims: batch } : {}, EXACT);
    },
);

/** How updates meet what is there, as far as the operator set knows. */
const reduction = fc.constantFrom('none', 'add', 'mul', 'max', 'min');
const known = (how: string, opset: number): boolean =>
  how === 'none' || (how === 'add' || how === 'mul' ? opset >= 16 : opset >= 18);

const scatterElements = fc.tuple(draw, draw, raw, reduction).map(
  ([d, at, a, how]): Step =>
    (s) => {
      if (s.opset < 11 || !known(how, s.opset)) return;
      const x = operand(s, d, { dtypes: ['float32', 'int64'], rank: [1, 4], where: notEmpty });
      if (!notEmpty(x)) return;
      const axis = axisIn(a, shapeOf(x).length);
      const place = axis < 0 ? axis + shapeOf(x).length : axis;
      // Two updates for one place have no defined order without a reduction.
      const shape = shapeOf(x).map((n, i) => (i === place ? (how === 'none' ? 1 : 2) : n));
      const picked = indices(shape, shapeOf(x)[place]!, at.seed, true);
      const updates = s.constant(numbered(x.tensor.dtype, shape, at.seed + 1));
      s.emit(
        'ScatterElements',
        [x, s.constant(picked), updates],
        how === 'none' ? { axis } : { axis, reduction: how },
        {
          exact: how !== 'mul' && how !== 'add',
        },
      );
    },
);

const scatterNd = fc.tuple(draw, draw, fc.nat(3), reduction, fc.integer({ min: 0, max: 3 })).map(
  ([d, at, deep, how, rows]): Step =>
    (s) => {
      if (s.opset < 11 || !known(how, s.opset)) return;
      const x = operand(s, d, { dtypes: ['float32', 'int64'], rank: [1, 4], where: notEmpty });
      if (!notEmpty(x)) return;
      const depth = 1 + (deep % shapeOf(x).length);
      const lead = [how === 'none' ? Math.min(rows, 1) : rows];
      const picked = tuples(x, 0, depth, lead, at.seed);
      const updates = numbered(x.tensor.dtype, [...lead, ...shapeOf(x).slice(depth)], at.seed + 1);
      s.emit(
        'ScatterND',
        [x, s.constant(picked), s.input(updates)],
        how === 'none' ? {} : { reduction: how },
        {
          exact: how !== 'mul' && how !== 'add',
        },
      );
    },
);

const oneHot = fc
  .tuple(draw, fc.integer({ min: 1, max: 4 }), raw, fc.constantFrom<DType>('float32', 'int64'))
  .map(
    ([d, depth, a, dtype]): Step =>
      (s) => {
        if (s.opset < 11) return;
        const at = operand(s, d, { dtypes: ['int64'], rank: [1, 3] });
        const axis = axisIn(a, shapeOf(at).length + 1);
        s.emit(
          'OneHot',
          [at, s.constant(int64([], [depth])), s.constant(numbered(dtype, [2], 3))],
          { axis },
          EXACT,
        );
      },
  );

const nonZero = draw.map(
  (d): Step =>
    (s) => {
      if (s.opset < 9) return;
      const x = operand(s, d, {
        dtypes: ['float32', 'int64', 'bool', 'int32'],
        rank: [1, 4],
        where: (v) => v.exact,
      });
      s.emit('NonZero', [x], {}, EXACT);
    },
);

/** Labels look their scores up. */
const crossEntropy = fc.tuple(draw, draw, fc.nat(2), fc.boolean()).map(
  ([d, at, r, ignores]): Step =>
    (s) => {
      if (s.opset < 12) return;
      const x = operand(s, d, { dtypes: ['float32'], rank: [2, 4], where: notEmpty });
      if (!notEmpty(x)) return;
      const [rows, classes, ...rest] = shapeOf(x) as [number, number, ...number[]];
      const labels = indices([rows, ...rest], classes, at.seed, false);
      const reduction = ['none', 'sum', 'mean'][r]!;
      // A mean of nothing is no number: with labels to ignore there may be no other.
      const attrs = { reduction, ...(ignores && reduction !== 'mean' && { ignore_index: 0 }) };
      const given = at.constant ? s.constant(labels) : s.input(labels);
      s.emit('SoftmaxCrossEntropyLoss', [x, given], attrs);
    },
);

/** Operators that pick or place elements by index. */
export const indexing: Steps = {
  SoftmaxCrossEntropyLoss: crossEntropy,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  ScatterElements: scatterElements,
  ScatterND: scatterNd,
  OneHot: oneHot,
  NonZero: nonZero,
};
