import { float32, int64 } from '../../../core/tensor.ts';
import { resampledAxes } from '../../../graph/kernels/resize.ts';
import type { Rule, RuleTable } from '../rule.ts';
import { transposedMap } from './linear-map.ts';

/** Resampling is linear, axis by axis; its gradient weighs the results as they weighed the elements. */
const resize: Rule = (b) => {
  const [roi, scales, sizes] = [1, 2, 3].map((i) => b.numbers(i));
  const given = [roi, scales].map((v) => v && float32([v.length], [...v]));
  const inputs = [undefined, ...given, sizes && int64([sizes.length], [...sizes])];
  const from = b.sizes(b.in(0));
  const axes = resampledAxes({ node: b.node, opset: b.g.opset, inputs }, from);
  const dx = axes.reduceRight(
    (dy, { axis, taps }) => transposedMap(b, dy, { axis, from: from[axis]!, rows: taps.map((t) => t ?? []) }),
    b.dy,
  );
  return b.only(dx);
};

/** Resampling to sizes that are known. */
export const resampling: RuleTable = { Resize: resize };
