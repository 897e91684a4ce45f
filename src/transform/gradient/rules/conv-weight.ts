import type { Value } from '../../../graph/builder.ts';
import type { Window } from '../../../graph/kernels/window.ts';
import type { Backward } from '../rule.ts';
import { fitted, isTiling, padded, section, touched, tuples } from './geometry.ts';

/** A convolution seen from its weight. */
export interface Correlation {
  /** [N, C, …size] */
  readonly image: Value;
  /** The gradient of its result, [N, M, …output]. */
  readonly upstream: Value;
  readonly window: Window;
  readonly group: number;
}

/** Below this many channels a product has rows too short to be worth its slices. */
const FEW_CHANNELS = 16;

const countOf = (sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, 1);

/**
 * dW [M, C / group, …kernel]: dW[m, c, k] = Σ over images and places o of upstream[n, m, o] · image[n, c, o · stride + k].
 *
 * Which form is fastest on onnxruntime's CPU provider was measured (one thread, ResNet-18's layers at batch 8, 1.85 GFLOP each):
 * one product per place of the kernel 15 to 25 ms, the convolution of the transposed tensors 22 to 54 ms; with the three
 * channels of a first layer 133 against 23 ms. Depthwise 7×7 over 96 channels: a group per image and channel 65 ms, the
 * convolution of transposed tensors 109, products of slices 157.
 */
export function weightGradient(b: Backward, c: Correlation): Value {
  const { window, group } = c;
  if (group === 1) {
    const isPoint = window.kernel.every((k) => k === 1) && window.begin.every((n) => n === 0);
    // Windows may lie in the padding at the end.
    const isInside = b
      .sizes(c.image)
      .slice(2)
      .every((d, i) => touched(window, i) <= d);
    if (isPoint && isInside) return pointwise(b, c);
    if (isTiling(window)) return byPatches(b, c);
    if (b.sizes(c.image)[1]! >= FEW_CHANNELS) return byTaps(b, c);
  }
  const [channels, filters] = [b.sizes(c.image)[1]!, b.sizes(c.upstream)[1]!];
  return channels === group && filters === group ? depthwise(b, c) : transposed(b, c);
}

/** A kernel of one element: a product over all places. */
function pointwise(b: Backward, { image, upstream, window }: Correlation): Value {
  const { g } = b;
  const zeros = window.kernel.map(() => 0);
  const x = section(b, image, 2, zeros, window.strides, window.output);
  const [batch, channels] = b.sizes(x) as [number, number];
  const filters = b.sizes(upstream)[1]!;
  const places = countOf(window.output);
  const flat = g.transpose(g.reshape(x, [batch, channels, places]), [0, 2, 1]);
  const shape = [filters, channels, ...window.kernel];
  if (batch === 1 || Math.max(channels, filters) <= places) {
    // One product per image: their sum is shorter work than moving the channels of both operands.
    const each = g.matmul(g.reshape(upstream, [batch, filters, places]), flat);
    return g.reshape(batch === 1 ? each : g.reduceSum(each, [0], false), shape);
  }
  const all = g.gemm(filtersFirst(b, upstream), g.reshape(flat, [batch * places, channels]));
  return g.reshape(all, shape);
}

/** [N, M, …] as [M, N · places]. */
function filtersFirst(b: Backward, upstream: Value): Value {
  const [batch, filters, ...output] = b.sizes(upstream) as [number, number, ...number[]];
  const places = countOf(output);
  const moved = b.g.transpose(b.g.reshape(upstream, [batch, filters, places]), [1, 0, 2]);
  return b.g.reshape(moved, [filters, batch * places]);
}

/** Windows side by side: the image is rows of patches. */
function byPatches(b: Backward, { image, upstream, window }: Correlation): Value {
  const { g } = b;
  const [batch, channels] = b.sizes(image) as [number, number];
  const filters = b.sizes(upstream)[1]!;
  const { kernel, output } = window;
  const whole = fitted(b, image, window).image;
  const split = g.reshape(whole, [batch, channels, ...kernel.flatMap((k, i) => [output[i]!, k])]);
  const odd = kernel.map((_, i) => 2 + 2 * i);
  const patches = g.reshape(g.transpose(split, [0, ...odd, 1, ...odd.map((a) => a + 1)]), [
    batch * countOf(output),
    channels * countOf(kernel),
  ]);
  return g.reshape(g.gemm(filtersFirst(b, upstream), patches), [filters, channels, ...kernel]);
}

/** For each place of the kernel a product of the upstream and the image as that place sees it, channels last. */
function byTaps(b: Backward, { image, upstream, window }: Correlation): Value {
  const { g } = b;
  const [batch, channels, ...size] = b.sizes(image) as [number, number, ...number[]];
  const filters = b.sizes(upstream)[1]!;
  const { kernel, strides, dilations, output, begin } = window;
  const axes = size.map((_, i) => i);
  const end = axes.map((i) => Math.max(0, touched(window, i) - begin[i]! - size[i]!));
  const last = g.transpose(image, [0, ...axes.map((i) => i + 2), 1]);
  const x = padded(g, last, 1, begin, end);
  const dy = filtersFirst(b, upstream);
  const products = tuples(kernel).map((tap) => {
    const start = tap.map((k, i) => k * dilations[i]!);
    const seen = section(b, x, 1, start, strides, output);
    return g.gemm(dy, g.reshape(seen, [batch * countOf(output), channels]));
  });
  const all = g.reshape(g.concat(products, 1), [filters, ...kernel, channels]);
  return g.transpose(all, [0, axes.length + 1, ...axes.map((i) => i + 1)]);
}

/** Each channel of each image is correlated with its own upstream, as a group of one convolution. */
function depthwise(b: Backward, c: Correlation): Value {
  const { g } = b;
  const [batch, channels] = b.sizes(c.upstream) as [number, number];
  const { image, pads } = fitted(b, c.image, c.window);
  const { strides, dilations, kernel, output } = c.window;
  const planes = batch * channels;
  const each = g.conv(
    g.reshape(image, [1, planes, ...b.sizes(image).slice(2)]),
    g.reshape(c.upstream, [planes, 1, ...output]),
    null,
    { strides: dilations, dilations: strides, pads, group: planes },
  );
  const byImage = g.reshape(each, [batch, channels, 1, ...kernel]);
  return batch === 1 ? g.reshape(byImage, [channels, 1, ...kernel]) : g.reduceSum(byImage, [0], false);
}

/**
 * The convolution of the transposed tensors: channels of a group take the place of images, images that of channels, the upstream
 * that of the weight; strides and dilations change places.
 */
function transposed(b: Backward, c: Correlation): Value {
  const { g } = b;
  const { group } = c;
  const { image, pads } = fitted(b, c.image, c.window);
  const [batch, channels, ...size] = b.sizes(image) as [number, number, ...number[]];
  const { strides, dilations } = c.window;
  const depth = channels / group;
  const axes = size.map((_, i) => i);
  const x =
    group === 1
      ? g.transpose(image, [1, 0, ...axes.map((i) => i + 2)])
      : g.reshape(
          g.transpose(g.reshape(image, [batch, group, depth, ...size]), [2, 1, 0, ...axes.map((i) => i + 3)]),
          [depth, group * batch, ...size],
        );
  const dy = g.transpose(c.upstream, [1, 0, ...axes.map((i) => i + 2)]);
  const dw = g.conv(x, dy, null, { strides: dilations, dilations: strides, pads, group });
  return g.transpose(dw, [1, 0, ...axes.map((i) => i + 2)]);
}
