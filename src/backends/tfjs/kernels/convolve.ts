import type * as Tf from '@tensorflow/tfjs-core';
import type { Window } from '../../../graph/kernels/window.ts';
import { type Activation, activated } from './activation.ts';
import { type Grouping, joined, separated } from './groups.ts';
import { type Call, seenAs } from './kernel.ts';
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
  const isBoth = window.strides.some((s) => s > 1) && window.dilations.some((d) => d > 1);
  if (!isBoth) return grouped(c, conv);
  // tfjs strides or dilates: here it computes every place, and the strides pick theirs.
  const first = window.strides.map(() => 0);
  const every = grouped(c, { ...conv, window: { ...window, strides: window.strides.map(() => 1) } });
  return strided(c, every, first, window.strides, window.output);
}

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

/** Filters from here on are multiplied as a matrix, of which tfjs-wasm keeps one copy less; smaller ones cost more by call. */
const LARGE = 1 << 14;

/** One call of tfjs. */
function one(
  c: Call,
  image: Tf.Tensor,
  { window, grouping, activation }: Convolution,
  filter: Tf.Tensor,
  bias: Tf.Tensor | undefined,
): Tf.Tensor {
  const { tf } = c;
  const { strides, dilations, begin, end } = window;
  if (image.rank === 5) {
    const x = padded(c, image, begin, end) as Tf.Tensor5D;
    const out = tf.conv3d(x, filter as Tf.Tensor5D, strides as Triple, 'valid', 'NDHWC', dilations as Triple);
    // On the engine webgpu operands of five axes don't broadcast.
    const rows = bias ? tf.add(tf.reshape(out, [-1, bias.size]), bias) : out;
    return activated(c, tf.reshape(rows, out.shape), activation);
  }
  const isCut = [...begin, ...end].some((n) => n < 0);
  const x = isCut ? padded(c, image, begin, end) : image;
  const pad = isCut ? 'valid' : padding(begin, end);
  const [n, h, w, channels] = x.shape as [number, number, number, number];
  const [kh, kw, depth, count] = filter.shape as [number, number, number, number];
  const isPoint = kh === 1 && kw === 1 && pad === 'valid' && strides.every(isOne);
  if (isPoint && !grouping.isDepthwise && c.engine.name === 'wasm' && filter.size >= LARGE) {
    const a = seenAs(x, [1, n * h * w, channels]);
    const b = seenAs(filter, [1, depth, count]);
    const product = run(c, '_FusedMatMul', bias ? { a, b, bias } : { a, b }, activation, POINT);
    return tf.reshape(product, [n, h, w, count]);
  }
  const attrs = { strides, dilations, pad, dataFormat: 'NHWC' };
  if (!grouping.isDepthwise) {
    return run(c, 'FusedConv2D', bias ? { x, filter, bias } : { x, filter }, activation, attrs);
  }
  const each = tf.reshape(filter, [kh, kw, channels, count / channels]);
  const inputs = bias ? { x, filter: each, bias } : { x, filter: each };
  return run(c, 'FusedDepthwiseConv2D', inputs, activation, attrs);
}

const POINT = { transposeA: false, transposeB: false };
const isOne = (n: number): boolean => n === 1;

/** A kernel of tfjs without tfjs's own functions around it, which take longer than a small convolution. */
function run(
  { tf }: Call,
  kernel: string,
  inputs: Record<string, Tf.Tensor>,
  { name, alpha }: Activation,
  attrs: Record<string, unknown>,
): Tf.Tensor {
  const ending = { activation: name, leakyreluAlpha: alpha ?? 0 };
  return tf.engine().runKernel(kernel, inputs, { ...attrs, ...ending } as Attrs);
}

type Attrs = NonNullable<Parameters<ReturnType<typeof Tf.engine>['runKernel']>[2]>;
