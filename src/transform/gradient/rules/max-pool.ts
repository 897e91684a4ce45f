import type { DType } from '../../../core/tensor.ts';
import type { Value } from '../../../graph/builder.ts';
import { type Window, windowOf } from '../../../graph/kernels/window.ts';
import type { Backward, Rule, RuleTable } from '../rule.ts';
import { numbersOf } from './channels.ts';
import { padded, section, touched, tuples } from './geometry.ts';

/** Below whatever a pool may have chosen. */
const least = (dtype: DType): number => (dtype === 'float16' ? -65504 : -3.4028234663852886e38);

/**
 * Each window's gradient goes to its greatest element, of equal ones to the first in row-major order, as PyTorch does.
 *
 * Place by place of the window, what is left of the upstream goes to where the input there equals the result; the last place
 * gets what is left. That is elementwise arithmetic, which every runtime has; where the pool can say what it chose, that is less
 * than half the work (onnxruntime's CPU provider, one thread, 8×64×112×112 at 3×3/2: 25 against 60 ms). What falls on pixels of the same remainder of the strides is added up before the
 * remainders are woven together.
 */
const maxPool: Rule = (b) => {
  if (b.gradient(1)) b.fail('its second result holds places');
  const { g } = b;
  if (b.means.places && g.opset >= 16) return [byPlaces(b)];
  const x = b.in(0);
  const size = b.sizes(x).slice(2);
  const window = windowOf(b, size, b.ints('kernel_shape') ?? b.fail('kernel_shape is missing'));
  const { kernel, strides, dilations, begin, output } = window;
  const axes = size.map((_, i) => i);
  const end = axes.map((i) => Math.max(0, touched(window, i) - begin[i]! - size[i]!));
  const wide = padded(g, x, 2, begin, end, least(x.dtype));
  // Steps of the strides that the padded input has, up to where a window touches it or it ends.
  const steps = axes.map((i) => Math.ceil(Math.max(touched(window, i), begin[i]! + size[i]!) / strides[i]!));
  const sums = new Map<string, Value>();
  const taps = tuples(kernel);
  let left = b.dy;
  taps.forEach((tap, at) => {
    let own = left;
    if (at < taps.length - 1) {
      const start = tap.map((k, i) => k * dilations[i]!);
      const seen = section(b, wide, 2, start, strides, output);
      // onnxruntime's Where runs on one thread and is slower than both.
      own = g.mul(left, g.cast(g.equal(seen, b.out()), left.dtype));
      left = g.sub(left, own);
    }
    const before = tap.map((k, i) => Math.floor((k * dilations[i]!) / strides[i]!));
    const laid = padded(
      g,
      own,
      2,
      before,
      axes.map((i) => steps[i]! - output[i]! - before[i]!),
    );
    const rest = tap.map((k, i) => (k * dilations[i]!) % strides[i]!).join();
    const sum = sums.get(rest);
    sums.set(rest, sum ? g.add(sum, laid) : laid);
  });
  return [
    section(
      b,
      woven(b, sums, window, steps),
      2,
      begin,
      axes.map(() => 1),
      size,
    ),
  ];
};

/** Each upstream added where its maximum was, counted over all of the input. */
function byPlaces(b: Backward): Value {
  const { g, dy } = b;
  const sizes = b.sizes(b.in(0));
  const [from, to] = [b.sizes(dy), sizes].map((s) => [s.reduce((n, d) => n * d, 1)]) as [number[], number[]];
  const places = g.reshape(b.kept(1), from);
  // Made of a place, so that no runtime stores as many zeros as the input has elements.
  const first = g.slice(places, [0], [1], [0]);
  const zeros = g.expand(g.cast(g.sub(first, first), dy.dtype), g.ints(to));
  const [sum] = g.op('ScatterElements', [zeros, places, g.reshape(dy, from)], { axis: 0, reduction: 'add' });
  return g.reshape(sum!, sizes);
}

/** Planes by remainder of the strides, put back between each other. */
function woven(
  b: Backward,
  planes: Map<string, Value>,
  { strides }: Window,
  steps: readonly number[],
): Value {
  const { g } = b;
  const [batch, channels] = b.sizes(b.dy) as [number, number];
  if (strides.every((s) => s === 1)) return [...planes.values()][0]!;
  const nothing = (): Value => g.expand(g.scalar(0, b.dy.dtype), g.ints([1, batch, channels, ...steps]));
  const all = tuples(strides).map((rest) => {
    const plane = planes.get(rest.join());
    return plane ? g.unsqueeze(plane, [0]) : nothing();
  });
  const n = strides.length;
  const split = g.reshape(g.concat(all, 0), [...strides, batch * channels, ...steps]);
  const order = steps.flatMap((_, i) => [n + 1 + i, i]);
  const laid = g.transpose(split, [n, ...order]);
  return g.reshape(laid, [batch, channels, ...steps.map((u, i) => u * strides[i]!)]);
}

/** The first greatest element of a plane, found by its place. */
const globalMaxPool: Rule = (b) => {
  const { g } = b;
  const sizes = b.sizes(b.in(0));
  const [batch, channels, ...plane] = sizes as [number, number, ...number[]];
  const places = plane.reduce((n, d) => n * d, 1);
  const flat = (x: Value, count: number): Value => g.reshape(x, [batch, channels, count]);
  const indices = Float64Array.from({ length: places }, (_, i) => i);
  const place = numbersOf(g, 'float32', [1, 1, places], indices, 'places');
  const hits = g.where(g.equal(flat(b.in(0), places), flat(b.out(), 1)), place, places);
  const [first] =
    g.opset < 18
      ? g.op('ReduceMin', [hits], { axes: [2], keepdims: 1 })
      : g.op('ReduceMin', [hits, g.ints([2])], { keepdims: 1 });
  const chosen = g.where(g.equal(first!, place), flat(b.dy, 1), 0);
  return [g.reshape(chosen, sizes)];
};

/** Greatest elements. */
export const maxPools: RuleTable = { MaxPool: maxPool, GlobalMaxPool: globalMaxPool };
