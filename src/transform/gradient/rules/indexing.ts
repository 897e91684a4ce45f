import type { Value } from '../../../graph/builder.ts';
import { asNumber, type Backward, masked, type Rule, type RuleTable } from '../rule.ts';
import { padded } from './shape.ts';

/**
 * Zeros that are made when the graph runs, where whole numbers are fed: onnxruntime keeps what it can compute when it loads a
 * graph, and of a large table that would be its size in memory for nothing, and a copy in every step.
 */
function zeros(b: Backward, dtype: Value['dtype'], sizes: readonly number[], fed: Value): Value {
  const { g } = b;
  const first = g.slice(
    g.reshape(
      fed,
      [-1].map(() => count(b.sizes(fed))),
    ),
    [0],
    [1],
    [0],
  );
  return g.expand(g.cast(g.sub(first, first), dtype), g.ints(sizes));
}

const count = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/**
 * dx of elements that were read by index: each adds to where it was read. ScatterElements is what adds them, for onnxruntime's
 * cpu runs it in one thread (its ScatterND adds in several at once, and loses some), writes into its operand, and every backend
 * has it. It goes into what other readers have given already, such as the output layer of a tied embedding.
 *
 * @param indices of dy's shape
 */
function addedAlong(b: Backward, dy: Value, indices: Value, axis: number): Value {
  const x = b.in(0);
  const base = b.before(0) ?? zeros(b, dy.dtype, b.sizes(x), indices);
  return scattered(b, base, indices, dy, axis, 'add');
}

const gather: Rule = (b) => {
  if (!b.wanted(0)) return b.only();
  const { g, dy } = b;
  const [x, indices] = [b.in(0), b.in(1)];
  const sizes = b.sizes(x);
  const axis = b.axis(b.int('axis', 0), sizes.length);
  const size = sizes[axis]!;
  const known = g.known(indices)?.map((at) => (at < 0 ? at + size : at));
  const n = count(b.sizes(indices));
  const rows = [...sizes.slice(0, axis), n, ...sizes.slice(axis + 1)];
  const flat = dy.shape.join() === rows.join() ? dy : g.reshape(dy, rows);
  // A run of neighbours has zeros around it; a single one is such a run.
  if (known && known.length > 0 && known.every((at, i) => at === known[0]! + i))
    return b.only(padded(b, flat, axis, known[0]!, size - known[0]! - n));
  const column = g.reshape(
    indices,
    rows.map((d, i) => (i === axis ? d : 1)),
  );
  return b.only(addedAlong(b, flat, g.expand(column, g.ints(rows)), axis));
};

/** An index into a tensor by tuples, as one into its flattened leading axes, behind axes that run in parallel. */
function flattened(b: Backward, sizes: readonly number[], indices: Value, batch: number): Value {
  const { g } = b;
  const shape = b.sizes(indices);
  const depth = shape.at(-1)!;
  const [lead, rest] = [shape.slice(0, batch), shape.slice(batch, -1)];
  const places = sizes.slice(0, batch + depth);
  const stride = places.map((_, i) => count(places.slice(i + 1)));
  // Negative indices count from the end of their own axis.
  const own = g.ints(places.slice(batch));
  const front = g.where(g.less(indices, 0), g.add(indices, own), indices);
  const within = g.reduceSum(g.mul(front, g.ints(stride.slice(batch))), [-1], false);
  const flat = g.reshape(within, [...lead, count(rest)]);
  const origin = Array.from({ length: count(lead) }, (_, i) => i * (stride[batch - 1] ?? 0));
  const offsets = g.reshape(g.ints(origin), [...lead, 1]);
  return g.reshape(g.add(flat, offsets), [count(lead) * count(rest)]);
}

const gatherNd: Rule = (b) => {
  if (!b.wanted(0)) return b.only();
  const sizes = b.sizes(b.in(0));
  const batch = b.int('batch_dims', 0);
  const depth = b.sizes(b.in(1)).at(-1)!;
  const rows = flattened(b, sizes, b.in(1), batch);
  return b.only(rowsInto(b, zeros(b, b.dy.dtype, sizes, rows), rows, b.dy, batch + depth, 'add'));
};

/** Rows that are written into a tensor whose first `depth` axes count as one, by the rules of ScatterElements. */
function rowsInto(
  b: Backward,
  into: Value,
  rows: Value,
  updates: Value,
  depth: number,
  reduction: string,
): Value {
  const { g } = b;
  const sizes = b.sizes(into);
  const table = [count(sizes.slice(0, depth)), count(sizes.slice(depth))];
  const [n, length] = [b.sizes(rows)[0]!, table[1]!];
  const indices = g.expand(g.reshape(rows, [n, 1]), g.ints([n, length]));
  return g.reshape(
    scattered(b, g.reshape(into, table), indices, g.reshape(updates, [n, length]), 0, reduction),
    sizes,
  );
}

/** @throws VersusError `unsupported` in graphs of opsets in which nothing adds by index */
function scattered(
  b: Backward,
  into: Value,
  indices: Value,
  updates: Value,
  axis: number,
  reduction: string,
): Value {
  const since = reduction === 'max' || reduction === 'min' ? 18 : 16;
  if (b.g.opset < since)
    b.fail(`opset ${b.g.opset} has no scatter with ${reduction}`, `raise it to ${since}`);
  return b.g.op('ScatterElements', [into, indices, updates], { axis, reduction })[0]!;
}

/** How a scatter operator reads and writes at its indices. */
interface Places {
  read(from: Value): Value;
  write(into: Value, updates: Value, reduction: string): Value;
}

const elements: Rule = (b) => {
  const axis = b.int('axis', 0);
  return scatter(b, {
    read: (from) => b.g.op('GatherElements', [from, b.in(1)], { axis })[0]!,
    write: (into, updates, reduction) =>
      reduction === 'none'
        ? b.g.op('ScatterElements', [into, b.in(1), updates], { axis })[0]!
        : scattered(b, into, b.in(1), updates, axis, reduction),
  });
};

const slices: Rule = (b) => {
  const { g } = b;
  const sizes = b.sizes(b.in(0));
  return scatter(b, {
    read: (from) => g.op('GatherND', [from, b.in(1)])[0]!,
    write: (into, updates, reduction) => {
      if (reduction === 'none') return g.op('ScatterND', [into, b.in(1), updates])[0]!;
      return rowsInto(b, into, flattened(b, sizes, b.in(1), 0), updates, b.sizes(b.in(1)).at(-1)!, reduction);
    },
  });
};

/** What was written over has no gradient; what was added to has; of a largest or smallest, the equals share it. */
function scatter(b: Backward, at: Places): readonly (Value | null)[] {
  const { g, dy } = b;
  const how = b.text('reduction', 'none');
  const [x, updates] = [b.in(0), b.in(2)];
  const both = (dx: () => Value, du: () => Value): (Value | null)[] =>
    b.only(b.wanted(0) ? dx() : null, null, b.wanted(2) ? du() : null);
  const nothing = (): Value => g.expand(g.scalar(0, dy.dtype), g.ints(b.sizes(updates)));
  if (how === 'none')
    return both(
      () => at.write(dy, nothing(), 'none'),
      () => at.read(dy),
    );
  if (how === 'add')
    return both(
      () => dy,
      () => at.read(dy),
    );
  if (how === 'mul') {
    return both(
      () => at.write(dy, updates, 'mul'),
      () => g.div(at.read(g.mul(dy, b.out())), updates),
    );
  }
  const y = b.out();
  const kept = asNumber(b, g.equal(x, y), y);
  const taken = g.equal(updates, at.read(y));
  const share = g.div(dy, at.write(kept, asNumber(b, taken, y), 'add'));
  return both(
    () => g.mul(share, kept),
    () => masked(b, at.read(share), taken),
  );
}

/** Reading and writing by index. */
export const indexing: RuleTable = {
  Gather: gather,
  GatherElements: (b) =>
    b.only(b.wanted(0) ? addedAlong(b, b.dy, b.in(1), b.axis(b.int('axis', 0), b.in(0).shape.length)) : null),
  GatherND: gatherNd,
  ScatterElements: elements,
  Scatter: elements,
  ScatterND: slices,
  // The indices of a node's own largest are all different.
  TopK: (b) =>
    b.only(
      b.wanted(0) && b.gradient(0)
        ? addedAlong(b, b.dy, b.kept(1), b.axis(b.int('axis', -1), b.in(0).shape.length))
        : null,
    ),
};
