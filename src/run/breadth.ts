import type { Availability } from '../core/backend.ts';
import { type Arm, type Suite, TIERS, type Tier, type Use } from '../core/suite.ts';

/**
 * How much of a suite a backend is asked for where nobody names it:
 * - `all`: everything of the profile's tier;
 * - `lowest`: arms and batches of the lowest tier that the suite has, but those that it leaves to the main backends;
 * - `one`: the first arm of those.
 */
export type Breadth = 'all' | 'lowest' | 'one';

/**
 * What a backend is asked for in a profile, by where it computes. A run's time is that of its slowest backend times what that
 * is asked for, so breadth goes to what a comparison of models needs: one backend on the processor, and every real GPU.
 *
 * | where it computes | smoke | default | release |
 * | --- | --- | --- | --- |
 * | parity's reference backend; a GPU | all | all | all |
 * | any other backend on the processor | one | lowest | all |
 * | a GPU emulated on the processor: correctness alone | one | one | lowest |
 */
export function breadthOf(backend: string, probe: Availability, tier: Tier, reference: string): Breadth {
  if (!probe.available) return 'all';
  const { kind, software } = probe.device;
  if (software) return tier === 'release' ? 'lowest' : 'one';
  if (kind === 'gpu' || backend === reference) return 'all';
  return { smoke: 'one', default: 'lowest', release: 'all' }[tier] as Breadth;
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
