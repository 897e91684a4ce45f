import { random } from '../../src/core/random.ts';

/** Seeded standard normal draws (Box–Muller). */
export function gaussian(seed: number): () => number {
  const { uniform } = random(seed);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** All subsets of `size` of 0 … n−1. */
export function subsets(n: number, size: number): number[][] {
  if (size === 0) return [[]];
  if (n < size) return [];
  return [...subsets(n - 1, size), ...subsets(n - 1, size - 1).map((s) => [...s, n - 1])];
}
