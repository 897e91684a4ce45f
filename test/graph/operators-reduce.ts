import fc from 'fast-check';
import {
  filled,
  type OperatorCase,
  operatorCase,
  seed,
  shape,
  shapeAxis,
  size,
  vector,
} from './operator-cases.ts';

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

/** Classes and labels, of which −1 is to be ignored; the first row always counts, or a mean would be no number. */
const crossEntropy: Arb = fc
  .record({
    seed,
    rows: size,
    classes: fc.integer({ min: 2, max: 4 }),
    rest: fc.oneof(
      fc.array(size, { maxLength: 2 }),
      fc.array(fc.constantFrom(1, 2, 3), { minLength: 3, maxLength: 5 }),
    ),
    reduction: fc.constantFrom('none', 'sum', 'mean'),
    weighed: fc.boolean(),
    ignores: fc.boolean(),
    logs: fc.boolean(),
  })
  .map((r) => {
    const drawn = filled([r.rows, ...r.rest], r.seed + 1, r.ignores ? -1 : 0, r.classes, 'int64');
    const data = (drawn.data as BigInt64Array).map((label, i) => (i === 0 && label < 0n ? 0n : label));
    const labels = { ...drawn, data };
    return operatorCase('SoftmaxCrossEntropyLoss', {
      inputs: [
        filled([r.rows, r.classes, ...r.rest], r.seed),
        labels,
        ...(r.weighed ? [filled([r.classes], r.seed + 2, 0.5, 2)] : []),
      ],
      attrs: { reduction: r.reduction, ...(r.ignores && { ignore_index: -1 }) },
      outputs: r.logs ? 2 : 1,
    });
  });

/** Operators along axes: reductions, softmaxes, extrema, running sums. */
export const REDUCE: Readonly<Record<string, Arb>> = {
  Softmax: softmax('Softmax'),
  LogSoftmax: softmax('LogSoftmax'),
  Hardmax: softmax('Hardmax'),
  SoftmaxCrossEntropyLoss: crossEntropy,
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
