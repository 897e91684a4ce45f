import type { RuleTable } from '../rule.ts';
import { activations, contribActivations } from './activation.ts';
import { binary } from './binary.ts';
import { blocked } from './blocked.ts';
import { dropouts } from './dropout.ts';
import { summations } from './einsum.ts';
import { imageRules } from './images.ts';
import { indexing } from './indexing.ts';
import { losses } from './loss.ts';
import { products } from './matmul.ts';
import { reductions } from './reduce.ts';
import { shapes } from './shape.ts';
import { softmaxes } from './softmax.ts';
import { functions } from './unary.ts';

/** The gradient of every standard operator that can be trained through. */
export const RULES: RuleTable = {
  ...activations,
  ...binary,
  ...dropouts,
  ...functions,
  ...imageRules,
  ...indexing,
  ...losses,
  ...products,
  ...reductions,
  ...shapes,
  ...softmaxes,
  ...summations,
};

/** Of onnxruntime's own operators. */
export const MICROSOFT_RULES: RuleTable = { ...blocked, ...contribActivations };

/** Of the operators that our own transforms make. */
export const VERSUS_RULES: RuleTable = {};
