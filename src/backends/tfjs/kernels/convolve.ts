import type * as Tf from '@tensorflow/tfjs-core';
import type { Window } from '../../../graph/kernels/window.ts';
import { type Activation, activated } from './activation.ts';
import { type Grouping, joined, separated } from './groups.ts';
import { type Call, call, seenAs } from './kernel.ts';
import { padded, padding, strided } from './spatial.ts';

/** A convolution of tensors whose channels lie last. */
export interface Convolution {
  /** [batch, height, width, channels], or with a depth before the height. */
  readonly x: Tf.Tensor;
  /** Over two or three axes. */
  readonly window: Window;
  readonly grouping: Grouping;
  /** [height, width, channels / groups, filters], or that of each group where they are computed one by one. */
  readonly filters: readonly Tf.Tensor[];
  /** [filters], in as many parts as there are filters. */
  readonly bias: readonly Tf.Tensor[] | undefined;
  readonly activation: Activation;
}

/** The result [batch, …output, filters] on the engine. */
export function convolve(c: Call, conv: Convolution): Tf.Tensor {
  const { window } = conv;
  if (!stridesAndDilates(window)) return grouped(c, conv);
  // tfjs strides or dilates: here it computes every place, and the strides pick theirs.
  const first = window.strides.map(() => 0);
  const every = grouped(c, { ...conv, window: { ...window, strides: window.strides.map(() => 1) } });
  return strided(c, every, first, window.strides, window.output);
}

const stridesAndDilates = ({ strides, dilations }: Window): boolean =>
  strides.some((s) => s > 1) && dilations.some((d) => d > 1);

function grouped(c: Call, conv: Convolution): Tf.Tensor {
  const { x, filters, bias, grouping } = conv;
  if (grouping.count === 1) return one(c, x, conv, filters[0]!, bias?.[0]);
  const groups = separated(c, x, grouping.count);
  return joined(
    c,
    groups.map((part, i) => one(c, part, conv, filters[i]!, bias?.[i])),
  );
}

type Triple = [number, number, number];

/** One call of tfjs. */
function one(
  c: Call,
  image: Tf.Tensor,
  conv: Convolution,
  filter: Tf.Tensor,
  bias: Tf.Tensor | undefined,
): Tf.Tensor {
  const { tf } = c;
  const { window, activation } = conv;
  const { strides, dilations, begin, end } = window;
  if (image.rank === 5) {
    const x = padded(c, image, begin, end) as Tf.Tensor5D;
    const out = tf.conv3d(x, filter as Tf.Tensor5D, strides as Triple, 'valid', 'NDHWC', dilations as Triple);
    // On the engine webgpu operands of five axes don't broadcast.
    const rows = bias ? tf.add(tf.reshape(out, [-1, bias.size]), bias) : out;
    return activated(c, tf.reshape(rows, out.shape), activation);
  }
  if (!isCut(window)) return ofImages(c, conv, image.shape, filter, bias)(image);
  const x = padded(c, image, begin, end);
  const none = begin.map(() => 0);
  return ofImages(c, { ...conv, window: { ...window, begin: none, end: none } }, x.shape, filter, bias)(x);
}

/** Padding below zero cuts off. */
const isCut = ({ begin, end }: Window): boolean => begin.some((n) => n < 0) || end.some((n) => n < 0);

/**
 * A convolution of images of one size as one call of tfjs, prepared: what it says again in every run takes as long as a small
 * convolution. @returns null where it takes more than the one call
 */
export function preparedOnce(
  c: Call,
  conv: Omit<Convolution, 'x'>,
  shape: readonly number[],
): ((image: Tf.Tensor) => Tf.Tensor) | null {
  const { window, grouping, filters, bias } = conv;
  const more = shape.length !== 4 || grouping.count > 1 || isCut(window) || stridesAndDilates(window);
  return more ? null : ofImages(c, conv, shape, filters[0]!, bias?.[0]);
}

/** Filters from here on are multiplied as a matrix, of which tfjs-wasm keeps one copy less; smaller ones cost more by call. */
const LARGE = 1 << 14;

function ofImages(
  { tf, engine }: Call,
  { window, grouping, activation }: Omit<Convolution, 'x'>,
  shape: readonly number[],
  filter: Tf.Tensor,
  bias: Tf.Tensor | undefined,
): (image: Tf.Tensor) => Tf.Tensor {
  const { strides, dilations, begin, end } = window;
  const [n, h, w, channels] = shape as [number, number, number, number];
  const [kh, kw, depth, count] = filter.shape as [number, number, number, number];
  const pad = padding(begin, end);
  const ending = { activation: activation.name, leakyreluAlpha: activation.alpha ?? 0 };
  const isPoint = kh === 1 && kw === 1 && pad === 'valid' && strides.every(isOne);
  if (isPoint && !grouping.isDepthwise && engine.name === 'wasm' && filter.size >= LARGE) {
    const b = seenAs(filter, [1, depth, count]);
    const rows = [1, n * h * w, channels];
    const attrs = { transposeA: false, transposeB: false, ...ending };
    const result = [n, h, w, count];
    return (image) => {
      const a = seenAs(image, rows);
      return call(tf, '_FusedMatMul', bias ? { a, b, bias } : { a, b }, attrs, result);
    };
  }
  const attrs = { strides, dilations, pad, dataFormat: 'NHWC', ...ending };
  if (!grouping.isDepthwise) {
    return (x) => call(tf, 'FusedConv2D', bias ? { x, filter, bias } : { x, filter }, attrs);
  }
  const each = [kh, kw, channels, count / channels];
  return (x) => {
    // Kernels that are made of tfjs's functions want whole tensors.
    const weight = engine.name === 'tensorflow' ? tf.reshape(filter, each) : seenAs(filter, each);
    const inputs = bias ? { x, filter: weight, bias } : { x, filter: weight };
    return call(tf, 'FusedDepthwiseConv2D', inputs, attrs);
  };
}

const isOne = (n: number): boolean => n === 1;
