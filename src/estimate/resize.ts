import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';

type Size = readonly [height: number, width: number];

/**
 * A model for images of another size. Its hyperparameter `image` (or `vision.image`) changes, and with it whatever follows:
 * positions, windows, tokens.
 * @throws VersusError `usage` for a model that takes no images or whose image size is not a hyperparameter
 */
export function resized(model: ModelDef, size: Size): ModelDef {
  const config = model.config as { image?: unknown; vision?: { image?: unknown } } | null;
  if (isSize(config?.image)) return { ...model, config: { ...config, image: size } };
  if (isSize(config?.vision?.image)) {
    return { ...model, config: { ...config, vision: { ...config.vision, image: size } } };
  }
  throw new VersusError('usage', `${model.name} has no image size that could be changed`, {
    where: '--resolution',
    next: 'leave --resolution out, or give the sizes of its inputs with --dim NAME=N',
  });
}

function isSize(value: unknown): value is Size {
  return Array.isArray(value) && value.length === 2 && value.every((n) => typeof n === 'number');
}

/** A language model that gives the logits of every position, as training needs them. */
export function withAllLogits(model: ModelDef): ModelDef {
  const config = model.config as { logits?: unknown; text?: { logits?: unknown } } | null;
  if (config?.logits !== undefined) return { ...model, config: { ...config, logits: 'all' } };
  if (config?.text?.logits !== undefined) {
    return { ...model, config: { ...config, text: { ...config.text, logits: 'all' } } };
  }
  return model;
}
