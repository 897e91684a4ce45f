import type { Dim } from '../../core/graph.ts';
import { mulDims } from '../dims.ts';
import { type OpContext, type OpEntry, typed } from './entry.ts';

/** One scale for all axes, where sizes only bound the result; undefined where a size is not known. */
function commonScale(c: OpContext, sizes: readonly Dim[], from: readonly Dim[]): number | undefined {
  const ratios = sizes.map((size, i) => {
    const d = from[i]!;
    return typeof size === 'number' && typeof d === 'number' ? size / d : Number.NaN;
  });
  if (ratios.some((r) => Number.isNaN(r))) return undefined;
  const policy = c.text('keep_aspect_ratio_policy', 'stretch');
  return policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
}

/** Resampling to given sizes, or by given scales. */
export const resize: OpEntry = {
  inputs: [1, 4],
  since: 11,
  floats: ['cubic_coeff_a', 'extrapolation_value'],
  infer: (c) => {
    const x = c.shape(0);
    // Sizes and scales belong to the axes in the order in which those are named.
    const axes = (c.ints('axes') ?? x.map((_, i) => i)).map((a) => c.axis(a, x.length));
    const sizes = c.has(3) ? c.value(3) : undefined;
    const scales = c.has(2) ? c.numbers(2) : undefined;
    const stretch = c.text('keep_aspect_ratio_policy', 'stretch') === 'stretch';
    const from = axes.map((axis) => x[axis]!);
    const common = sizes && sizes.length > 0 && !stretch ? commonScale(c, sizes, from) : undefined;
    const out = [...x];
    axes.forEach((axis, i) => {
      const size = stretch ? sizes?.[i] : undefined;
      const scale = scales?.[i];
      const d = x[axis]!;
      if (common !== undefined) out[axis] = Math.floor(common * (d as number) + 0.5);
      else if (size !== undefined) out[axis] = size;
      else if (scale === 1) out[axis] = d;
      else if (scale !== undefined && typeof d === 'number') out[axis] = Math.floor(d * scale);
      else if (scale !== undefined && Number.isInteger(scale)) out[axis] = mulDims(d, scale);
      else out[axis] = c.fresh('resized');
    });
    return [typed(c.in(0).dtype, out)];
  },
};
