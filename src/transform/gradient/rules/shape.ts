import type { Value } from '../../../graph/builder.ts';
import { type Backward, type Rule, type RuleTable, unary, unbroadcast } from '../rule.ts';

/** The same elements under another shape have the same gradient, under the old one. */
const view = unary((b) => b.g.reshape(b.dy, b.sizes(b.in(0))));

const transpose = unary((b) => {
  const rank = b.in(0).shape.length;
  const perm = b.ints('perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  const back = new Array<number>(rank);
  perm.forEach((from, to) => {
    back[from] = to;
  });
  return b.g.transpose(b.dy, back);
});

/** Every copy's gradient: the copies of an axis as an axis of their own, over which it is summed. */
const tile = unary((b) => {
  const { g } = b;
  const sizes = b.sizes(b.in(0));
  const times = b.numbers(1) ?? b.fail('repeats are missing');
  const apart = g.reshape(
    b.dy,
    sizes.flatMap((d, i) => [times[i]!, d]),
  );
  const copies = times.flatMap((n, i) => (n === 1 ? [] : [2 * i]));
  const summed = copies.length > 0 ? g.reduceSum(apart, copies, true) : apart;
  return g.reshape(summed, sizes);
});

/** One node cuts the gradient up again. */
const concat: Rule = (b) => {
  const { g } = b;
  const axis = b.axis(b.int('axis', 0), b.dy.shape.length);
  const sizes = b.node.inputs.map((_, i) => b.sizes(b.in(i))[axis]!);
  const wanted = b.node.inputs.flatMap((_, i) => (b.wanted(i) ? [i] : []));
  if (sizes.length === 1) return [b.dy];
  if (wanted.length === sizes.length) return g.split(b.dy, sizes, axis);
  return sizes.map((size, i) => {
    if (!b.wanted(i)) return null;
    const start = sizes.slice(0, i).reduce((n, d) => n + d, 0);
    return g.slice(b.dy, [start], [start + size], [axis]);
  });
};

/** Parts that the loss doesn't depend on are zeros. */
const split: Rule = (b) => {
  const { g } = b;
  const x = b.in(0);
  const axis = b.axis(b.int('axis', 0), x.shape.length);
  const parts = b.node.outputs.map((name, i) => b.gradient(i) ?? (name === '' ? b.kept(i) : b.out(i)));
  const known = b.node.outputs.flatMap((_, i) => (b.gradient(i) ? [i] : []));
  // One run of parts with zeros around it needs no zeros made.
  const [first, last] = [known[0]!, known.at(-1)!];
  const run = parts.slice(first, last + 1).map((part, i) => b.gradient(first + i) ?? zeros(b, part));
  const whole = run.length === 1 ? run[0]! : g.concat(run, axis);
  const size = (of: readonly Value[]): number => of.reduce((n, part) => n + b.sizes(part)[axis]!, 0);
  return b.only(padded(b, whole, axis, size(parts.slice(0, first)), size(parts.slice(last + 1))));
};

const zeros = (b: Backward, like: Value): Value =>
  b.g.expand(b.g.scalar(0, like.dtype), b.g.dims(like.shape));

/** Zeros before and after, along one axis. */
export function padded(b: Backward, x: Value, axis: number, before: number, after: number): Value {
  if (before === 0 && after === 0) return x;
  const pads = [before, after].flatMap((n) => x.shape.map((_, i) => (i === axis ? n : 0)));
  return b.g.op('Pad', [x, b.g.ints(pads)], { mode: 'constant' })[0]!;
}

/** Starts, sizes and steps by axis, as ONNX clamps them. */
const slice = unary((b) => {
  const { g } = b;
  const sizes = b.sizes(b.in(0));
  const list = (name: string, input: number): readonly number[] | undefined =>
    b.ints(name) ?? b.numbers(input);
  const starts = list('starts', 1) ?? b.fail('starts are missing');
  const axes = list('axes', 3) ?? starts.map((_, i) => i);
  const steps = b.numbers(4) ?? starts.map(() => 1);
  let dx = b.dy;
  if (b.sizes(dx).includes(0)) return zeros(b, b.in(0));
  // One Pad for all axes that are cut without gaps.
  const pads = [sizes.map(() => 0), sizes.map(() => 0)] as const;
  axes.forEach((a, i) => {
    const axis = b.axis(a, sizes.length);
    const [size, step, count] = [sizes[axis]!, steps[i]!, b.sizes(dx)[axis]!];
    const from = starts[i]! < 0 ? starts[i]! + size : starts[i]!;
    const start = Math.min(Math.max(from, 0), step > 0 ? size : size - 1);
    const reach = (count - 1) * step;
    if (step < 0) dx = g.slice(dx, [-1], [-Number.MAX_SAFE_INTEGER], [axis], [-1]);
    if (Math.abs(step) > 1) dx = spaced(b, dx, axis, Math.abs(step));
    const first = step < 0 ? start + reach : start;
    pads[0][axis] = first;
    pads[1][axis] = size - first - Math.abs(reach) - 1;
  });
  if ([...pads[0], ...pads[1]].every((n) => n === 0)) return dx;
  return g.op('Pad', [dx, g.ints([...pads[0], ...pads[1]])], { mode: 'constant' })[0]!;
});

/** step − 1 zeros between neighbours along an axis. */
function spaced(b: Backward, x: Value, axis: number, step: number): Value {
  const { g } = b;
  const sizes = b.sizes(x);
  const apart = g.unsqueeze(x, [axis + 1]);
  const wide = g.reshape(
    padded(b, apart, axis + 1, 0, step - 1),
    sizes.map((d, i) => (i === axis ? d * step : d)),
  );
  return g.slice(wide, [0], [(sizes[axis]! - 1) * step + 1], [axis]);
}

/** Where an axis of the result reads from, by the mode; null for the constant. */
const READS: Readonly<Record<string, (at: number, size: number) => number>> = {
  edge: (at, size) => Math.max(0, Math.min(size - 1, at)),
  wrap: (at, size) => ((at % size) + size) % size,
  reflect: (at, size) => {
    const period = Math.max(1, 2 * (size - 1));
    const folded = ((at % period) + period) % period;
    return folded < size ? folded : period - folded;
  },
};

/**
 * What was put around a constant has no gradient; what was repeated adds to where it came from: along each padded axis a product
 * with the 0 and 1 that say so. Negative pads cut off.
 */
const pad = unary((b) => {
  const { g } = b;
  const sizes = b.sizes(b.in(0));
  const rank = sizes.length;
  const pads = b.ints('pads') ?? b.numbers(1) ?? b.fail('pads are missing');
  const axes = (b.numbers(3) ?? sizes.map((_, i) => i)).map((a) => b.axis(a, rank));
  const mode = b.text('mode', 'constant');
  const [before, after] = [sizes.map(() => 0), sizes.map(() => 0)];
  axes.forEach((axis, i) => {
    before[axis] = pads[i]!;
    after[axis] = pads[axes.length + i]!;
  });
  if (mode === 'constant') {
    const cut = sizes.flatMap((_, i) => (before[i]! > 0 || after[i]! > 0 ? [i] : []));
    const inner = g.slice(
      b.dy,
      cut.map((i) => Math.max(before[i]!, 0)),
      cut.map((i) => b.sizes(b.dy)[i]! - Math.max(after[i]!, 0)),
      cut,
    );
    const lost = [...before, ...after].map((n) => Math.max(-n, 0));
    const dx = cut.length > 0 ? inner : b.dy;
    return lost.some((n) => n > 0) ? g.op('Pad', [dx, g.ints(lost)], { mode: 'constant' })[0]! : dx;
  }
  const reads = READS[mode] ?? b.fail(`mode ${mode}`);
  let dx = b.dy;
  sizes.forEach((size, axis) => {
    if (before[axis] === 0 && after[axis] === 0) return;
    const wide = b.sizes(dx);
    const count = wide[axis]!;
    const from = Array.from({ length: count }, (_, i) => reads(i - before[axis]!, size));
    dx = g.reshape(gathered(b, dx, axis, from, size), wide.with(axis, size));
  });
  return dx;
});

/** Sums of what was read along an axis, by where it was read from: [outer, size, inner]. */
function gathered(b: Backward, dy: Value, axis: number, from: readonly number[], size: number): Value {
  const { g } = b;
  const sizes = b.sizes(dy);
  const product = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);
  const [outer, inner] = [product(sizes.slice(0, axis)), product(sizes.slice(axis + 1))];
  const matrix = Float64Array.from({ length: size * from.length }, (_, i) =>
    Number(from[i % from.length] === Math.floor(i / from.length)),
  );
  const flags = g.constant({ dtype: 'float64', shape: [size, from.length], data: matrix }, 'reads');
  return g.matmul(g.cast(flags, dy.dtype), g.reshape(dy, [outer, from.length, inner]));
}

/** Keeping one side of a diagonal, of the gradient too. */
const trilu: Rule = (b) =>
  b.only(
    b.wanted(0)
      ? b.g.op('Trilu', b.has(1) ? [b.dy, b.in(1)] : [b.dy], { upper: b.int('upper', 1) })[0]!
      : null,
  );

/** Operators that move elements, join them or cut them up. */
export const shapes: RuleTable = {
  Reshape: view,
  Flatten: view,
  Squeeze: view,
  Unsqueeze: view,
  Transpose: transpose,
  Expand: unary((b) => unbroadcast(b, b.dy, b.in(0))),
  Tile: tile,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Trilu: trilu,
};
