import {
  axisOf,
  type Call,
  fail,
  input,
  intsAttr,
  intsInput,
  type Kernel,
  type KernelTable,
  numberAttr,
  numbers,
  scratch,
  span,
  store,
} from './kernel.ts';
import { stridesOf, walk } from './strided.ts';

/** A reduction: where it starts, how it takes in a value, and how it ends after `count` values. */
interface Reduction {
  readonly start: number;
  readonly step: (sum: number, value: number) => number;
  readonly finish?: (sum: number, count: number) => number;
}

/** Axes are an attribute first and an input later (ReduceSum since opset 13, the others since 18). */
function reducedAxes(c: Call, rank: number): number[] | null {
  const axes = intsAttr(c, 'axes') ?? intsInput(c, 1);
  if (axes !== undefined && axes.length > 0) return axes.map((axis) => axisOf(c, axis, rank));
  return numberAttr(c, 'noop_with_empty_axes', 0) !== 0 ? null : Array.from({ length: rank }, (_, i) => i);
}

function reduce(r: Reduction): Kernel {
  return (c) => {
    const x = input(c, 0);
    const axes = reducedAxes(c, x.shape.length);
    const values = numbers(x);
    const finish = r.finish ?? ((sum: number) => sum);
    if (axes === null)
      return [
        store(
          x.dtype,
          x.shape,
          values.map((v) => finish(r.step(r.start, v), 1)),
        ),
      ];
    const kept = x.shape.map((d, i) => (axes.includes(i) ? 1 : d));
    const out = scratch(c, kept).fill(r.start);
    const strides = stridesOf(kept).map((s, i) => (axes.includes(i) ? 0 : s));
    walk(x.shape, strides, 0, (to, from) => {
      out[to] = r.step(out[to]!, values[from]!);
    });
    const count = axes.reduce((n, axis) => n * x.shape[axis]!, 1);
    const shape = numberAttr(c, 'keepdims', 1) !== 0 ? kept : x.shape.filter((_, i) => !axes.includes(i));
    return [
      store(
        x.dtype,
        shape,
        out.map((v) => finish(v, count)),
      ),
    ];
  };
}

/** Log-sum-exp needs the maximum first, or exponentials overflow. */
const logSumExp: Kernel = (c) => {
  const x = input(c, 0);
  const keep: Call = { ...c, node: { ...c.node, attrs: { ...c.node.attrs, keepdims: 1 } } };
  const f64: Call = {
    ...keep,
    inputs: [{ dtype: 'float64', shape: x.shape, data: numbers(x) }, ...c.inputs.slice(1)],
  };
  const [top] = reduction.ReduceMax!(f64);
  const [total] = reduce({ start: 0, step: (a, v) => a + v })({
    ...f64,
    inputs: [shifted(x.shape, numbers(x), top!.shape, numbers(top!)), ...c.inputs.slice(1)],
  });
  const peaks = numbers(top!);
  const out = numbers(total!).map((v, i) => Math.log(v) + (Number.isFinite(peaks[i]!) ? peaks[i]! : 0));
  const axes = reducedAxes(c, x.shape.length) ?? [];
  const shape = numberAttr(c, 'keepdims', 1) !== 0 ? top!.shape : x.shape.filter((_, i) => !axes.includes(i));
  return [store(x.dtype, shape, out)];
};

function shifted(
  shape: readonly number[],
  values: Float64Array,
  topShape: readonly number[],
  top: Float64Array,
) {
  const strides = stridesOf(topShape).map((s, i) => (topShape[i] === 1 ? 0 : s));
  const data = new Float64Array(values.length);
  walk(shape, strides, 0, (at, position) => {
    data[position] = Math.exp(values[position]! - (Number.isFinite(top[at]!) ? top[at]! : 0));
  });
  return { dtype: 'float64' as const, shape, data };
}

/** Index of the largest (or smallest) value along an axis; the first of equals, or the last with select_last_index. */
function arg(better: (a: number, b: number) => boolean): Kernel {
  return (c) => {
    const x = input(c, 0);
    const axis = axisOf(c, numberAttr(c, 'axis', 0), x.shape.length);
    const last = numberAttr(c, 'select_last_index', 0) !== 0;
    const [values, size, step] = [numbers(x), x.shape[axis]!, span(x.shape, axis + 1)];
    if (size === 0) fail(c, 'there is nothing to choose from');
    const kept = x.shape.map((d, i) => (i === axis ? 1 : d));
    const out = scratch(c, kept).map((_, row) => {
      const from = Math.floor(row / step) * size * step + (row % step);
      let winner = 0;
      for (let i = 1; i < size; i++) {
        const [a, b] = [values[from + i * step]!, values[from + winner * step]!];
        if (better(a, b) || (last && a === b)) winner = i;
      }
      return winner;
    });
    const shape = numberAttr(c, 'keepdims', 1) !== 0 ? kept : x.shape.filter((_, i) => i !== axis);
    return [store('int64', shape, out)];
  };
}

const cumSum: Kernel = (c) => {
  const x = input(c, 0);
  const axis = axisOf(c, intsInput(c, 1)?.[0] ?? fail(c, 'the axis is missing'), x.shape.length);
  const [exclusive, reverse] = [numberAttr(c, 'exclusive', 0) !== 0, numberAttr(c, 'reverse', 0) !== 0];
  const [values, size, step] = [numbers(x), x.shape[axis]!, span(x.shape, axis + 1)];
  const out = new Float64Array(values.length);
  for (let row = 0; row < values.length / (size || 1); row++) {
    const from = Math.floor(row / step) * size * step + (row % step);
    let sum = 0;
    for (let i = 0; i < size; i++) {
      const at = from + (reverse ? size - 1 - i : i) * step;
      if (exclusive) out[at] = sum;
      sum += values[at]!;
      if (!exclusive) out[at] = sum;
    }
  }
  return [store(x.dtype, x.shape, out)];
};

const add = (a: number, v: number): number => a + v;

/** Reductions over axes, argument of the extremum, running sums. */
export const reduction: KernelTable = {
  ReduceSum: reduce({ start: 0, step: add }),
  ReduceMean: reduce({ start: 0, step: add, finish: (sum, n) => sum / n }),
  ReduceMax: reduce({ start: Number.NEGATIVE_INFINITY, step: Math.max }),
  ReduceMin: reduce({ start: Number.POSITIVE_INFINITY, step: Math.min }),
  ReduceProd: reduce({ start: 1, step: (a, v) => a * v }),
  ReduceL1: reduce({ start: 0, step: (a, v) => a + Math.abs(v) }),
  ReduceL2: reduce({ start: 0, step: (a, v) => a + v * v, finish: Math.sqrt }),
  ReduceSumSquare: reduce({ start: 0, step: (a, v) => a + v * v }),
  ReduceLogSum: reduce({ start: 0, step: add, finish: Math.log }),
  ReduceLogSumExp: logSumExp,
  ArgMax: arg((a, b) => a > b),
  ArgMin: arg((a, b) => a < b),
  CumSum: cumSum,
};
