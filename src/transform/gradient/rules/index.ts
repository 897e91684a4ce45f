import type { RuleTable } from '../rule.ts';
import { binary } from './binary.ts';
import { imageRules } from './images.ts';
import { products } from './matmul.ts';
import { reductions } from './reduce.ts';

/** The gradient of every standard operator that can be trained through. */
export const RULES: RuleTable = { ...binary, ...products, ...reductions, ...imageRules };

/** Of onnxruntime's own operators. */
export const MICROSOFT_RULES: RuleTable = {};

/** Of the operators that our own transforms make. */
export const VERSUS_RULES: RuleTable = {};
