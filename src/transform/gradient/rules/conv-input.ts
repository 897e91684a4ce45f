import type { Value } from '../../../graph/builder.ts';
import type { Window } from '../../../graph/kernels/window.ts';
import type { Backward } from '../rule.ts';
import { isTiling, padded, reachOf, section, touched } from './geometry.ts';

/** A convolution seen from its input. */
interface Spread {
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
 * that mirroring it costs more. Where runtimes lack transposed ones, or have them wrong, it is the mirrored one over an upstream
 * with zeros in between: over three axes (tfjs, WebGPU), and with groups of several filters of one channel (onnxruntime on WebGPU).
 */
export function inputGradient(b: Backward, c: Spread): Value {
  const { window, group, size } = c;
  const isPoint = window.kernel.every((k) => k === 1);
  if (isTiling(window) && group === 1 && !isPoint) return byPatches(b, c);
  const pads = [window.begin, endOf(window, size)].flatMap((side) =>
    side.map((n, i) => reachOf(window, i) - 1 - n),
  );
  if (pads.some((n) => n < 0)) return transposed(b, c);
  const [filters, depth] = b.sizes(c.weight) as [number, number];
  const isBroken = size.length === 3 || (depth === 1 && group > 1 && filters > group);
  if (isBroken) return mirrored(b, { ...c, upstream: spaced(b, c) }, pads);
  const isDense = window.strides.every((s) => s === 1);
  const isLight = isPoint || countOf(b.sizes(c.weight)) <= countOf(b.sizes(c.upstream));
  return isDense && isLight ? mirrored(b, c, pads) : transposed(b, c);
}

/** Padding after each axis up to the end of its last window; negative where the input goes on. */
const endOf = (w: Window, size: readonly number[]): number[] =>
  size.map((d, i) => touched(w, i) - w.begin[i]! - d);

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

/** The upstream with zeros between its elements, where the strides went on. */
function spaced(b: Backward, { upstream, window }: Spread): Value {
  const { g } = b;
  const { strides, output } = window;
  if (strides.every((s) => s === 1)) return upstream;
  const [batch, filters] = b.sizes(upstream) as [number, number];
  const zeros = strides.map(() => 0);
  const wide = strides.reduce((x, s, i) => {
    if (s === 1) return x;
    const done = b.sizes(x).slice(2);
    const split = g.reshape(x, [batch, filters, ...done.slice(0, i + 1), 1, ...done.slice(i + 1)]);
    const filled = padded(g, split, i + 3, [0], [s - 1]);
    return g.reshape(filled, [batch, filters, ...done.map((d, at) => (at === i ? d * s : d))]);
  }, upstream);
  const ones = strides.map(() => 1);
  return section(
    b,
    wide,
    2,
    zeros,
    ones,
    output.map((o, i) => (o - 1) * strides[i]! + 1),
  );
}

/** The convolution with the mirrored kernel, filters and channels exchanged. */
function mirrored(b: Backward, { weight, upstream, window, group }: Spread, pads: readonly number[]): Value {
  const { g } = b;
  const { kernel, dilations } = window;
  const [filters, depth] = b.sizes(weight) as [number, number];
  const axes = kernel.flatMap((k, i) => (k > 1 ? [i + 2] : []));
  const all = (n: number): number[] => axes.map(() => n);
  const flipped =
    axes.length === 0 ? weight : g.slice(weight, all(-1), all(-Number.MAX_SAFE_INTEGER), axes, all(-1));
  const groups = g.reshape(flipped, [group, filters / group, depth, ...kernel]);
  const exchanged = g.transpose(groups, [0, 2, 1, ...kernel.map((_, i) => i + 3)]);
  const turned = g.reshape(exchanged, [group * depth, filters / group, ...kernel]);
  return g.conv(upstream, turned, null, { dilations, pads, group });
}

/** The transposed convolution, cut to the input's size: less of its end where windows didn't reach the end of the input. */
function transposed(b: Backward, { weight, upstream, window, size, group }: Spread): Value {
  const { kernel, strides, dilations, begin } = window;
  const end = endOf(window, size);
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
