import type { Scalar } from '@tensorflow/tfjs-core';
import { VersusError } from '../../../core/errors.ts';
import type { ModelDef } from '../../../core/model.ts';
import type { Tensors } from '../../../core/tensor.ts';
import { type LlamaShape, llamaLoss } from './llama.ts';
import type { Parameters } from './parameters.ts';
import { type VitShape, vitLoss } from './vit.ts';

/** The loss of a batch, on the tape. */
export type Loss = (batch: Tensors) => Scalar;

export interface AutogradSizes {
  readonly batch: number;
  /** Tokens of a text, for language models. */
  readonly sequence?: number;
}

/**
 * A model of the zoo written in tfjs's operators.
 * @throws VersusError `unsupported` for models that nobody wrote: what is here is a ViT and a Llama
 */
export function lossOf(model: ModelDef, p: Parameters, { batch, sequence }: AutogradSizes): Loss {
  const { family, config, name } = model;
  const traits = config as Readonly<Record<string, unknown>>;
  const { naming, activation } = traits;
  const isNamed = naming === 'vit' || naming === 'deit';
  const isPlain = activation === 'gelu' && !traits.normFirst && traits.distillation === 'none';
  if ((family === 'vit' || family === 'deit') && isNamed && isPlain)
    return vitLoss(p, config as unknown as VitShape, naming, batch);
  const isLlama = family === 'llama' && activation === 'silu' && !traits.fused && !traits.window;
  if (isLlama && sequence !== undefined)
    return llamaLoss(p, config as unknown as LlamaShape, batch, sequence);
  throw new VersusError('unsupported', 'the model is not written in tfjs’s own operators', {
    where: name,
    next: 'compare a ViT or a Llama with tfjs’s autograd, or train this one on the backend tfjs-wasm',
  });
}
