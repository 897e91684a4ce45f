import type * as Tf from '@tensorflow/tfjs-core';
import type { Value } from '../value.ts';
import type { Call } from './kernel.ts';

/** How the groups of a convolution are computed. */
export interface Grouping {
  readonly groups: number;
  /** Every channel is a group of its own, which tfjs has an operation for (images only). */
  readonly isDepthwise: boolean;
  /** Neighbouring groups that are computed as one, with zeros between them. */
  readonly merged: number;
  /** How many convolutions that makes. */
  readonly count: number;
}

/** Channels that a vector register of an engine's matrix product holds twice over: fewer leave it idle. */
const FEWEST = 8;

/** @param axes number of spatial axes that tfjs sees */
export function groupingOf(channels: number, filters: number, groups: number, axes: number): Grouping {
  if (groups === 1) return { groups, isDepthwise: false, merged: 1, count: 1 };
  if (groups === channels && axes === 2) return { groups, isDepthwise: true, merged: 1, count: 1 };
  const width = Math.min(channels, filters) / groups;
  let merged = 1;
  while (merged < groups && (merged * width < FEWEST || groups % merged !== 0)) merged++;
  return { groups, isDepthwise: false, merged, count: groups / merged };
}

/**
 * A tensor made of a value, in equal parts along its last axis. Of a fixed value they are made once and kept under `name`, and
 * a parameter that nobody else reads keeps nothing else.
 */
export function parts(
  c: Call,
  value: Value,
  name: string,
  count: number,
  make: () => Tf.Tensor,
): Tf.Tensor[] {
  const { tf } = c;
  const cut = (): Tf.Tensor[] => (count === 1 ? [make()] : tf.split(make(), count, -1));
  if (!value.fixed) return cut();
  value.forms ??= new Map();
  const { forms } = value;
  const names = Array.from({ length: count }, (_, i) => `${name} ${i}/${count}`);
  if (!forms.has(names[0]!)) {
    tf.tidy(() => {
      cut().forEach((part, i) => {
        forms.set(names[i]!, tf.keep(part));
      });
    });
    if (value.sole && value.device) {
      value.device.dispose();
      value.device = undefined;
    }
  }
  return names.map((part) => forms.get(part)!);
}

/** Filters […kernel, channels / groups, filters] with zeros where merged groups don't see each other. */
export function withZeros({ tf }: Call, filters: Tf.Tensor, { merged, count }: Grouping): Tf.Tensor {
  if (merged === 1) return filters;
  const kernel = filters.shape.slice(0, -2);
  const [depth, all] = filters.shape.slice(-2) as [number, number];
  const taps = kernel.reduce((n, d) => n * d, 1);
  const each = tf.reshape(filters, [taps, 1, depth, count, merged, all / (count * merged)]);
  const own = tf.reshape(tf.eye(merged), [1, merged, 1, 1, merged, 1]);
  return tf.reshape(tf.mul(each, own), [...kernel, merged * depth, all]);
}

/** The channels of each of `count` groups. Each then lies together: tfjs-wasm cuts the last axis element by element. */
export function separated({ tf }: Call, x: Tf.Tensor, count: number): Tf.Tensor[] {
  const channels = x.shape.at(-1)! / count;
  const rows = x.shape.slice(0, -1).reduce((n, d) => n * d, 1);
  const byGroup = tf.transpose(tf.reshape(x, [rows, count, channels]), [1, 0, 2]);
  return tf.split(byGroup, count, 0).map((part) => tf.reshape(part, [...x.shape.slice(0, -1), channels]));
}

/** Undoes `separated`. */
export function joined({ tf }: Call, groups: readonly Tf.Tensor[]): Tf.Tensor {
  const shape = groups[0]!.shape;
  const channels = shape.at(-1)!;
  const rows = shape.slice(0, -1).reduce((n, d) => n * d, 1);
  const byGroup = tf.concat(
    groups.map((part) => tf.reshape(part, [1, rows, channels])),
    0,
  );
  return tf.reshape(tf.transpose(byGroup, [1, 0, 2]), [...shape.slice(0, -1), channels * groups.length]);
}
