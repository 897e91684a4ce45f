import type { Dim, Shape } from '../core/graph.ts';
import { sameDim } from './dims.ts';

/** Dimensions in order, neighbouring numbers together. */
export function runsOf(dims: readonly Dim[]): (number[] | string)[] {
  const runs: (number[] | string)[] = [];
  for (const d of dims) {
    const last = runs.at(-1);
    if (typeof d === 'string') runs.push(d);
    else if (Array.isArray(last)) last.push(d);
    else runs.push([d]);
  }
  return runs;
}

/** What Reshape is told to make `to` of `from`: 0 for a symbolic dimension that stays in its place, -1 for one other. */
export function reshapeTo(from: Shape, to: readonly Dim[]): Dim[] {
  const wanted = to.map((d, i): Dim => {
    const stays = typeof d === 'string' && from[i] !== undefined && sameDim(from[i], d);
    return stays ? 0 : d;
  });
  const open = wanted.findIndex((d) => typeof d === 'string');
  if (open >= 0) wanted[open] = -1;
  return wanted;
}
