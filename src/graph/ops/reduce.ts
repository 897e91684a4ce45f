import type { Dim } from '../../core/graph.ts';
import { type OpContext, type OpEntry, type OpTable, typed } from './entry.ts';
import { axesOf, restOf } from './shape.ts';

function reduced(c: OpContext, keep: boolean): Dim[] {
  const x = c.shape(0);
  const given = axesOf(c, 1);
  if (!given && c.has(1)) {
    if (keep) return x.map(() => c.fresh('reduced'));
    return restOf(c, 1, (axes) => x.length - axes, 'reduced');
  }
  const nothing = (!given || given.length === 0) && c.int('noop_with_empty_axes', 0) !== 0;
  const all = x.map((_, i) => i);
  const axes = nothing ? [] : given && given.length > 0 ? c.axes(given, x.length) : all;
  return x.flatMap((d, i) => (axes.includes(i) ? (keep ? [1] : []) : [d]));
}

/** `fold` gives the single result for a fully known vector, which is how exporters compute element counts. */
function reduce(fold?: (values: readonly number[]) => number): OpEntry {
  return {
    inputs: [1, 2],
    since: 1,
    infer: (c) => {
      const shape = reduced(c, c.int('keepdims', 1) !== 0);
      const values = fold && c.shape(0).length === 1 ? c.numbers(0) : undefined;
      const whole = shape.every((d) => d === 1);
      return [typed(c.in(0).dtype, shape, values && fold && whole ? [fold(values)] : undefined)];
    },
  };
}

const argument: OpEntry = {
  inputs: [1, 1],
  since: 1,
  infer: (c) => {
    const x = c.shape(0);
    const axis = c.axis(c.int('axis', 0), x.length);
    const keep = c.int('keepdims', 1) !== 0;
    return [
      typed(
        'int64',
        x.flatMap((d, i) => (i === axis ? (keep ? [1] : []) : [d])),
      ),
    ];
  },
};

/** Reductions. `axes` is an attribute up to opset 17 (12 for ReduceSum) and the second input from then on. */
export const reductions: OpTable = {
  ReduceSum: reduce((v) => v.reduce((a, b) => a + b, 0)),
  ReduceProd: reduce((v) => v.reduce((a, b) => a * b, 1)),
  ReduceMax: reduce((v) => Math.max(...v)),
  ReduceMin: reduce((v) => Math.min(...v)),
  ReduceMean: reduce(),
  ReduceL1: reduce(),
  ReduceL2: reduce(),
  ReduceSumSquare: reduce(),
  ReduceLogSum: reduce(),
  ReduceLogSumExp: reduce(),
  ArgMax: argument,
  ArgMin: argument,
  CumSum: { inputs: [2, 2], since: 11, infer: (c) => [typed(c.in(0).dtype, c.shape(0))] },
  TopK: {
    inputs: [1, 2],
    outputs: 2,
    since: 1,
    infer: (c) => {
      const x = c.shape(0);
      const axis = c.axis(c.int('axis', -1), x.length);
      const k = c.has(1) ? (c.value(1)?.[0] ?? c.fresh('k')) : c.int('k', 1);
      const out = x.map((d, i) => (i === axis ? k : d));
      return [typed(c.in(0).dtype, out), typed('int64', out)];
    },
  },
};
