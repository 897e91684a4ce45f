import type { RuleTable } from '../rule.ts';
import { averagePools } from './average-pool.ts';
import { batchNormalisations } from './batchnorm.ts';
import { convolutions } from './conv.ts';
import { depths } from './depth.ts';
import { groupNormalisations } from './group-norm.ts';
import { maxPools } from './max-pool.ts';
import { trailingNormalisations } from './norm.ts';
import { acrossNormalisations } from './norm-across.ts';
import { resampling } from './resize.ts';

/** Convolutions, pools, resampling, and all normalisations. */
export const imageRules: RuleTable = {
  ...acrossNormalisations,
  ...averagePools,
  ...batchNormalisations,
  ...convolutions,
  ...depths,
  ...groupNormalisations,
  ...maxPools,
  ...resampling,
  ...trailingNormalisations,
};
