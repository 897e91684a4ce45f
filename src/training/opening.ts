import type { OpenOptions, TrainingTraits } from '../core/backend.ts';
import type { TrainingStep } from './step.ts';

type Options = Partial<OpenOptions>;

/**
 * Options with which a step is opened on a backend: those that it wants for training, those that keep what is computed twice on
 * purpose apart, and what the caller asks for, which has the last word. Groups of `extra` are joined entry by entry.
 */
export function openingOf(
  step: Pick<TrainingStep, 'recomputes'>,
  { open = {}, recomputing = {} }: TrainingTraits = {},
  asked: Options = {},
): Options {
  const all = [open, ...(step.recomputes ? [recomputing] : []), asked];
  const extra = all.map((options) => options.extra ?? {}).reduce(joined);
  return { ...Object.assign({}, ...all), ...(Object.keys(extra).length > 0 && { extra }) };
}

type Entries = Readonly<Record<string, unknown>>;

const isGroup = (value: unknown): value is Entries =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

const joined = (first: Entries, second: Entries): Entries => ({
  ...first,
  ...Object.fromEntries(
    Object.entries(second).map(([key, value]) => {
      const before = Object.hasOwn(first, key) ? first[key] : undefined;
      return [key, isGroup(before) && isGroup(value) ? joined(before, value) : value];
    }),
  ),
});
