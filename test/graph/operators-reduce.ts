import fc from 'fast-check';
import { filled, type OperatorCase, operatorCase, seed, shape, shapeAxis, vector } from './operator-cases.ts';

type Arb = fc.Arbitrary<OperatorCase>;

const reduce = (op: string, low = -3, high = 3): Arb =>
  shape(1, 4).chain((s) =>
    fc
      .record({
        seed,
        axes: fc.uniqueArray(fc.integer({ min: 0, max: s.length - 1 }), { maxLength: s.length }),
        negative: fc.boolean(),
        keepdims: fc.constantFrom(0, 1),
        later: fc.boolean(),
      })
      .map((r) => {
        const axes = r.axes.map((a) => (r.negative ? a - s.length : a));
        const asInput = op === 'ReduceSum' || r.later;
        return operatorCase(op, {
          opset: r.later ? 18 : 13,
          inputs: [filled(s, r.seed, low, high), ...(asInput && axes.length > 0 ? [vector(axes)] : [])],
          fixed: [1],
          attrs: { keepdims: r.keepdims, ...(asInput || axes.length === 0 ? {} : { axes }) },
        });
      }),
  );

const arg = (op: string): Arb =>
  fc
    .tuple(shapeAxis(), seed, fc.constantFrom(0, 1), fc.constantFrom(0, 1))
    .map(([[s, axis], n, keepdims, last]) =>
      operatorCase(op, {
        inputs: [filled(s, n, 0, 3, 'int32')],
        attrs: { axis, keepdims, select_last_index: last },
      }),
    );

const softmax = (op: string): Arb =>
  fc
    .tuple(shapeAxis(), seed, fc.constantFrom(11, 13, 17))
    .map(([[s, axis], n, opset]) =>
      operatorCase(op, { inputs: [filled(s, n, -9, 9)], attrs: { axis }, opset }),
    );

/** Operators along axes: reductions, softmaxes, extrema, running sums. */
export const REDUCE: Readonly<Record<string, Arb>> = {
  Softmax: softmax('Softmax'),
  LogSoftmax: softmax('LogSoftmax'),
  Hardmax: softmax('Hardmax'),
  ReduceSum: reduce('ReduceSum'),
  ReduceMean: reduce('ReduceMean'),
  ReduceMax: reduce('ReduceMax'),
  ReduceMin: reduce('ReduceMin'),
  ReduceProd: reduce('ReduceProd', 0.5, 1.5),
  ReduceL1: reduce('ReduceL1'),
  ReduceL2: reduce('ReduceL2'),
  ReduceSumSquare: reduce('ReduceSumSquare'),
  ReduceLogSum: reduce('ReduceLogSum', 0.1, 3),
  ReduceLogSumExp: reduce('ReduceLogSumExp', -20, 20),
  ArgMax: arg('ArgMax'),
  ArgMin: arg('ArgMin'),
  CumSum: fc
    .tuple(shapeAxis(), seed, fc.constantFrom(0, 1), fc.constantFrom(0, 1))
    .map(([[s, axis], n, exclusive, reverse]) =>
      operatorCase('CumSum', {
        inputs: [filled(s, n), filled([], 0, axis, axis + 1, 'int64')],
        attrs: { exclusive, reverse },
      }),
    ),
};
