import { type Window, windowOf } from '../../../graph/kernels/window.ts';
import type { Rule, RuleTable } from '../rule.ts';
import { type AxisMap, transposedMap } from './linear-map.ts';

/** How a mean over windows weighs the elements of one axis; the whole is the product of its axes. */
function meansAlong(w: Window, i: number, size: number, withPadding: boolean): AxisMap {
  const rows = Array.from({ length: w.output[i]! }, (_, o) => {
    const places = Array.from(
      { length: w.kernel[i]! },
      (_k, k) => o * w.strides[i]! - w.begin[i]! + k * w.dilations[i]!,
    );
    const inside = places.filter((at) => at >= 0 && at < size);
    // What ceil_mode adds beyond the padding never counts.
    const counted = withPadding ? places.filter((at) => at < size + w.end[i]!) : inside;
    return inside.map((at): [number, number] => [at, 1 / counted.length]);
  });
  return { axis: i + 2, from: size, rows };
}

const averagePool: Rule = (b) => {
  const sizes = b.sizes(b.in(0)).slice(2);
  const window = windowOf(b, sizes, b.ints('kernel_shape') ?? b.fail('kernel_shape is missing'));
  const withPadding = b.int('count_include_pad', 0) !== 0;
  const dx = sizes.reduceRight(
    (dy, size, i) => transposedMap(b, dy, meansAlong(window, i, size, withPadding)),
    b.dy,
  );
  return [dx];
};

/** Every element of a plane gets the same share. */
const globalAveragePool: Rule = (b) => {
  const sizes = b.sizes(b.in(0));
  const places = sizes.slice(2).reduce((n, d) => n * d, 1);
  return [b.g.expand(b.g.div(b.dy, places), b.g.ints(sizes))];
};

/** Means over windows, which are linear. */
export const averagePools: RuleTable = {
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
};
