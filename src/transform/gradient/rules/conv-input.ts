import type { Value } from '../../../graph/builder.ts';
import type { Window } from '../../../graph/kernels/window.ts';
import type { Backward } from '../rule.ts';
import { isTiling, padded, reachOf, touched } from './geometry.ts';

/** A convolution seen from its input. */
export interface Spread {
  /** [M, C / group, …kernel] */
  readonly weight: Value;
  /** The gradient of its result, [N, M, …output]. */
  readonly upstream: Value;
  readonly window: Window;
  readonly group: number;
  /** Spatial sizes of its input. */
  readonly size: readonly number[];
}

const countOf = (sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, 1);

/**
 * dX [N, C, …size]: every element of the upstream is spread over the window that it came from.
 *
 * Without strides that is a convolution with the mirrored kernel, which onnxruntime's CPU provider computes faster than a
 * transposed one (15 to 18 against 19 to 22 ms; depthwise 22 against 52), unless the weight is so much larger than the upstream
 * that mirroring it costs more.
 */
export function inputGradient(b: Backward, c: Spread): Value {
  const { window, group } = c;
  const isPoint = window.kernel.every((k) => k === 1);
  if (isTiling(window) && group === 1 && !isPoint) return byPatches(b, c);
  const room = window.kernel.every(
    (_, i) => reachOf(window, i) > Math.max(window.begin[i]!, window.end[i]!) && window.strides[i] === 1,
  );
  const isLight = isPoint || countOf(b.sizes(c.weight)) <= countOf(b.sizes(c.upstream));
  return room && isLight ? mirrored(b, c) : transposed(b, c);
}

/** Windows side by side: a product gives the patches. */
function byPatches(b: Backward, { weight, upstream, window, size }: Spread): Value {
  const { g } = b;
  const [batch, filters] = b.sizes(upstream) as [number, number];
  const channels = b.sizes(weight)[1]!;
  const { kernel, output } = window;
  const axes = kernel.map((_, i) => i);
  const rows = g.reshape(g.transpose(upstream, [0, ...axes.map((i) => i + 2), 1]), [
    batch * countOf(output),
    filters,
  ]);
  const patches = g.reshape(g.gemm(rows, g.reshape(weight, [filters, channels * countOf(kernel)])), [
    batch,
    ...output,
    channels,
    ...kernel,
  ]);
  const n = axes.length;
  const laid = g.transpose(patches, [0, n + 1, ...axes.flatMap((i) => [i + 1, n + 2 + i])]);
  const covered = output.map((o, i) => o * kernel[i]!);
  const whole = g.reshape(laid, [batch, channels, ...covered]);
  return padded(
    g,
    whole,
    2,
    covered.map(() => 0),
    size.map((d, i) => d - covered[i]!),
  );
}

/** The convolution with the mirrored kernel, filters and channels exchanged. */
function mirrored(b: Backward, { weight, upstream, window, group }: Spread): Value {
  const { g } = b;
  const { kernel, dilations, begin, end } = window;
  const [filters, depth] = b.sizes(weight) as [number, number];
  const axes = kernel.flatMap((k, i) => (k > 1 ? [i + 2] : []));
  const flipped =
    axes.length === 0
      ? weight
      : g.slice(
          weight,
          axes.map(() => -1),
          axes.map(() => -Number.MAX_SAFE_INTEGER),
          axes,
          axes.map(() => -1),
        );
  const groups = g.reshape(flipped, [group, filters / group, depth, ...kernel]);
  const exchanged = g.transpose(groups, [0, 2, 1, ...kernel.map((_, i) => i + 3)]);
  const pads = [begin, end].flatMap((side) => side.map((n, i) => reachOf(window, i) - 1 - n));
  return g.conv(upstream, g.reshape(exchanged, [group * depth, filters / group, ...kernel]), null, {
    dilations,
    pads,
    group,
  });
}

/** The transposed convolution, cut to the input's size: less of its end where windows didn't reach the end of the input. */
function transposed(b: Backward, { weight, upstream, window, size, group }: Spread): Value {
  const { kernel, strides, dilations, begin } = window;
  const end = size.map((d, i) => touched(window, i) - begin[i]! - d);
  const [out] = b.g.op('ConvTranspose', [upstream, weight], {
    kernel_shape: kernel,
    strides,
    dilations,
    group,
    pads: [...begin, ...end.map((n) => Math.max(0, n))],
  });
  // What no window touched has no gradient. (As output_padding, providers differ in what they put there.)
  return padded(
    b.g,
    out!,
    2,
    end.map(() => 0),
    end.map((n) => Math.max(0, -n)),
  );
}
