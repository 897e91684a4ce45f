import type { Scalar } from '@tensorflow/tfjs-core';
import type { AutogradSizes } from '../../../core/autograd.ts';
import { VersusError } from '../../../core/errors.ts';
import type { ValueInfo } from '../../../core/graph.ts';
import type { ModelDef } from '../../../core/model.ts';
import type { Tensors } from '../../../core/tensor.ts';
import { type LlamaShape, llama } from './llama.ts';
import type { Parameters } from './parameters.ts';
import { type VitShape, vit } from './vit.ts';

export interface Network {
  /** What a batch feeds. */
  readonly inputs: readonly ValueInfo[];
  /** The loss of a batch, on the tape. */
  readonly loss: (batch: Tensors) => Scalar;
}

/**
 * A model of the zoo written in tfjs's operators.
 * @throws VersusError `unsupported` for models that nobody wrote: what is here is a ViT and a Llama
 */
export function networkOf(model: ModelDef, p: Parameters, { batch, sequence }: AutogradSizes): Network {
  const { family, config, name } = model;
  const traits = config as Readonly<Record<string, unknown>>;
  const { naming, activation } = traits;
  const isNamed = naming === 'vit' || naming === 'deit';
  const isPlain = activation === 'gelu' && !traits.normFirst && traits.distillation === 'none';
  if ((family === 'vit' || family === 'deit') && isNamed && isPlain)
    return vit(p, config as unknown as VitShape, naming, batch);
  const isLlama = family === 'llama' && activation === 'silu' && !traits.fused && !traits.window;
  if (isLlama && sequence !== undefined) return llama(p, config as unknown as LlamaShape, batch, sequence);
  throw new VersusError('unsupported', 'the model is not written in tfjs’s own operators', {
    where: name,
    next: 'compare a ViT or a Llama with tfjs’s autograd, or train this one on the backend tfjs-wasm',
  });
}
