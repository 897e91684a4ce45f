import type * as Tf from '@tensorflow/tfjs-core';
import { numberAttr } from '../../../graph/kernels/kernel.ts';
import { transposedWindow, type Window } from '../../../graph/kernels/window.ts';
import type { Value } from '../value.ts';
import { biasOf, vector } from './conv.ts';
import { convolve } from './convolve.ts';
import { groupingOf, parts, withZeros } from './groups.ts';
import {
  type Call,
  device,
  fail,
  input,
  type KernelTable,
  kernel,
  type Made,
  plain,
  refuse,
} from './kernel.ts';
import { fromSpatial, planar, reach, spatial, strided } from './spatial.ts';

/**
 * A transposed convolution as a plain one, which every engine is fast at (tfjs's own is a scalar loop on wasm, and knows
 * neither groups nor dilations). With stride s, output u = q·s + p sums x[q − j] · w[j·s + p] over j: each of the s² phases p
 * is a convolution of stride 1 with every s-th element of the kernel, mirrored. All phases are computed as further filters
 * of one convolution and then interleaved.
 */
function convTranspose(c: Call): readonly Made[] {
  const [x, w] = [input(c, 0), input(c, 1)];
  if (x.shape.length < 3 || w.shape.length !== x.shape.length) fail(c, 'ranks of input and weight differ');
  if (x.shape.length > 4) refuse(c, 'a transposed convolution over three axes');
  const groups = numberAttr(c, 'group', 1);
  const channels = x.shape[1]!;
  const depth = w.shape[1]!;
  if (w.shape[0] !== channels || channels % groups !== 0)
    fail(c, `${channels} channels don't fit ${groups} groups`);
  const whole = planar(transposedWindow(c, x.shape.slice(2), w.shape.slice(2)));
  const image = spatial(c, x);
  const { strides, begin, output } = whole;
  const filters = depth * groups;
  const size = image.shape.slice(1, 3);
  const first = begin.map((b, i) => Math.floor(b / strides[i]!));
  const last = begin.map((b, i) => Math.floor((b + output[i]! - 1) / strides[i]!));
  const taps = strides.map((s, i) => Math.ceil(reach(whole, i) / s));
  const grouping = groupingOf(channels, filters * strides[0]! * strides[1]!, groups, 2);
  const phases = convolve(c, {
    x: image,
    window: {
      kernel: taps,
      strides: [1, 1],
      dilations: [1, 1],
      begin: taps.map((k, i) => k - 1 - first[i]!),
      end: last.map((q, i) => q - size[i]! + 1),
      output: last.map((q, i) => q - first[i]! + 1),
    },
    grouping,
    filters: parts(c, w, `phases ${strides} ${whole.dilations}`, grouping.count, () =>
      withZeros(c, phaseFilters(c, w, whole, taps, groups), grouping),
    ),
    bias: phaseBias(c, filters, grouping.count, strides[0]! * strides[1]!, groups),
    activation: { name: 'linear' },
  });
  const from = begin.map((b, i) => b - first[i]! * strides[i]!);
  const out = strided(c, interleaved(c, phases, strides, groups), from, [1, 1], output);
  return [fromSpatial(c, out, x)];
}

/** [channels, depth, …kernel] as [height, width, channels / groups, (group, phase, depth)] of the convolution of phases. */
function phaseFilters(c: Call, w: Value, whole: Window, taps: readonly number[], groups: number): Tf.Tensor {
  const { tf } = c;
  const { kernel, dilations, strides } = whole;
  const [channels, depth] = w.shape as [number, number];
  const rows = channels * depth;
  const [kh, kw] = kernel as [number, number];
  const [dh, dw] = dilations as [number, number];
  const [sh, sw] = strides as [number, number];
  const [th, tw] = taps as [number, number];
  // Zeros between the elements of a dilated kernel, and after its last one up to whole strides.
  const spread = tf.pad(tf.reshape(plain(c, w), [rows * kh, 1, kw, 1]), [
    [0, 0],
    [0, dh - 1],
    [0, 0],
    [0, dw - 1],
  ]);
  const [rh, rw] = [reach(whole, 0), reach(whole, 1)];
  const dense = tf.slice(tf.reshape(spread, [rows, kh * dh, kw * dw]), [0, 0, 0], [rows, rh, rw]);
  const full = tf.pad(dense, [
    [0, 0],
    [0, th * sh - rh],
    [0, tw * sw - rw],
  ]);
  const byPhase = tf.transpose(tf.reshape(full, [rows * th, sh, tw, sw]), [0, 2, 1, 3]);
  const shape = [groups, channels / groups, depth, th * tw, sh * sw];
  const laid = tf.transpose(tf.reshape(byPhase, shape), [3, 1, 0, 4, 2]);
  return tf.reverse(tf.reshape(laid, [th, tw, channels / groups, groups * sh * sw * depth]), [0, 1]);
}

/** The bias for every phase, in the order of the phases' filters. */
function phaseBias(
  c: Call,
  filters: number,
  count: number,
  phases: number,
  groups: number,
): Tf.Tensor[] | undefined {
  const bias = c.inputs[2];
  if (!bias || phases === 1) return biasOf(c, filters, count);
  const { tf } = c;
  return parts(c, bias, `bias of ${phases} phases`, count, () => {
    const one = tf.reshape(device(c, bias), [groups, 1, filters / groups]);
    return vector(c, tf.tile(one, [1, phases, 1]));
  });
}

/** [batch, height, width, (group, row, column, depth)] as [batch, height · rows, width · columns, (group, depth)]. */
function interleaved(c: Call, phases: Tf.Tensor, strides: readonly number[], groups: number): Tf.Tensor {
  const { tf } = c;
  const [sh, sw] = strides as [number, number];
  if (sh * sw === 1) return phases;
  const [n, h, w, all] = phases.shape as [number, number, number, number];
  const filters = all / (sh * sw);
  const moved =
    groups === 1
      ? tf.transpose(tf.reshape(phases, [n * h, w, sh, sw * filters]), [0, 2, 1, 3])
      : tf.transpose(tf.reshape(phases, [n * h, w, groups, sh, sw, filters / groups]), [0, 3, 1, 4, 2, 5]);
  return tf.reshape(moved, [n, h * sh, w * sw, filters]);
}

export const transposedConvolutions: KernelTable = { ConvTranspose: kernel(convTranspose) };
