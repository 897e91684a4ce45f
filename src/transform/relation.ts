/** Which of some things each of others is related to, as a bit each. */
export class Relation {
  readonly #words: number;
  readonly #bits: Uint32Array;

  constructor(rows: number, columns: number) {
    this.#words = Math.ceil(columns / 32);
    this.#bits = new Uint32Array(rows * this.#words);
  }

  add(row: number, column: number): void {
    this.#bits[row * this.#words + (column >>> 5)]! |= 1 << (column & 31);
  }

  /** Relates `row` to all that `other` is related to. */
  addAll(row: number, other: number): void {
    const [to, from] = [row * this.#words, other * this.#words];
    for (let i = 0; i < this.#words; i++) this.#bits[to + i]! |= this.#bits[from + i]!;
  }

  has(row: number, column: number): boolean {
    return ((this.#bits[row * this.#words + (column >>> 5)]! >>> (column & 31)) & 1) === 1;
  }

  /** What `row` is related to, ascending. */
  of(row: number): number[] {
    const found: number[] = [];
    const from = row * this.#words;
    for (let i = 0; i < this.#words; i++) {
      for (let bits = this.#bits[from + i]!; bits !== 0; bits &= bits - 1) {
        found.push(32 * i + 31 - Math.clz32(bits & -bits));
      }
    }
    return found;
  }
}
