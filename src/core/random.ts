/**
 * SplitMix32: one 32-bit word per call, a full period of 2^32, the same sequence on every machine
 * (integer arithmetic only). Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014),
 * with the 32-bit finaliser of MurmurHash3.
 */
export function splitmix32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
}

/** A 32-bit seed from text (FNV-1a), so that every name draws its own stream. */
export function seedOf(text: string, seed = 0): number {
  let h = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) {
    h ^= text.charCodeAt(i);
    h = Math.imul(h, 0x01000193);
  }
  return h >>> 0;
}

export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Whole number in [0, n). */
  below(n: number): number;
  /** One element of a non-empty array. */
  pick<T>(items: readonly T[]): T;
  /** A shuffled copy (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[];
}

/** Seeded random numbers for data and sampling; weights have a faster generator of their own. */
export function random(seed: number): Random {
  const next = splitmix32(seed);
  const uniform = () => next() / 4294967296;
  const below = (n: number) => Math.floor(uniform() * n);
  return {
    uniform,
    below,
    pick: (items) => items[below(items.length)]!,
    shuffle: (items) => {
      const out = [...items];
      for (let i = out.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [out[i], out[j]] = [out[j]!, out[i]!];
      }
      return out;
    },
  };
}
