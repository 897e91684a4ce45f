import type { Shape, ValueInfo } from '../core/graph.ts';
import { exactQuotient } from './dims.ts';
import type { Value } from './fluent.ts';
import type { Type } from './ops/entry.ts';

/** A value of which a dimension is so many times the one that is looked for. */
export interface Holder {
  readonly source: Value;
  readonly at: number;
  readonly times: number;
}

/**
 * Where a symbolic dimension can be read when a graph runs: the first input, else the first value, that has exactly this
 * dimension, else an input that has a whole multiple of it.
 */
export function holderOf(
  name: string,
  inputs: readonly ValueInfo[],
  types: ReadonlyMap<string, Type>,
): Holder | undefined {
  const holders = (sources: readonly { name: string; dtype: Value['dtype']; shape: Shape }[]): Holder[] =>
    sources.flatMap((source) =>
      source.shape.flatMap((d, at) => {
        const times = typeof d === 'string' ? exactQuotient(d, name) : null;
        return typeof times === 'number' ? [{ source, at, times }] : [];
      }),
    );
  const exact = (h: Holder): boolean => h.times === 1;
  const fed = holders(inputs);
  const made = [...types].map(([value, type]) => ({ name: value, ...type }));
  return fed.find(exact) ?? holders(made).find(exact) ?? fed[0];
}
