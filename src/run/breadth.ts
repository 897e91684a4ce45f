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
 * | backend | smoke | overview | default | release |
 * | --- | --- | --- | --- | --- |
 * | any; a secondary one on a GPU | all | all | all | all |
 * | a secondary one on the processor | one | one | lowest | all |
 * | on a GPU emulated on the processor: correctness alone | one | one | one | lowest |
 */
export function breadthOf(backend: Backend, probe: Availability, tier: Tier): Breadth {
  if (!probe.available) return 'all';
  const { kind, software } = probe.device;
  if (software) return tier === 'release' ? 'lowest' : 'one';
  if (!backend.secondary || kind === 'gpu') return 'all';
  return ({ smoke: 'one', overview: 'one', default: 'lowest', release: 'all' } as const)[tier];
}

/** Whether a backend has what an arm needs. */
export const suits = (backend: Backend, { needs }: Arm): boolean =>
  needs === undefined || backend.openAutograd !== undefined;

/**
 * Whether a breadth takes in an arm at a batch. Beside what it has of every suite, `lowest` has what hardly any other backend can
 * be asked: arms that need what this one has, and those of the tier that they are contrasted with.
 */
export function takesIn(
  breadth: Breadth,
  suite: Suite,
  arm: Arm,
  batch: Use['batches'][number],
  { backend, tier }: { readonly backend: Backend; readonly tier: Tier },
): boolean {
  if (breadth === 'all') return true;
  const lowestBatches = lowest(suite.uses.flatMap((use) => use.batches.map((of) => of.tier ?? 'smoke')));
  if ((batch.tier ?? 'smoke') !== lowestBatches) return false;
  if (breadth === 'lowest' && isOfAPair(suite, arm, backend, tier)) return true;
  if (arm.mainBackendsOnly) return false;
  const arms = suite.arms.filter(({ mainBackendsOnly }) => !mainBackendsOnly);
  const lowestArms = lowest(arms.map(tierOf));
  if (tierOf(arm) !== lowestArms) return false;
  return breadth === 'lowest' || arm === arms.find((other) => tierOf(other) === lowestArms);
}

/** It needs something of this backend, or is contrasted with an arm of the tier that does. */
function isOfAPair(suite: Suite, arm: Arm, backend: Backend, tier: Tier): boolean {
  const own = suite.arms.filter(
    (other) => other.needs && suits(backend, other) && TIERS.indexOf(tierOf(other)) <= TIERS.indexOf(tier),
  );
  const pairs = (suite.contrasts ?? []).filter((pair) => pair.includes(arm.name));
  return own.some((other) => other === arm || pairs.some((pair) => pair.includes(other.name)));
}

const tierOf = ({ tier }: Arm): Tier => tier ?? 'default';
const lowest = (tiers: readonly Tier[]): Tier => TIERS.find((tier) => tiers.includes(tier))!;
