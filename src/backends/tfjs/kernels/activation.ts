import type * as Tf from '@tensorflow/tfjs-core';
import { numberAttr, textAttr } from '../../../graph/kernels/kernel.ts';
import { type Call, fail } from './kernel.ts';

/** What a product or a convolution ends with, by tfjs's names: every engine computes these in the same kernel. */
export interface Activation {
  readonly name: 'linear' | 'relu' | 'relu6' | 'leakyrelu' | 'elu' | 'sigmoid';
  /** Slope of `leakyrelu` below zero. */
  readonly alpha?: number;
}

export const LINEAR: Activation = { name: 'linear' };

/** By the names that our own passes give (FUSED_ACTIVATIONS of graph/ops/fused.ts). */
const NAMES: Readonly<Record<string, Activation['name']>> = {
  '': 'linear',
  Relu: 'relu',
  Relu6: 'relu6',
  LeakyRelu: 'leakyrelu',
  Elu: 'elu',
  Sigmoid: 'sigmoid',
};

/** The activation that a node of our own domain ends with. */
export function activationOf(c: Call): Activation {
  const text = textAttr(c, 'activation', '');
  const name = Object.hasOwn(NAMES, text) ? NAMES[text]! : fail(c, `there is no activation ${text}`);
  return name === 'leakyrelu' ? { name, alpha: numberAttr(c, 'activation_alpha', 0.01) } : { name };
}

/** An activation by itself, where what comes before it has no kernel that ends with one. */
export function activated({ tf }: Call, x: Tf.Tensor, { name, alpha }: Activation): Tf.Tensor {
  switch (name) {
    case 'linear':
      return x;
    case 'relu':
      return tf.relu(x);
    case 'relu6':
      return tf.relu6(x);
    case 'elu':
      return tf.elu(x);
    case 'sigmoid':
      return tf.sigmoid(x);
    case 'leakyrelu':
      return tf.leakyRelu(x, alpha ?? 0.01);
  }
}
