import type { Tensor } from '../../core/tensor.ts';
import type { Step } from './steps.ts';
import { dispose, type Value } from './value.ts';

/** Sets of input shapes whose fixed values are kept; a decoder's cache has another shape at every step. */
const KEPT = 4;

/** What every run with inputs of the same shapes, in the same places, has in common. */
export interface Common {
  /** The values that follow from constants and shapes. */
  readonly values: Map<string, Value>;
  /** Steps that the engine computes of what is there, without anything that has to come to the host first. */
  readonly onEngine: Set<Step>;
}

/** What runs have in common, by the shapes of the inputs. */
export class Fixed {
  private readonly bySignature = new Map<string, Common>();

  /** That of a set of inputs; empty when they have such shapes for the first time. */
  of(feeds: Readonly<Record<string, Tensor | Value>>): Common {
    const key = Object.entries(feeds)
      .map(([name, fed]) => `${name}:${fed.shape}${'data' in fed ? '' : ' on the engine'}`)
      .sort()
      .join(';');
    const known = this.bySignature.get(key) ?? { values: new Map(), onEngine: new Set() };
    // Last in the map means last used.
    this.bySignature.delete(key);
    this.bySignature.set(key, known);
    return known;
  }

  /** Frees those of the shapes that were not fed for the longest time. */
  trim(kept = KEPT): void {
    for (const [key, { values }] of this.bySignature) {
      if (this.bySignature.size <= kept) return;
      for (const value of values.values()) dispose(value);
      this.bySignature.delete(key);
    }
  }

  clear(): void {
    this.trim(0);
  }
}
