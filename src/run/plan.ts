import { createHash } from 'node:crypto';
import { type Availability, type Backend, PRECISIONS, type Precision } from '../core/backend.ts';
import type { Config, Profile } from '../core/config.ts';
import { VersusError } from '../core/errors.ts';
import type { Cell, Status, SuiteInfo } from '../core/record.ts';
import { type Arm, type Suite, TIERS, type Tier, type Use } from '../core/suite.ts';
import { breadthOf, suits, takesIn } from './breadth.ts';
import { checkFilter, matcher, type PlanFilter } from './filter.ts';

/** What each backend of the config said when it was probed, by name. */
export type Probes = ReadonlyMap<string, Availability>;

/** Why a cell that was asked for cannot be measured here. */
export interface Blocked {
  readonly status: Extract<Status, 'unavailable' | 'unsupported'>;
  readonly reason: string;
}

export interface Plan {
  readonly profileName: string;
  readonly profile: Profile;
  readonly rounds: number;
  /** The most rounds of some cells, by case_id; the others have all of them. */
  readonly limits: ReadonlyMap<string, number>;
  readonly cells: readonly Cell[];
  /** Cells that become records without being run, by case_id. */
  readonly blocked: ReadonlyMap<string, Blocked>;
  /** Backends on a software adapter: parity is checked, speed is not measured. */
  readonly software: ReadonlySet<string>;
  /** Cells that are not asked for quality, which takes long on their backends; that it is the others' follows from parity. */
  readonly unscored: ReadonlySet<string>;
  readonly suites: readonly SuiteInfo[];
}

/**
 * Suites × workloads × batches × arms × backends × precisions, as far as profile and filter go.
 * Batches without a tier belong to every tier; arms without one to `default`. Suites that have an overview are asked for that tier where
 * nothing is named (`tierOf`).
 * A backend that the user did not name is asked for as much of a suite as `breadth.ts` gives it.
 * What a backend must have to take an arm at all is the arm's to say (`Arm.needs`).
 * A backend that is unavailable or an oracle, or a precision that a backend lacks here, is planned only where the user named it.
 * @throws VersusError `usage` for unknown names, colliding cells and a filter that leaves nothing.
 */
export function plan(config: Config, filter: PlanFilter, probes: Probes): Plan {
  checkFilter(config, filter);
  const profile = config.profiles[filter.profile]!;
  const cells: Cell[] = [];
  const blocked = new Map<string, Blocked>();
  const software = new Set<string>();
  for (const [name, probe] of probes) if (probe.available && probe.device.software) software.add(name);

  const suites = suitesOf(config, profile, filter);
  const ids = new Set<string>();
  const limits = new Map<string, number>();
  const unscored = new Set<string>();
  for (const suite of suites) {
    const tier = tierOf(profile, filter, suite);
    for (const { cell, obstacle, limit, scored } of cellsOf(config, suite, tier, filter, probes)) {
      if (ids.has(cell.case_id)) {
        throw new VersusError('usage', `two uses in suite ${suite.name} make the same case ${cell.case_id}`, {
          where: `suite ${suite.name}, workload ${cell.workload}`,
          next: 'Give one of the two workloads (or arms) another name.',
        });
      }
      ids.add(cell.case_id);
      if (filter.cases && !filter.cases.includes(cell.case_id)) continue;
      if (!inShard(cell, filter.shard)) continue;
      cells.push(cell);
      if (obstacle) blocked.set(cell.case_id, obstacle);
      if (!scored) unscored.add(cell.case_id);
      if (limit !== undefined && profile.tier !== 'release') limits.set(cell.case_id, limit);
    }
  }
  if (cells.length === 0 && !filter.shard) {
    throw new VersusError(
      'usage',
      `there is nothing to measure in profile ${filter.profile} for what was asked`,
      {
        where: `profile ${filter.profile}, tier ${profile.tier}`,
        next: 'Ask for a profile of a higher tier (--profile release), or see what there is: versus list suites.',
      },
    );
  }
  return {
    profileName: filter.profile,
    profile,
    rounds: filter.rounds ?? profile.rounds,
    limits,
    cells,
    blocked,
    software,
    unscored,
    suites: suites
      .filter(({ name }) => cells.some((cell) => cell.suite === name))
      .map((suite) => infoOf(suite, config.backends)),
  };
}

function suitesOf(config: Config, profile: Profile, filter: PlanFilter): Suite[] {
  const wanted = filter.suites?.length ? filter.suites : profile.suites;
  return config.suites.filter((suite) => !wanted || wanted.includes(suite.name));
}

/** The tier that a run has of a suite: what is named is asked for in full. */
export function tierOf(
  { tier, unnamed = tier }: Profile,
  { suites, models, cases }: PlanFilter,
  { overview }: Suite,
): Tier {
  return suites?.length || models?.length || cases || !overview ? tier : unnamed;
}

interface Candidate {
  readonly cell: Cell;
  readonly obstacle: Blocked | null;
  readonly limit: number | undefined;
  readonly scored: boolean;
}

function* cellsOf(
  config: Config,
  suite: Suite,
  tier: Tier,
  filter: PlanFilter,
  probes: Probes,
): Generator<Candidate> {
  const wantedModel = filter.models?.length ? matcher(filter.models) : () => true;
  const named = (list: readonly string[] | undefined, name: string) => list?.includes(name) ?? false;
  const chosen = PRECISIONS.filter((p) =>
    filter.precisions?.length ? named(filter.precisions, p) : p === 'fp32',
  );
  for (const use of suite.uses) {
    for (const batch of use.batches) {
      if (!within(batch.tier ?? 'smoke', tier)) continue;
      for (const arm of suite.arms) {
        if (!within(arm.tier ?? 'default', tier) || !within(tier, arm.until ?? 'release')) continue;
        if (use.arms && !use.arms.includes(arm.name)) continue;
        if (!wantedModel(arm.model.name) && !wantedModel(arm.name)) continue;
        for (const backend of config.backends) {
          const asked = named(filter.backends, backend.name);
          if (filter.backends?.length ? !asked : backend.oracle) continue;
          if (!suits(backend, arm)) continue;
          const probe = probes.get(backend.name);
          const breadth = probe && !asked ? breadthOf(backend, probe, tier) : 'all';
          if (!takesIn(breadth, suite, arm, batch, { backend, tier })) continue;
          const scored = breadth !== 'one' && !(probe?.available && probe.device.software);
          for (const precision of suite.precisions ?? chosen) {
            if (filter.precisions?.length && !filter.precisions.includes(precision)) continue;
            const obstacle = obstacleOf(backend.name, precision, probe);
            if (obstacle && !asked && !named(filter.precisions, precision)) continue;
            if (obstacle?.status === 'unavailable' && !asked) continue;
            const cell = cellOf(suite, use, arm, backend.name, precision, batch.size);
            yield { cell, obstacle, limit: arm.rounds, scored };
          }
        }
      }
    }
  }
}

function obstacleOf(backend: string, precision: Precision, probe: Availability | undefined): Blocked | null {
  if (!probe) return { status: 'unavailable', reason: `${backend} was not probed` };
  if (!probe.available) {
    const fix = probe.fix ? ` To change that: ${probe.fix}` : '';
    return { status: 'unavailable', reason: `${probe.reason}${fix}` };
  }
  if (!probe.precisions.includes(precision)) {
    return { status: 'unsupported', reason: `${backend} has no ${precision} on ${probe.device.name}` };
  }
  return null;
}

function cellOf(suite: Suite, use: Use, arm: Arm, backend: string, precision: string, batch: number): Cell {
  return named({
    suite: suite.name,
    workload: use.workload.name,
    arm: arm.name,
    group: arm.group ?? null,
    model: arm.model.name,
    backend,
    precision,
    batch,
    ...(arm.params && { settings: JSON.stringify(arm.params) }),
  });
}

function named(cell: Omit<Cell, 'case_id'>): Cell {
  const { suite, workload, arm, backend, precision, batch } = cell;
  return { case_id: `${suite}/${workload}/${arm}/${backend}/${precision}/b${batch}`, ...cell };
}

/**
 * The cell whose outputs on the reference backend this cell is compared with: in fp32, or for weights in blocks those of the
 * same blocks. What rounding the weights does to the outputs is a property of the model, not a fault of the backend.
 */
export function referenceCell(cell: Cell, backend: string): Cell {
  const { case_id: _, ...rest } = cell;
  return named({ ...rest, backend, precision: cell.precision === 'fp16' ? 'fp32' : cell.precision });
}

const within = (tier: Tier, limit: Tier): boolean => TIERS.indexOf(tier) <= TIERS.indexOf(limit);

/**
 * The arms of one question stay together, so that what is compared was measured on one machine: the hash leaves the arm out.
 */
function inShard(cell: Cell, shard: PlanFilter['shard']): boolean {
  if (!shard) return true;
  const key = `${cell.suite}/${cell.workload}/${cell.backend}/${cell.precision}/b${cell.batch}`;
  return createHash('sha256').update(key).digest().readUInt32LE(0) % shard.of === shard.index - 1;
}

function infoOf(suite: Suite, backends: readonly Backend[]): SuiteInfo {
  const [first, ...others] = suite.arms.map((arm) => arm.name);
  const only = suite.arms
    .filter(({ needs }) => needs !== undefined)
    .map((arm) => [arm.name, backends.filter((of) => suits(of, arm)).map(({ name }) => name)] as const);
  return {
    name: suite.name,
    question: suite.question,
    headline: suite.headline,
    contrasts: suite.contrasts ?? (first ? others.map((other) => [first, other] as const) : []),
    metrics: Object.fromEntries(suite.uses.map((use) => [use.workload.name, use.workload.metrics])),
    ...(only.length > 0 && { only: Object.fromEntries(only) }),
    ...(suite.growth && { growth: suite.growth }),
  };
}
