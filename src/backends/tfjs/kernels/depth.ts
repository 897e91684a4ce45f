import { numberAttr, textAttr } from '../../../graph/kernels/kernel.ts';
import { type Call, fail, input, type KernelTable, kernel, type Made } from './kernel.ts';
import { fromSpatial, spatial } from './spatial.ts';

function blockOf(c: Call): number {
  if (input(c, 0).shape.length !== 4) fail(c, 'the input is no batch of images');
  const block = numberAttr(c, 'blocksize', 1);
  return Number.isInteger(block) && block >= 1 ? block : fail(c, `blocksize is ${block}`);
}

/** Channels to blocks of pixels: DCR takes the block from the outer part of the channels, CRD from the inner. */
function depthToSpace(c: Call): readonly Made[] {
  const { tf } = c;
  const [x, b] = [input(c, 0), blockOf(c)];
  const [n, channels, h, w] = x.shape as [number, number, number, number];
  const depth = channels / b ** 2;
  if (!Number.isInteger(depth)) fail(c, `${channels} channels don't divide by ${b}²`);
  const image = spatial(c, x);
  const moved =
    textAttr(c, 'mode', 'DCR') === 'CRD'
      ? tf.transpose(tf.reshape(image, [n * h, w, depth, b, b]), [0, 3, 1, 4, 2])
      : tf.transpose(tf.reshape(image, [n * h, w, b, b * depth]), [0, 2, 1, 3]);
  return [fromSpatial(c, tf.reshape(moved, [n, h * b, w * b, depth]), x)];
}

/** Blocks of pixels to channels, the place in the block outermost. */
function spaceToDepth(c: Call): readonly Made[] {
  const { tf } = c;
  const [x, b] = [input(c, 0), blockOf(c)];
  const [n, channels, h, w] = x.shape as [number, number, number, number];
  if (h % b !== 0 || w % b !== 0) fail(c, `[${h}, ${w}] does not divide by ${b}`);
  const blocks = tf.reshape(spatial(c, x), [(n * h) / b, b, w / b, b * channels]);
  const moved = tf.transpose(blocks, [0, 2, 1, 3]);
  return [fromSpatial(c, tf.reshape(moved, [n, h / b, w / b, b * b * channels]), x)];
}

export const depths: KernelTable = {
  DepthToSpace: kernel(depthToSpace),
  SpaceToDepth: kernel(spaceToDepth),
};
