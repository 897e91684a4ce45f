import type * as Tf from '@tensorflow/tfjs-core';
import { numberAttr } from '../../../graph/kernels/kernel.ts';
import { placesOf } from '../order.ts';
import type { Value } from '../value.ts';
import { vector } from './conv.ts';
import {
  type Call,
  device,
  fail,
  form,
  input,
  type KernelTable,
  kernel,
  type Made,
  made,
  orderOf,
} from './kernel.ts';
import { meanOf } from './pool.ts';

/** Numbers for each channel. */
function perChannel(c: Call, index: number): Tf.Tensor {
  const [value, channels] = [input(c, index), input(c, 0).shape[1] ?? 1];
  const count = value.shape.reduce((n, d) => n * d, 1);
  return count === channels ? device(c, value) : fail(c, `input ${index} wants ${channels} values`);
}

/** One number for each channel, stretched to where the channels of x lie. */
const stretched = ({ tf }: Call, x: Value, numbers: Tf.Tensor): Tf.Tensor =>
  tf.reshape(
    numbers,
    orderOf(x).map((axis) => (axis === 1 ? -1 : 1)),
  );

/** Channel by channel x · factor + offset. */
function scaled(c: Call, x: Value, factor: Tf.Tensor, offset: Tf.Tensor): Made {
  const { tf } = c;
  const tensor = device(c, x);
  if (c.engine.name !== 'wasm' || orderOf(x).at(-1) !== 1) {
    const product = tf.mul(tensor, stretched(c, x, factor));
    return made(tf.add(product, stretched(c, x, offset)), x.dtype, orderOf(x));
  }
  // A convolution of every channel with its factor is one call, and faster than two.
  const channels = tensor.shape.at(-1)!;
  const rows = tensor.size / channels;
  const y = tf.fused.depthwiseConv2d({
    x: tf.reshape<Tf.Rank.R4>(tensor, [1, rows, 1, channels]),
    filter: tf.reshape<Tf.Rank.R4>(factor, [1, 1, channels, 1]),
    bias: offset,
    strides: 1,
    pad: 'valid',
  });
  return made(tf.reshape(y, tensor.shape), x.dtype, orderOf(x));
}

/** scale / √(variance + ε), and bias − mean · that. */
function coefficients(c: Call, mean: Tf.Tensor, variance: Tf.Tensor): [Tf.Tensor, Tf.Tensor] {
  const { tf } = c;
  const factor = tf.mul(perChannel(c, 1), tf.rsqrt(tf.add(variance, numberAttr(c, 'epsilon', 1e-5))));
  return [vector(c, factor), vector(c, tf.sub(perChannel(c, 2), tf.mul(mean, factor)))];
}

/** With the statistics that were learnt: coefficients that follow from parameters are made once. */
function inference(c: Call): readonly Made[] {
  const make = (at: 0 | 1): Tf.Tensor => coefficients(c, perChannel(c, 3), perChannel(c, 4))[at];
  const isFixed = [1, 2, 3, 4].every((i) => input(c, i).fixed);
  const name = `batch norm of ${c.node.outputs[0]}`;
  const kept = (at: 0 | 1): Tf.Tensor =>
    isFixed ? form(c, input(c, 1), `${name} ${at}`, () => make(at)) : make(at);
  return [scaled(c, input(c, 0), kept(0), kept(1))];
}

/** With those of the batch; the running ones keep the share `momentum` of what they were (variance of the population). */
function training(c: Call): readonly Made[] {
  const { tf } = c;
  const x = input(c, 0);
  const tensor = device(c, x);
  const places = placesOf(orderOf(x)).filter((_, axis) => axis !== 1);
  const mean = tf.mean(tensor, places);
  const rest = tf.sub(tensor, stretched(c, x, mean));
  const variance = tf.mean(tf.square(rest), places);
  const momentum = numberAttr(c, 'momentum', 0.9);
  const running = (index: number, batch: Tf.Tensor): Made =>
    made(tf.add(tf.mul(perChannel(c, index), momentum), tf.mul(batch, 1 - momentum)), input(c, index).dtype);
  return [scaled(c, x, ...coefficients(c, mean, variance)), running(3, mean), running(4, variance)];
}

/** (x − mean)/√(variance + ε) over each channel of each image, then scaled and shifted. */
function instanceNorm(c: Call): readonly Made[] {
  const { tf } = c;
  const x = input(c, 0);
  const tensor = device(c, x);
  const places = [...placesOf(orderOf(x)).slice(2)].sort((a, b) => a - b);
  const rest = tf.sub(tensor, meanOf(tensor, places, c));
  const variance = meanOf(tf.square(rest), places, c);
  const inverse = tf.rsqrt(tf.add(variance, numberAttr(c, 'epsilon', 1e-5)));
  const factor = tf.mul(inverse, stretched(c, x, perChannel(c, 1)));
  const y = tf.add(tf.mul(rest, factor), stretched(c, x, perChannel(c, 2)));
  return [made(y, x.dtype, orderOf(x))];
}

/** y = x / (bias + α/size · Σ x²)^β, the sum over `size` neighbouring channels, the larger half of them behind. */
function localResponse(c: Call): readonly Made[] {
  const { tf } = c;
  const x = input(c, 0);
  const size = numberAttr(c, 'size', 1);
  const tensor = device(c, x);
  const place = orderOf(x).indexOf(1);
  const [channels, before] = [x.shape[1]!, Math.floor((size - 1) / 2)];
  const band = Array.from({ length: channels ** 2 }, (_, i) => {
    const behind = Math.floor(i / channels) - (i % channels);
    return behind >= -before && behind < size - before ? 1 : 0;
  });
  const squares = tf.square(tensor);
  const inner = tensor.shape.slice(place + 1).reduce((n, d) => n * d, 1);
  const rows = tf.transpose(tf.reshape(squares, [-1, channels, inner]), [0, 2, 1]);
  const summed = tf.matMul(tf.reshape(rows, [-1, channels]), tf.tensor2d(band, [channels, channels]));
  const sums = tf.transpose(tf.reshape(summed, rows.shape), [0, 2, 1]);
  const base = tf.add(
    tf.mul(tf.reshape(sums, tensor.shape), numberAttr(c, 'alpha', 1e-4) / size),
    numberAttr(c, 'bias', 1),
  );
  return [made(tf.div(tensor, tf.pow(base, numberAttr(c, 'beta', 0.75))), x.dtype, orderOf(x))];
}

export const batchNormalisations: KernelTable = {
  BatchNormalization: kernel((c) => (numberAttr(c, 'training_mode', 0) === 0 ? inference(c) : training(c))),
  InstanceNormalization: kernel(instanceNorm),
  LRN: kernel(localResponse),
};
