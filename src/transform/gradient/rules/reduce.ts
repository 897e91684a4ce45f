import type { Value } from '../../../graph/builder.ts';
import { asNumber, type Backward, masked, type Rule, type RuleTable } from '../rule.ts';

/** What a reduction does to a shape: the axes that it runs over, and the shape with those as 1. */
interface Reduced {
  readonly x: Value;
  readonly axes: readonly number[];
  /** Elements that one result is made of. */
  readonly count: number;
  /** A value of the result's shape, with the reduced axes as 1. */
  readonly spread: (value: Value) => Value;
}

/** Null where nothing is reduced: no axes and `noop_with_empty_axes`. */
function reduced(b: Backward): Reduced | null {
  const x = b.in(0);
  const sizes = b.sizes(x);
  const given = b.numbers(1) ?? b.ints('axes') ?? [];
  if (given.length === 0 && b.int('noop_with_empty_axes', 0) === 1) return null;
  const axes = given.length > 0 ? given.map((a) => b.axis(a, sizes.length)) : [...sizes.keys()];
  const kept = sizes.map((d, i) => (axes.includes(i) ? 1 : d));
  const spread = (value: Value): Value =>
    value.shape.join() === kept.join() ? value : b.g.reshape(value, kept);
  return { x, axes, count: axes.reduce((n, a) => n * sizes[a]!, 1), spread };
}

/** A rule that makes, from the spread gradient, one that stretches to x, and `alone` for single elements. */
const over =
  (make: (b: Backward, dy: Value, r: Reduced) => Value): Rule =>
  (b) => {
    if (!b.wanted(0)) return b.only();
    const { g } = b;
    const r = reduced(b) ?? { x: b.in(0), axes: [], count: 1, spread: (value: Value) => value };
    const dx = make(b, r.spread(b.dy), r);
    const stretched = dx.shape.join() === r.x.shape.join() ? dx : g.expand(dx, g.ints(b.sizes(r.x)));
    return b.only(stretched);
  };

/** Equals share the gradient (as PyTorch's amax has it). */
const extremum = over((b, dy, r) => {
  const { g } = b;
  const chosen = asNumber(b, g.equal(r.x, r.spread(b.out())), r.x);
  const equals = r.axes.length === 0 ? chosen : g.reduceSum(chosen, r.axes, true);
  return g.mul(g.div(dy, equals), chosen);
});

/** The product of the others: of all but x where none of those is 0, else 0. */
const product = over((b, dy, r) => {
  const { g } = b;
  if (r.axes.length === 0) return dy;
  const isZero = asNumber(b, g.equal(r.x, 0), r.x);
  const safe = g.add(r.x, isZero);
  const whole = g.op('ReduceProd', ...axesOf(b, safe, r.axes))[0]!;
  const others = g.sub(g.reduceSum(isZero, r.axes, true), isZero);
  return masked(b, g.div(g.mul(dy, whole), safe), g.equal(others, 0));
});

/** Operand and attributes of a reduction that keeps its axes, in the form of the graph's opset. */
function axesOf(
  b: Backward,
  x: Value,
  axes: readonly number[],
): [Value[], Record<string, number | readonly number[]>] {
  return b.g.opset < 18 ? [[x], { axes, keepdims: 1 }] : [[x, b.g.ints(axes)], { keepdims: 1 }];
}

/** x ÷ ‖x‖, and 0 for a vector of zeros (as PyTorch has it). */
const euclidean = over((b, dy, r) => {
  const { g } = b;
  const y = r.spread(b.out());
  // Where the norm is 0 all of x is, so anything finite will do.
  return g.mul(r.x, g.div(dy, g.add(y, asNumber(b, g.equal(y, 0), y))));
});

/** The running sum of the gradient from the other end. */
const runningSum: Rule = (b) => {
  const { g } = b;
  const attrs = { exclusive: b.int('exclusive', 0), reverse: 1 - b.int('reverse', 0) };
  return b.only(b.wanted(0) ? g.op('CumSum', [b.dy, b.in(1)], attrs)[0]! : null);
};

/** Reductions over axes, and running sums. */
export const reductions: RuleTable = {
  ReduceSum: over((_, dy) => dy),
  ReduceMean: over((b, dy, r) => b.g.div(dy, r.count)),
  ReduceMax: extremum,
  ReduceMin: extremum,
  ReduceProd: product,
  ReduceL1: over((b, dy, r) => b.g.mul(dy, b.g.op('Sign', [r.x])[0]!)),
  ReduceL2: euclidean,
  ReduceSumSquare: over((b, dy, r) => b.g.mul(r.x, b.g.mul(dy, 2))),
  // The sum is e to the result.
  ReduceLogSum: over((b, dy, r) => b.g.div(dy, b.g.exp(r.spread(b.out())))),
  ReduceLogSumExp: over((b, dy, r) => b.g.mul(dy, b.g.exp(b.g.sub(r.x, r.spread(b.out()))))),
  CumSum: runningSum,
};
