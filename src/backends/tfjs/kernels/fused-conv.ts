import { activationOf } from './activation.ts';
import { convolution } from './conv.ts';
import { type KernelTable, kernel } from './kernel.ts';

/** Convolution, bias and activation in one call of tfjs. */
export const fusedConvolutions: KernelTable = {
  FusedConv: kernel((c) => convolution(c, activationOf(c))),
};
