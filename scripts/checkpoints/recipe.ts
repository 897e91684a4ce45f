import type { Tensors } from '../../src/core/tensor.ts';
import type { Example } from '../../src/training/examples.ts';
import type { Sizes } from '../../src/training/forward/index.ts';

/** Everything that a shipped checkpoint follows from, besides the engine. */
export interface Recipe {
  readonly name: string;
  /** One sentence for the card. */
  readonly about: string;
  /** `config.json`, as transformers writes it. */
  readonly config: Readonly<Record<string, unknown>>;
  /** `preprocessor_config.json`, likewise. */
  readonly preprocessor?: Readonly<Record<string, unknown>>;
  /** Whether the folder gets the vocabulary of all texts as `tokenizer.json`. */
  readonly reads: boolean;
  /** What the model learns from, in words and as examples. */
  readonly data: string;
  examples(): Promise<readonly Example[]>;
  readonly sizes: Sizes;
  /** Text ahead of the image. */
  readonly before?: string;
  readonly steps: number;
  /** Highest learning rate; it rises over `warmup` steps and falls along half a cosine. */
  readonly rate: number;
  readonly warmup: number;
  /** Of matrices; vectors and embeddings don't decay. */
  readonly weightDecay: number;
  readonly labelSmoothing?: number;
  readonly seed: number;
  /** Numbers by parameter in place of drawn ones: the parts of other checkpoints that this one begins with. */
  starts?(folder: string): Promise<Tensors>;
}
