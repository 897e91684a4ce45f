import { createHash, type Hash } from 'node:crypto';
import type { Layout, TensorEntry } from './header.ts';

/**
 * The identity of numbers by what they are: SHA-256 over name, type, shape and SHA-256 of every tensor, in the order of their
 * names. Where they came from, how they were cut into files and where they lie in one has no part in it. A tensor's bytes
 * come in order; tensors may take turns.
 */
export class ContentHash {
  readonly #entries: ReadonlyMap<string, TensorEntry>;
  readonly #open = new Map<string, { hash: Hash; left: number }>();
  readonly #digests = new Map<string, string>();

  constructor({ entries }: Layout) {
    this.#entries = new Map(entries.map((entry) => [entry.name, entry]));
  }

  update(name: string, bytes: Uint8Array): void {
    const tensor = this.#open.get(name) ?? this.#begin(name);
    tensor.hash.update(bytes);
    tensor.left -= bytes.byteLength;
    if (tensor.left > 0) return;
    this.#digests.set(name, tensor.hash.digest('hex'));
    this.#open.delete(name);
  }

  /** `numbers:` and 64 hex digits, once all tensors are complete. */
  digest(): string {
    const whole = createHash('sha256');
    // By code unit, which is the same in every locale.
    for (const name of [...this.#entries.keys()].sort()) {
      const { dtype, shape, begin, end } = this.#entries.get(name)!;
      const digest = begin === end ? '' : this.#digests.get(name);
      if (digest === undefined) throw new Error(`${name} was not hashed to its end`);
      whole.update(`${JSON.stringify([name, dtype, shape, digest])}\n`);
    }
    return `numbers:${whole.digest('hex')}`;
  }

  #begin(name: string): { hash: Hash; left: number } {
    const { begin, end } = this.#entries.get(name)!;
    const tensor = { hash: createHash('sha256'), left: end - begin };
    this.#open.set(name, tensor);
    return tensor;
  }
}
