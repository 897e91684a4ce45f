import { RESNET, VIT } from './classifiers.ts';
import { CLIP } from './contrastive.ts';
import { LLM, VLM } from './language.ts';
import type { Recipe } from './recipe.ts';

/** In the order in which they train: the last begins with what the one before it learnt. */
export const RECIPES: readonly Recipe[] = [RESNET, VIT, CLIP, LLM, VLM];
