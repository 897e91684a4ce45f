import { numberAttr, textAttr } from '../../../graph/kernels/kernel.ts';
import { convolution } from './conv.ts';
import type { Activation } from './convolve.ts';
import { type Call, fail, type KernelTable, kernel } from './kernel.ts';

const NAMES: Readonly<Record<string, Activation['name']>> = {
  '': 'linear',
  Relu: 'relu',
  Relu6: 'relu6',
  LeakyRelu: 'leakyrelu',
  Elu: 'elu',
  Sigmoid: 'sigmoid',
};

/** The activation that an operator of our own domain ends with. */
export function activationOf(c: Call): Activation {
  const text = textAttr(c, 'activation', '');
  const name = Object.hasOwn(NAMES, text) ? NAMES[text]! : fail(c, `there is no activation ${text}`);
  return name === 'leakyrelu' ? { name, alpha: numberAttr(c, 'activation_alpha', 0.01) } : { name };
}

/** Convolution, bias and activation in one call of tfjs. */
export const fusedConvolutions: KernelTable = {
  FusedConv: kernel((c) => convolution(c, activationOf(c))),
};
