import type { Opened } from './backend.ts';
import type { Tensors } from './tensor.ts';

/** AdamW as torch has it, in a runtime's own operators. */
export interface AutogradOptimiser {
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  /** Which parameters decay; all when left out. */
  readonly decays?: (param: string) => boolean;
  /** The norm of all gradients together is at most this: torch's `clip_grad_norm_`. */
  readonly clipNorm?: number;
}

export interface AutogradSizes {
  readonly batch: number;
  /** Tokens of a text, for language models. */
  readonly sequence?: number;
}

export interface AutogradOptions {
  readonly sizes: AutogradSizes;
  /** The weights to start from, float32, by the checkpoint's names. */
  readonly weights: Tensors;
  /** Parameters that train; all when left out. */
  readonly trainable?: ReadonlySet<string>;
  readonly optimiser: AutogradOptimiser;
}

/** A model that its runtime differentiates itself, and its weights and moments, which live from step to step. */
export interface AutogradSession extends Opened {
  /**
   * One step over a batch, fed as our step of the same model is.
   * @param scalars `lr`, `correction1` and `correction2` (1 − β^t of step t, from 1)
   * @returns the loss with the weights before the step
   * @throws VersusError `input` when the loss is no finite number, or for feeds that do not fit
   */
  run(batch: Tensors, scalars: Readonly<Record<string, number>>): Promise<{ readonly loss: number }>;
}
