import type * as Tf from '@tensorflow/tfjs-core';
import { type Tensors, toNumbers } from '../../../core/tensor.ts';
import { attention, crossEntropy, linear, lookUp, product, rmsNorm, silu } from './layers.ts';
import type { Network } from './network.ts';
import type { Parameters } from './parameters.ts';

/** What a Llama of the zoo says of itself, as far as it is written here: SiLU, plain rotary positions, projections apart. */
export interface LlamaShape {
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headWidth: number;
  readonly eps: number;
  readonly tied: boolean;
  readonly rotary: { readonly theta: number; readonly factor: number };
}

/** input_ids and labels [batch, sequence] → mean cross-entropy of the next token; labels of -100 don't count. */
export function llama(p: Parameters, shape: LlamaShape, batch: number, sequence: number): Network {
  const { tf } = p;
  const { width, heads, kvHeads, headWidth, eps } = shape;
  const table = p.plain('model.embed_tokens.weight');
  const layers = Array.from({ length: shape.depth }, (_, i) => {
    const at = `model.layers.${i}`;
    return {
      norm1: rmsNorm(p, `${at}.input_layernorm`, eps),
      query: linear(p, `${at}.self_attn.q_proj`),
      key: linear(p, `${at}.self_attn.k_proj`),
      value: linear(p, `${at}.self_attn.v_proj`),
      out: linear(p, `${at}.self_attn.o_proj`),
      norm2: rmsNorm(p, `${at}.post_attention_layernorm`, eps),
      gate: linear(p, `${at}.mlp.gate_proj`),
      up: linear(p, `${at}.mlp.up_proj`),
      down: linear(p, `${at}.mlp.down_proj`),
    };
  });
  const last = rmsNorm(p, 'model.norm', eps);
  const judge = shape.tied
    ? (x: Tf.Tensor2D) => product(tf, x, tf.transpose(table) as Tf.Tensor2D)
    : linear(p, 'lm_head');
  const split = { batch, length: sequence, heads, kvHeads, headWidth };
  const { cos, sin } = angles(shape, sequence);

  const loss = (fed: Tensors) => {
    const table4 = (values: Float32Array) => tf.tensor4d(values, [1, sequence, 1, headWidth / 2]);
    const [c, s] = [table4(cos), table4(sin)];
    const turn = (x: Tf.Tensor2D, count: number): Tf.Tensor => {
      const [a, b] = tf.split(tf.reshape(x, [batch, sequence, count, headWidth]), 2, 3) as [
        Tf.Tensor,
        Tf.Tensor,
      ];
      return tf.concat([tf.sub(tf.mul(a, c), tf.mul(b, s)), tf.add(tf.mul(b, c), tf.mul(a, s))], 3);
    };
    const mask = tf.tensor2d(hidden(sequence), [sequence, sequence]);
    let x: Tf.Tensor2D = tf.reshape(lookUp(tf, table, [...toNumbers(fed.input_ids!)]), [
      batch * sequence,
      width,
    ]);
    for (const layer of layers) {
      const seen = layer.norm1(x);
      const q = turn(layer.query(seen), heads);
      const k = turn(layer.key(seen), kvHeads);
      x = tf.add(x, layer.out(attention(tf, [q, k, layer.value(seen)], split, mask)));
      const normed = layer.norm2(x);
      x = tf.add(x, layer.down(tf.mul(silu(tf, layer.gate(normed)), layer.up(normed))));
    }
    return crossEntropy(tf, judge(last(x)), following([...toNumbers(fed.labels!)], sequence));
  };
  const ids = (name: string) => ({ name, dtype: 'int64', shape: [batch, sequence] }) as const;
  return { inputs: [ids('input_ids'), ids('labels')], loss };
}

/** Labels as each place has to answer them: what comes next, nothing behind the last one. */
const following = (labels: readonly number[], sequence: number): number[] =>
  labels.map((_, i) => (i % sequence === sequence - 1 ? -100 : labels[i + 1]!));

/** 0 where a place may look, a large negative number where what it would see comes later. */
const hidden = (sequence: number): Float32Array =>
  Float32Array.from({ length: sequence ** 2 }, (_, i) =>
    i % sequence > Math.floor(i / sequence) ? -1e9 : 0,
  );

function angles({ rotary, headWidth }: LlamaShape, sequence: number) {
  const half = headWidth / 2;
  const of = (f: (angle: number) => number) =>
    Float32Array.from({ length: sequence * half }, (_, i) =>
      f((Math.floor(i / half) * rotary.theta ** ((-2 * (i % half)) / headWidth)) / rotary.factor),
    );
  return { cos: of(Math.cos), sin: of(Math.sin) };
}
