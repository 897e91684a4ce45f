import { dispose, type Value } from './value.ts';

/** Sets of input shapes whose fixed values are kept; a decoder's cache has another shape at every step. */
const KEPT = 4;

/** The values that follow from constants and shapes, by the shapes of the inputs. */
export class Fixed {
  private readonly bySignature = new Map<string, Map<string, Value>>();

  /** Those of a set of inputs; empty when they have such shapes for the first time. */
  of(feeds: Readonly<Record<string, { readonly shape: readonly number[] }>>): Map<string, Value> {
    const key = Object.entries(feeds)
      .map(([name, { shape }]) => `${name}:${shape}`)
      .sort()
      .join(';');
    const known = this.bySignature.get(key) ?? new Map<string, Value>();
    // Last in the map means last used.
    this.bySignature.delete(key);
    this.bySignature.set(key, known);
    return known;
  }

  /** Frees those of the shapes that were not fed for the longest time. */
  trim(kept = KEPT): void {
    for (const [key, values] of this.bySignature) {
      if (this.bySignature.size <= kept) return;
      for (const value of values.values()) dispose(value);
      this.bySignature.delete(key);
    }
  }

  clear(): void {
    this.trim(0);
  }
}
