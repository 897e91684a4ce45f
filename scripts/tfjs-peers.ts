/**
 * ResNet-50 and ViT-B/16 as somebody writes them who knows tfjs well: the peers that the tfjs backend is timed against. Their
 * weights are the zoo's, by name. What makes them good: NHWC throughout, batch normalisation folded, bias and activation within
 * the convolution or product, weights transposed once, attention by heads on wasm (its batched product is slow).
 */
import type * as Tf from '@tensorflow/tfjs-core';
import type { Tensors } from '../src/core/tensor.ts';

export type Forward = (image: Float32Array) => Tf.Tensor;

/** A forward pass for one image [3, 224, 224]; `engine` is tfjs's name of the engine. */
export type Peer = (tf: typeof Tf, weights: Tensors, engine: string) => Forward;

const numbers = (weights: Tensors, name: string): Float32Array => weights[name]!.data as Float32Array;

export const resnet50: Peer = (tf, weights) => {
  const convNorm = (conv: string, norm: string) =>
    tf.tidy(() => {
      const { shape } = weights[`${conv}.weight`]!;
      const [scale, shift, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((part) =>
        tf.tensor1d(numbers(weights, `${norm}.${part}`)),
      ) as [Tf.Tensor, Tf.Tensor, Tf.Tensor, Tf.Tensor];
      const factor = tf.div(scale, tf.sqrt(tf.add(variance, 1e-5)));
      const filter = tf.transpose(
        tf.tensor(numbers(weights, `${conv}.weight`), shape as number[]),
        [2, 3, 1, 0],
      );
      return {
        filter: tf.keep(tf.mul(filter, factor)) as Tf.Tensor4D,
        bias: tf.keep(tf.sub(shift, tf.mul(mean, factor))) as Tf.Tensor1D,
      };
    });
  type Conv = ReturnType<typeof convNorm>;
  const at = (prefix: string) => convNorm(`${prefix}.convolution`, `${prefix}.normalization`);
  const stem = at('resnet.embedder.embedder');
  const blocks = [3, 4, 6, 3].flatMap((depth, stage) =>
    Array.from({ length: depth }, (_, block) => {
      const prefix = `resnet.encoder.stages.${stage}.layers.${block}`;
      return {
        convs: [0, 1, 2].map((i) => at(`${prefix}.layer.${i}`)) as [Conv, Conv, Conv],
        shortcut: block === 0 ? at(`${prefix}.shortcut`) : null,
        stride: block === 0 && stage > 0 ? 2 : 1,
      };
    }),
  );
  const head = tf.tidy(() =>
    tf.keep(tf.transpose(tf.tensor2d(numbers(weights, 'classifier.1.weight'), [1000, 2048]))),
  ) as Tf.Tensor2D;
  const headBias = tf.keep(tf.tensor1d(numbers(weights, 'classifier.1.bias')));
  const conv = (x: Tf.Tensor4D, { filter, bias }: Conv, stride: number, activation: 'relu' | 'linear') => {
    const pad = (filter.shape[0] - 1) / 2;
    return tf.fused.conv2d({ x, filter, strides: stride, pad, bias, activation, dimRoundingMode: 'floor' });
  };
  return (image) =>
    tf.tidy(() => {
      let x: Tf.Tensor4D = tf.transpose(tf.tensor4d(image, [1, 3, 224, 224]), [0, 2, 3, 1]);
      x = tf.maxPool(conv(x, stem, 2, 'relu'), 3, 2, 1, 'floor');
      for (const { convs, shortcut, stride } of blocks) {
        const inner = conv(conv(x, convs[0], 1, 'relu'), convs[1], stride, 'relu');
        const out = conv(inner, convs[2], 1, 'linear');
        x = tf.relu(tf.add(out, shortcut ? conv(x, shortcut, stride, 'linear') : x));
      }
      const pooled = tf.mean(x, [1, 2]) as Tf.Tensor2D;
      return tf.fused.matMul({ a: pooled, b: head, bias: headBias });
    });
};

const [TOKENS, WIDTH, HEADS] = [197, 768, 12];
const HEAD = WIDTH / HEADS;

export const vitB16: Peer = (tf, weights, engine) => {
  const kept = <T extends Tf.Tensor>(make: () => T): T => tf.keep(tf.tidy(make));
  const vector = (name: string) => kept(() => tf.tensor1d(numbers(weights, name)));
  const linear = (name: string) => {
    const shape = weights[`${name}.weight`]!.shape as [number, number];
    return {
      w: kept(() => tf.transpose(tf.tensor2d(numbers(weights, `${name}.weight`), shape))) as Tf.Tensor2D,
      b: vector(`${name}.bias`),
    };
  };
  const norm = (name: string) => ({ scale: vector(`${name}.weight`), shift: vector(`${name}.bias`) });
  const patches = kept(() =>
    tf.transpose(
      tf.tensor4d(numbers(weights, 'vit.embeddings.patch_embeddings.projection.weight'), [WIDTH, 3, 16, 16]),
      [2, 3, 1, 0],
    ),
  ) as Tf.Tensor4D;
  const patchBias = vector('vit.embeddings.patch_embeddings.projection.bias');
  const cls = kept(() => tf.tensor2d(numbers(weights, 'vit.embeddings.cls_token'), [1, WIDTH]));
  const positions = kept(() =>
    tf.tensor2d(numbers(weights, 'vit.embeddings.position_embeddings'), [TOKENS, WIDTH]),
  );
  const blocks = Array.from({ length: 12 }, (_, i) => {
    const at = `vit.encoder.layer.${i}`;
    return {
      norm1: norm(`${at}.layernorm_before`),
      query: linear(`${at}.attention.attention.query`),
      key: linear(`${at}.attention.attention.key`),
      value: linear(`${at}.attention.attention.value`),
      out: linear(`${at}.attention.output.dense`),
      norm2: norm(`${at}.layernorm_after`),
      expand: linear(`${at}.intermediate.dense`),
      contract: linear(`${at}.output.dense`),
    };
  });
  const last = norm('vit.layernorm');
  const head = linear('classifier');

  const apply = (a: Tf.Tensor2D, { w, b }: ReturnType<typeof linear>): Tf.Tensor2D =>
    tf.fused.matMul({ a, b: w, bias: b }) as Tf.Tensor2D;
  const normed = (x: Tf.Tensor2D, { scale, shift }: ReturnType<typeof norm>): Tf.Tensor2D => {
    const centred = tf.sub(x, tf.mean(x, 1, true));
    const spread = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), 1e-12));
    return tf.add(tf.mul(tf.mul(centred, spread), scale), shift);
  };
  const gelu = (x: Tf.Tensor2D): Tf.Tensor2D =>
    tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  const byHeads = (q: Tf.Tensor2D, k: Tf.Tensor2D, v: Tf.Tensor2D): Tf.Tensor2D => {
    const heads = Array.from({ length: HEADS }, (_, h) => {
      const cut = (x: Tf.Tensor2D) => tf.slice(x, [0, h * HEAD], [TOKENS, HEAD]);
      return tf.matMul(tf.softmax(tf.matMul(cut(q), tf.transpose(cut(k)))), cut(v));
    });
    return tf.concat(heads, 1) as Tf.Tensor2D;
  };
  const atOnce = (q: Tf.Tensor2D, k: Tf.Tensor2D, v: Tf.Tensor2D): Tf.Tensor2D => {
    const split = (x: Tf.Tensor2D) => tf.transpose(tf.reshape(x, [TOKENS, HEADS, HEAD]), [1, 0, 2]);
    const mixed = tf.matMul(tf.softmax(tf.matMul(split(q), split(k), false, true)), split(v));
    return tf.reshape(tf.transpose(mixed, [1, 0, 2]), [TOKENS, WIDTH]);
  };
  const attend = engine === 'wasm' ? byHeads : atOnce;
  return (image) =>
    tf.tidy(() => {
      const pixels = tf.transpose(tf.tensor4d(image, [1, 3, 224, 224]), [0, 2, 3, 1]) as Tf.Tensor4D;
      const grid = tf.fused.conv2d({
        x: pixels,
        filter: patches,
        strides: 16,
        pad: 'valid',
        bias: patchBias,
      });
      let x = tf.add(tf.concat([cls, tf.reshape(grid, [TOKENS - 1, WIDTH])], 0), positions) as Tf.Tensor2D;
      for (const block of blocks) {
        const rows = normed(x, block.norm1);
        const query = tf.mul(apply(rows, block.query), 1 / Math.sqrt(HEAD)) as Tf.Tensor2D;
        const mixed = attend(query, apply(rows, block.key), apply(rows, block.value));
        x = tf.add(x, apply(mixed, block.out));
        x = tf.add(x, apply(gelu(apply(normed(x, block.norm2), block.expand)), block.contract));
      }
      return apply(normed(tf.slice(x, [0, 0], [1, WIDTH]), last), head);
    });
};
