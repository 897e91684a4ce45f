import type * as Tf from '@tensorflow/tfjs-core';
import { type Tensors, toNumbers } from '../../../core/tensor.ts';
import { attention, crossEntropy, gelu, layerNorm, linear, product } from './layers.ts';
import type { Network } from './network.ts';
import type { Parameters } from './parameters.ts';

/** What a ViT of the zoo says of itself, as far as it is written here: plain, with the names of transformers' checkpoints. */
export interface VitShape {
  readonly image: readonly [number, number];
  readonly patch: readonly [number, number];
  readonly channels: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly eps: number;
}

/** pixel_values [batch, channels, H, W] and labels [batch] → mean cross-entropy. */
export function vit(p: Parameters, shape: VitShape, prefix: string, batch: number): Network {
  const { tf } = p;
  const { width, heads, eps, channels } = shape;
  const [h, w] = shape.patch;
  const [rows, columns] = [Math.floor(shape.image[0] / h), Math.floor(shape.image[1] / w)];
  const length = rows * columns + 1;
  const at = `${prefix}.embeddings`;
  // The engine lacks the gradient of a convolution's filter; that of patches beside each other is one product.
  const filter = p.turned(`${at}.patch_embeddings.projection.weight`) as Tf.Tensor as Tf.Tensor2D;
  const filterBias = p.plain(`${at}.patch_embeddings.projection.bias`);
  const [token, positions] = [p.plain(`${at}.cls_token`), p.plain(`${at}.position_embeddings`)];
  const blocks = Array.from({ length: shape.depth }, (_, i) => {
    const layer = `${prefix}.encoder.layer.${i}`;
    const own = `${layer}.attention.attention`;
    return {
      norm1: layerNorm(p, `${layer}.layernorm_before`, eps),
      query: linear(p, `${own}.query`),
      key: linear(p, `${own}.key`),
      value: linear(p, `${own}.value`),
      out: linear(p, `${layer}.attention.output.dense`),
      norm2: layerNorm(p, `${layer}.layernorm_after`, eps),
      expand: linear(p, `${layer}.intermediate.dense`),
      contract: linear(p, `${layer}.output.dense`),
    };
  });
  const last = layerNorm(p, `${prefix}.layernorm`, eps);
  const head = linear(p, 'classifier');
  const split = { batch, length, heads, kvHeads: heads, headWidth: width / heads };

  const loss = (fed: Tensors) => {
    const pixels = tf.tensor(fed.pixel_values!.data as Float32Array, [batch, channels, ...shape.image]);
    const whole = tf.slice(pixels, [0, 0, 0, 0], [batch, channels, rows * h, columns * w]);
    const cut = tf.transpose(tf.reshape(whole, [batch, channels, rows, h, columns, w]), [0, 2, 4, 1, 3, 5]);
    const flat = tf.reshape(cut, [batch * (length - 1), channels * h * w]) as Tf.Tensor2D;
    const patches = tf.reshape(tf.add(product(tf, flat, filter), filterBias), [batch, length - 1, width]);
    const first = tf.add(tf.zeros([batch, 1, width]), token);
    let x: Tf.Tensor2D = tf.reshape(tf.add(tf.concat([first, patches], 1), positions), [
      batch * length,
      width,
    ]);
    for (const block of blocks) {
      const seen = block.norm1(x);
      const mixed = attention(tf, [block.query(seen), block.key(seen), block.value(seen)], split, null);
      x = tf.add(x, block.out(mixed));
      x = tf.add(x, block.contract(gelu(tf, block.expand(block.norm2(x)))));
    }
    const tokens = tf.reshape(x, [batch, length, width]);
    const classified = tf.reshape(tf.slice(tokens, [0, 0, 0], [batch, 1, width]), [batch, width]);
    const logits = head(last(classified as Tf.Tensor2D));
    return crossEntropy(tf, logits, [...toNumbers(fed.labels!)]);
  };
  return {
    inputs: [
      { name: 'pixel_values', dtype: 'float32', shape: [batch, channels, ...shape.image] },
      { name: 'labels', dtype: 'int64', shape: [batch] },
    ],
    loss,
  };
}
