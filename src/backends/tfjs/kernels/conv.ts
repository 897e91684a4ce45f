import type * as Tf from '@tensorflow/tfjs-core';
import type { Node } from '../../../core/graph.ts';
import { numberAttr, textAttr } from '../../../graph/kernels/kernel.ts';
import { type Window, windowOf } from '../../../graph/kernels/window.ts';
import { spend } from '../spent.ts';
import type { Value } from '../value.ts';
import { LINEAR } from './activation.ts';
import { convolve, preparedOnce } from './convolve.ts';
import { type Grouping, groupingOf, parts, withZeros } from './groups.ts';
import {
  type Call,
  device,
  fail,
  input,
  type KernelTable,
  kernel,
  laid,
  type Made,
  plain,
} from './kernel.ts';
import { fromSpatial, planar, spatial } from './spatial.ts';

interface Plan {
  readonly image: readonly number[];
  readonly filter: readonly number[];
  readonly window: Window;
  readonly grouping: Grouping;
  /** The engine packs the filter once for images of any size. */
  readonly isPacked: boolean;
  /** The whole call, of parameters that stay the same. */
  ready?: { readonly weight: Value; readonly bias: Value | undefined; readonly run: Ready };
}

type Ready = (image: Tf.Tensor) => Tf.Tensor;

/** Of each node for the shapes that it saw last: a small convolution takes no longer than planning it. */
const plans = new WeakMap<Node, Plan>();

/** Conv and what follows it in the same call of tfjs. */
export function convolution(c: Call, activation = LINEAR): readonly Made[] {
  const [x, w] = [input(c, 0), input(c, 1)];
  let plan = plans.get(c.node);
  if (!plan || !isShape(plan.image, x.shape) || !isShape(plan.filter, w.shape)) {
    plan = planned(c, x.shape, w.shape);
    plans.set(c.node, plan);
  }
  const image = spatial(c, x);
  const bias = c.inputs[2];
  if (plan.ready?.weight === w && plan.ready.bias === bias) {
    return [fromSpatial(c, plan.ready.run(image), x)];
  }
  const { window, grouping } = plan;
  const conv = {
    window,
    grouping,
    filters: weights(c, w, grouping),
    bias: biasOf(c, w.shape[0]!, grouping.count),
    activation,
  };
  const isSame = w.fixed && w.shape.length === 4 && (!bias || bias.fixed);
  const run = isSame ? preparedOnce(c, conv, image.shape) : null;
  if (run) plan.ready = { weight: w, bias, run };
  const out = run ? run(image) : convolve(c, { ...conv, x: image });
  if (plan.isPacked) spend(c.engine, w, conv.filters[0]!);
  return [fromSpatial(c, out, x)];
}

const isShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, axis) => d === b[axis]);

function planned(c: Call, image: readonly number[], filter: readonly number[]): Plan {
  if (image.length < 3 || filter.length !== image.length) fail(c, 'ranks of input and weight differ');
  const groups = numberAttr(c, 'group', 1);
  const channels = image[1]!;
  const [filters, depth] = filter as [number, number];
  if (depth * groups !== channels || filters % groups !== 0) {
    fail(c, `${channels} channels and ${filters} filters of depth ${depth} don't fit ${groups} groups`);
  }
  const window = planar(windowOf(c, image.slice(2), filter.slice(2)));
  const grouping = groupingOf(channels, filters, groups, window.kernel.length);
  const isPacked =
    groups === 1 && image.length === 4 && /^(NOTSET|VALID)$/.test(textAttr(c, 'auto_pad', 'NOTSET'));
  return { image, filter, window, grouping, isPacked };
}

/** [filters, depth, …kernel] as [height, width, depth, filters], a signal's kernel as one of one row. */
function weights(c: Call, w: Value, grouping: Grouping): Tf.Tensor[] {
  const order = [...w.shape.map((_, i) => i).slice(2), 1, 0];
  const { count, merged } = grouping;
  // A form in another order goes the common way, so that the value can be had back from it.
  const made =
    count * merged === 1
      ? [laid(c, w, order)]
      : parts(c, w, `filters by ${merged}`, count, () =>
          withZeros(c, c.tf.transpose(plain(c, w), order), grouping),
        );
  return w.shape.length === 3 ? made.map((t) => c.tf.expandDims(t, 0)) : made;
}

/** The bias of one number per filter, in as many parts as the filters. */
export function biasOf(c: Call, filters: number, count: number): Tf.Tensor[] | undefined {
  const bias = c.inputs[2];
  if (!bias) return undefined;
  const length = bias.shape.reduce((n, d) => n * d, 1);
  if (length !== filters) fail(c, `bias has ${length} values for ${filters} channels`);
  return parts(c, bias, 'bias', count, () => vector(c, device(c, bias)));
}

/** A tensor of one axis. tfjs-wasm asks the data, not the tensor, which shape it was made with: so it is made anew. */
export function vector({ tf, engine }: Call, tensor: Tf.Tensor): Tf.Tensor {
  const flat = tf.reshape(tensor, [-1]);
  return engine.name === 'wasm' ? tf.add(flat, 0) : flat;
}

export const convolutions: KernelTable = {
  Conv: kernel((c) => convolution(c)),
};
