import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';

/** What a workload asks of a model, in tokens per sequence. */
interface Lengths {
  readonly promptTokens: number;
  readonly newTokens: number;
  /** The image's, and what is said around it; none without an image. */
  readonly imageTokens?: number;
}

/**
 * That a model's table of positions has a row for every token, of the prompt and of the answer. A runtime would only say
 * that an index is out of bounds.
 * @throws VersusError `usage` that names the parameter and the limit
 */
export function checkContext(
  { name, context }: Pick<ModelDef, 'name' | 'context'>,
  { promptTokens, newTokens, imageTokens = 0 }: Lengths,
): void {
  if (context === undefined) return;
  const refuse = (what: string, next: string): never => {
    throw new VersusError('usage', `${what}, and the model has positions for ${context}`, {
      where: `model ${name}`,
      next,
    });
  };
  if (newTokens > context) refuse(`newTokens is ${newTokens}`, `give newTokens of at most ${context}`);
  if (imageTokens >= context) {
    refuse(`the image alone is ${imageTokens} tokens`, 'give the model smaller images');
  }
  if (imageTokens + promptTokens <= context) return;
  const image = imageTokens > 0 ? `, with ${imageTokens} of the image` : '';
  refuse(`promptTokens is ${promptTokens}${image}`, `give promptTokens of at most ${context - imageTokens}`);
}
