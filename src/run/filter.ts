import { PRECISIONS } from '../core/backend.ts';
import type { Config } from '../core/config.ts';
import { VersusError } from '../core/errors.ts';
import { requireNames, unknownName } from '../core/names.ts';

/** Which part of the config a run measures. What is left out is not limited. */
export interface PlanFilter {
  readonly profile: string;
  readonly suites?: readonly string[];
  /** Named here, a backend is planned even where it is unavailable, and the run says so. */
  readonly backends?: readonly string[];
  /** Names of models or arms; `*` and `?` stand for any characters and any one character. */
  readonly models?: readonly string[];
  readonly precisions?: readonly string[];
  /** 1-based part of so many. */
  readonly shard?: { readonly index: number; readonly of: number };
  /** Only cells with these case_ids: what a gate measures again. */
  readonly cases?: readonly string[];
  /** Speed rounds in place of the profile's. */
  readonly rounds?: number;
}

/** As many as a profile may ask for; each is a process per cell. */
const MOST_ROUNDS = 100_000;

/** @throws VersusError `usage` with the nearest names when the filter names something that the config doesn't have. */
export function checkFilter(config: Config, filter: PlanFilter): void {
  requireNames('profile', [filter.profile], Object.keys(config.profiles));
  requireNames('suite', filter.suites ?? [], names(config.suites));
  requireNames('backend', filter.backends ?? [], names(config.backends));
  requireNames('precision', filter.precisions ?? [], PRECISIONS);
  const models = [...new Set(config.suites.flatMap((s) => s.arms.flatMap((a) => [a.model.name, a.name])))];
  for (const glob of filter.models ?? []) {
    const matches = matcher([glob]);
    if (!models.some(matches)) throw unknownName('model', glob, models);
  }
  const { rounds } = filter;
  if (rounds !== undefined && !(Number.isSafeInteger(rounds) && rounds >= 1 && rounds <= MOST_ROUNDS)) {
    throw new VersusError('usage', `rounds must be a whole number from 1 to ${MOST_ROUNDS}, not ${rounds}`, {
      where: '--rounds',
    });
  }
  const { shard } = filter;
  if (shard && !(isPart(shard.index) && isPart(shard.of) && shard.index <= shard.of)) {
    throw new VersusError('usage', `there is no part ${shard.index} of ${shard.of}`, {
      where: '--shard',
      next: 'Write --shard I/N with 1 <= I <= N, for example --shard 1/4.',
    });
  }
}

const isPart = (n: number): boolean => Number.isSafeInteger(n) && n >= 1;
const names = (items: readonly { readonly name: string }[]): string[] => items.map((item) => item.name);

/** Whether a name matches at least one glob. */
export function matcher(globs: readonly string[]): (name: string) => boolean {
  const patterns = globs.map((glob) => {
    const source = glob
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*+/g, '.*')
      .replaceAll('?', '.');
    return new RegExp(`^${source}$`, 's');
  });
  return (name) => patterns.some((pattern) => pattern.test(name));
}
