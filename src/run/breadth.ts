import type { Availability, Backend } from '../core/backend.ts';
import { type Arm, type Suite, TIERS, type Tier, type Use } from '../core/suite.ts';

/**
 * How much of a suite a backend is asked for where nobody names it:
 * - `all`: everything of the profile's tier;
 * - `lowest`: arms and batches of the lowest tier that the suite has, but those that it leaves to the main backends;
 * - `one`: the first arm of those.
 */
export type Breadth = 'all' | 'lowest' | 'one';

/**
 * What a backend is asked for in a profile, by what it is. A run takes as long as its backends times what they are asked for, so
 * those that say least per minute are asked for least.
 *
 * | backend | smoke | default | release |
 * | --- | --- | --- | --- |
 * | any; a secondary one on a GPU | all | all | all |
 * | a secondary one on the processor | one | lowest | all |
 * | on a GPU emulated on the processor: correctness alone | one | one | lowest |
 */
export function breadthOf(backend: Backend, probe: Availability, tier: Tier): Breadth {
  if (!probe.available) return 'all';
  const { kind, software } = probe.device;
  if (software) return tier === 'release' ? 'lowest' : 'one';
  if (!backend.secondary || kind === 'gpu') return 'all';
  return ({ smoke: 'one', default: 'lowest', release: 'all' } as const)[tier];
}

/** Whether a breadth takes in an arm at a batch. */
export function takesIn(breadth: Breadth, suite: Suite, arm: Arm, batch: Use['batches'][number]): boolean {
  if (breadth === 'all') return true;
  if (arm.mainBackendsOnly) return false;
  const tierOf = (of: Arm): Tier => of.tier ?? 'default';
  const arms = suite.arms.filter(({ mainBackendsOnly }) => !mainBackendsOnly);
  const lowestArms = lowest(arms.map(tierOf));
  const lowestBatches = lowest(suite.uses.flatMap((use) => use.batches.map(({ tier }) => tier ?? 'smoke')));
  if (tierOf(arm) !== lowestArms || (batch.tier ?? 'smoke') !== lowestBatches) return false;
  return breadth === 'lowest' || arm === arms.find((other) => tierOf(other) === lowestArms);
}

const lowest = (tiers: readonly Tier[]): Tier => TIERS.find((tier) => tiers.includes(tier))!;
