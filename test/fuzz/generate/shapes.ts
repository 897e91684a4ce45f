import fc from 'fast-check';
import { int64 } from '../../../src/core/tensor.ts';
import type { Sketch, Value } from '../sketch.ts';
import { ANY, axisIn, draw, operand, raw, type Step, type Steps, vector } from './draws.ts';
import { withAxes } from './movement.ts';

const EXACT = { exact: true };
const shapeOf = (v: Value): readonly number[] => v.tensor.shape;
const count = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** A shape of the same number of elements: dimensions joined and cut apart. */
function regrouped(shape: readonly number[], how: readonly number[]): number[] {
  const out: number[] = [];
  for (const [i, size] of shape.entries()) {
    const choice = how[i] ?? 0;
    if (choice % 3 === 1 && out.length > 0) out[out.length - 1]! *= size;
    else if (choice % 3 === 2 && size % 2 === 0 && size > 0) out.push(2, size / 2);
    else out.push(size);
  }
  return out;
}

const reshape = fc.tuple(draw, fc.array(raw, { maxLength: 4 }), raw, fc.nat(3)).map(
  ([d, how, at, form]): Step =>
    (s) => {
      const x = operand(s, d, { dtypes: ANY });
      const target = regrouped(shapeOf(x), how);
      if (form === 1 && target.length > 0 && !target.includes(0)) target[at % target.length] = -1;
      if (form === 2)
        target.forEach((size, i) => {
          if (size === shapeOf(x)[i]) target[i] = 0;
        });
      if (form === 3) {
        if (s.opset < 14 || (count(target) === 0) !== target.includes(0)) return;
        s.emit('Reshape', [x, vector(s, target)], { allowzero: 1 }, EXACT);
        return;
      }
      // Without allowzero a 0 copies the dimension at its place, so an empty one may only stand where it stood.
      if (target.some((size, i) => size === 0 && shapeOf(x)[i] === undefined)) return;
      if (target.some((size, i) => size === 0 && form !== 2 && shapeOf(x)[i] !== 0)) return;
      s.emit('Reshape', [x, vector(s, target)], {}, EXACT);
    },
);

const flatten = fc.tuple(draw, raw).map(
  ([d, a]): Step =>
    (s) => {
      const x = operand(s, d, { dtypes: s.opset < 9 ? ['float32'] : ANY });
      const rank = shapeOf(x).length;
      const axis = rank === 0 ? 0 : a % (rank + 1);
      s.emit('Flatten', [x], { axis: s.opset >= 11 && rank > 0 && a >= 8 ? -1 - (a % rank) : axis }, EXACT);
    },
);

const unsqueeze = fc.tuple(draw, fc.array(raw, { minLength: 1, maxLength: 2 })).map(
  ([d, places]): Step =>
    (s) => {
      const x = operand(s, d, { dtypes: ANY, rank: [0, 3] });
      const rank = shapeOf(x).length + places.length;
      const axes = places.map((p) => axisIn(p, rank));
      if (
        new Set(axes.map((a) => (a + rank) % rank)).size < axes.length ||
        (s.opset < 11 && axes.some((a) => a < 0))
      )
        return;
      const given = withAxes(s, 13, axes);
      s.emit('Unsqueeze', [x, ...given.inputs], given.attrs, EXACT);
    },
);

const squeeze = fc.tuple(draw, fc.boolean(), fc.boolean()).map(
  ([d, all, behind]): Step =>
    (s) => {
      const x = operand(
        s,
        { ...d, shape: d.shape.map((n, i) => (i % 2 === 0 ? 1 : n)) },
        { dtypes: ANY, rank: [1, 4] },
      );
      const rank = shapeOf(x).length;
      const ones = shapeOf(x).flatMap((n, i) => (n === 1 ? [behind && s.opset >= 11 ? i - rank : i] : []));
      if (all || ones.length === 0) s.emit('Squeeze', [x], {}, EXACT);
      else {
        const given = withAxes(s, 13, ones.slice(0, 2));
        s.emit('Squeeze', [x, ...given.inputs], given.attrs, EXACT);
      }
    },
);

const shape = fc
  .tuple(draw, fc.option(fc.integer({ min: -5, max: 5 })), fc.option(fc.integer({ min: -5, max: 5 })))
  .map(
    ([d, start, end]): Step =>
      (s) => {
        const x = operand(s, d, { dtypes: ANY });
        const attrs = { ...(start !== null && { start }), ...(end !== null && { end }) };
        s.emit('Shape', [x], s.opset < 15 ? {} : attrs, EXACT);
      },
  );

const size = draw.map(
  (d): Step =>
    (s) => {
      s.emit('Size', [operand(s, d, { dtypes: ANY })], {}, EXACT);
    },
);

/** Sizes read off a tensor as exporters spell it: Shape, Gather, Unsqueeze. */
function sizeOf(s: Sketch, x: Value, axis: number): Value | null {
  const [sizes] = s.emit('Shape', [x], {}, EXACT);
  if (!sizes) return null;
  const [one] = s.emit('Gather', [sizes, s.constant(int64([], [axis]))], { axis: 0 }, EXACT);
  if (!one) return null;
  const given = withAxes(s, 13, [0]);
  return s.emit('Unsqueeze', [one, ...given.inputs], given.attrs, EXACT)[0] ?? null;
}

/** `x.reshape(x.shape[0], …, -1)`: the shape is computed in the graph. */
const reshapeByShape = fc.tuple(draw, raw, fc.nat(2)).map(
  ([d, a, form]): Step =>
    (s) => {
      const x = operand(s, d, {
        dtypes: ['float32', 'int64'],
        rank: [1, 4],
        where: (v) => count(shapeOf(v)) > 0,
      });
      if (count(shapeOf(x)) === 0) return;
      const kept = sizeOf(s, x, axisIn(a, shapeOf(x).length));
      if (!kept) return;
      const order =
        form === 0
          ? [kept, vector(s, [-1])]
          : form === 1
            ? [vector(s, [-1]), kept]
            : [vector(s, [1]), kept, vector(s, [-1])];
      const [target] = s.emit('Concat', order, { axis: 0 }, EXACT);
      if (target) s.emit('Reshape', [x, target], {}, EXACT);
    },
);

/** `torch.zeros(x.shape)`, `expand_as`: a shape that is worked with as numbers. */
const filled = fc.tuple(draw, fc.nat(3), fc.boolean()).map(
  ([d, fill, whole]): Step =>
    (s) => {
      if (s.opset < 9) return;
      const x = operand(s, d, { dtypes: ['float32', 'int64'], rank: [0, 3] });
      const [sizes] = s.emit('Shape', [x], {}, EXACT);
      if (!sizes) return;
      const value = whole
        ? {
            kind: 'tensor' as const,
            dtype: 'int64' as const,
            shape: [1],
            data: BigInt64Array.of(BigInt(fill)),
          }
        : { kind: 'tensor' as const, dtype: 'float32' as const, shape: [1], data: Float32Array.of(fill / 2) };
      s.emit('ConstantOfShape', [sizes], fill === 3 ? {} : { value }, EXACT);
    },
);

const range = fc
  .tuple(
    fc.integer({ min: -4, max: 4 }),
    fc.integer({ min: -4, max: 6 }),
    fc.constantFrom(1, 2, -1, -3),
    fc.constantFrom('int64' as const, 'float32' as const),
  )
  .map(
    ([from, to, by, dtype]): Step =>
      (s) => {
        if (s.opset < 11) return;
        const scalar = (n: number) =>
          s.constant(dtype === 'int64' ? int64([], [n]) : { dtype, shape: [], data: Float32Array.of(n / 2) });
        s.emit('Range', [scalar(from), scalar(to), scalar(by)], {}, EXACT);
      },
  );

const constant = fc.tuple(draw, fc.nat(4)).map(
  ([d, form]): Step =>
    (s) => {
      const numbers = d.shape.slice(0, 3);
      if (form > 0 && s.opset < 12) return;
      if (form === 0) {
        const data = Float32Array.from({ length: 6 }, (_, i) => i - 2);
        s.emit('Constant', [], { value: { kind: 'tensor', dtype: 'float32', shape: [2, 3], data } }, EXACT);
      } else if (form === 1) s.emit('Constant', [], { value_int: d.seed }, EXACT);
      else if (form === 2)
        s.emit('Constant', [], { value_float: d.seed / 8 }, { exact: true, floats: ['value_float'] });
      else if (numbers.length === 0) return;
      else if (form === 3) s.emit('Constant', [], { value_ints: numbers }, EXACT);
      else s.emit('Constant', [], { value_floats: numbers }, { exact: true, floats: ['value_floats'] });
    },
);

/** Operators that look at shapes, and the arithmetic with shapes that exporters write. */
export const shapes: Steps = {
  Reshape: reshape,
  Flatten: flatten,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Shape: shape,
  Size: size,
  Range: range,
  Constant: constant,
  ConstantOfShape: filled,
  'Reshape by Shape': reshapeByShape,
};
