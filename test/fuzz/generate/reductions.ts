import fc from 'fast-check';
import { type DType, int64, toNumbers } from '../../../src/core/tensor.ts';
import type { Value } from '../sketch.ts';
import { all, axisIn, draw, operand, raw, type Step, type Steps } from './draws.ts';
import { withAxes } from './movement.ts';

const shapeOf = (v: Value): readonly number[] => v.tensor.shape;
const notEmpty = (v: Value): boolean => !shapeOf(v).includes(0);

interface Reduction {
  readonly dtypes?: readonly DType[];
  readonly where?: (v: Value) => boolean;
  readonly range?: readonly [number, number];
  readonly exact?: boolean;
  /** Its result over nothing is agreed on. */
  readonly empty?: boolean;
  /** Since this operator set the axes are an input. */
  readonly moved?: number;
}

function reduce(op: string, given: Reduction = {}): fc.Arbitrary<Step> {
  return fc
    .record({
      d: draw,
      axes: fc.array(raw, { maxLength: 3 }),
      keep: fc.nat(1),
      noop: fc.boolean(),
      plain: fc.boolean(),
    })
    .map(
      ({ d, axes, keep, noop, plain }): Step =>
        (s) => {
          const moved = given.moved ?? 18;
          const x = operand(s, d, {
            dtypes: given.dtypes ?? ['float32', 'float32', 'int64', 'int32', 'float16'],
            rank: [0, 4],
            where: (v) => (given.empty || notEmpty(v)) && (given.where?.(v) ?? true),
            ...(given.range && { range: given.range }),
          });
          if (!given.empty && !notEmpty(x)) return;
          const rank = shapeOf(x).length;
          const chosen = rank === 0 ? [] : axes.map((a) => axisIn(a, rank));
          const distinct = chosen.filter(
            (a, i) => chosen.findIndex((b) => (b + rank) % rank === (a + rank) % rank) === i,
          );
          if (s.opset < 11 && distinct.some((a) => a < 0)) return;
          const attrs = plain ? {} : { keepdims: keep };
          if (distinct.length === 0) {
            const quiet = noop && s.opset >= moved;
            s.emit(op, [x], quiet ? { ...attrs, noop_with_empty_axes: 1 } : attrs, {
              exact: given.exact ?? false,
            });
            return;
          }
          const where = withAxes(s, moved, distinct);
          s.emit(op, [x, ...where.inputs], { ...attrs, ...where.attrs }, { exact: given.exact ?? false });
        },
    );
}

/** All numbers differ clearly, or are exact, so that every implementation chooses the same. */
function clear(v: Value): boolean {
  if (v.exact) return true;
  const sorted = toNumbers(v.tensor).sort();
  return sorted.every((x, i) => i === 0 || x - sorted[i - 1]! > 1e-2);
}

const argument = (op: string): fc.Arbitrary<Step> =>
  fc.tuple(draw, raw, fc.nat(1), fc.nat(1)).map(
    ([d, a, keep, last]): Step =>
      (s) => {
        const x = operand(s, d, {
          dtypes: ['float32', 'int32'],
          rank: [1, 4],
          where: (v) => notEmpty(v) && clear(v),
        });
        if (!notEmpty(x)) return;
        const axis = axisIn(a, shapeOf(x).length);
        if (axis < 0 && s.opset < 11) return;
        s.emit(
          op,
          [x],
          s.opset >= 12 ? { axis, keepdims: keep, select_last_index: last } : { axis, keepdims: keep },
        );
      },
  );

const cumSum = fc.tuple(draw, raw, fc.nat(1), fc.nat(1)).map(
  ([d, a, exclusive, reverse]): Step =>
    (s) => {
      if (s.opset < 11) return;
      const x = operand(s, d, { dtypes: ['float32', 'int64', 'int32'], rank: [1, 4] });
      s.emit('CumSum', [x, s.constant(int64([], [axisIn(a, shapeOf(x).length)]))], { exclusive, reverse });
    },
);

const topK = fc.tuple(draw, raw, fc.nat(3), fc.nat(1)).map(
  ([d, a, count, largest]): Step =>
    (s) => {
      if (s.opset < 10) return;
      const x = operand(s, d, {
        dtypes: ['float32', 'int64'],
        rank: [1, 4],
        where: (v) => notEmpty(v) && clear(v),
      });
      if (!notEmpty(x)) return;
      const axis = axisIn(a, shapeOf(x).length);
      if (s.opset < 11 && (axis < 0 || x.tensor.dtype !== 'float32')) return;
      const k = s.constant(int64([1], [Math.min(count, shapeOf(x).at(axis)!)]));
      s.emit('TopK', [x, k], s.opset < 11 ? { axis } : { axis, largest, sorted: 1 }, {
        outputs: 2,
        exact: true,
      });
    },
);

const positive = { where: all((x) => x >= 0.125), range: [0.5, 3] as const, dtypes: ['float32'] as const };

/** Reductions over axes. */
export const reductions: Steps = {
  ReduceSum: reduce('ReduceSum', { moved: 13, empty: true }),
  ReduceMean: reduce('ReduceMean', { dtypes: ['float32', 'float16'] }),
  ReduceMax: reduce('ReduceMax', { exact: true }),
  ReduceMin: reduce('ReduceMin', { exact: true }),
  ReduceProd: reduce('ReduceProd', { dtypes: ['float32', 'int64', 'int32'] }),
  ReduceL1: reduce('ReduceL1'),
  ReduceL2: reduce('ReduceL2', {
    dtypes: ['float32'],
    where: all((x) => Math.abs(x) >= 0.125),
    range: [1, 3],
  }),
  ReduceSumSquare: reduce('ReduceSumSquare'),
  ReduceLogSum: reduce('ReduceLogSum', positive),
  ReduceLogSumExp: reduce('ReduceLogSumExp', { dtypes: ['float32'] }),
  ArgMax: argument('ArgMax'),
  ArgMin: argument('ArgMin'),
  CumSum: cumSum,
  TopK: topK,
};
