/** Every model that the zoo knows by name, and what to do with a checkpoint of its families. */
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { CLASSICAL_MODELS } from './members/classical.ts';
import { CLIP_MODELS } from './members/clips.ts';
import { CONTRASTIVE_MODELS } from './members/contrastive.ts';
import { CONVNET_MODELS } from './members/convnets.ts';
import { FLORENCE_MODELS } from './members/florence.ts';
import { IMAGE_MODELS } from './members/images.ts';
import { LANGUAGE_MODELS } from './members/language.ts';
import { PHI3_MODELS } from './members/phi3.ts';
import { QWEN2_VL_MODELS } from './members/qwen2-vl.ts';

const MODELS: readonly ModelDef[] = [
  ...IMAGE_MODELS,
  ...CONVNET_MODELS,
  ...CLASSICAL_MODELS,
  ...CLIP_MODELS,
  ...CONTRASTIVE_MODELS,
  ...LANGUAGE_MODELS,
  ...PHI3_MODELS,
  ...QWEN2_VL_MODELS,
  ...FLORENCE_MODELS,
];

/** All models, families together, the larger variants behind the smaller. */
export function models(): readonly ModelDef[] {
  return MODELS;
}

/** The model of that name. */
export function findModel(name: string): ModelDef | undefined {
  return MODELS.find((m) => m.name === name);
}

/**
 * The model of that name, for suites and configs.
 * @throws VersusError `usage` that lists the names
 */
export function model(name: string): ModelDef {
  const found = findModel(name);
  if (found) return found;
  const names = MODELS.map((m) => m.name).join(', ');
  throw new VersusError('usage', `the zoo has no model ${JSON.stringify(name)}`, {
    next: `use one of: ${names}`,
  });
}
