/** The last bytes of a stream, in bounded memory: what a worker printed before it died. */
export class Tail {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #held = 0;

  constructor(limit = 64 * 1024) {
    this.#limit = limit;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    if (this.#held > 2 * this.#limit) this.#shrink();
  }

  text(): string {
    this.#shrink();
    return this.#chunks.map((chunk) => chunk.toString('utf8')).join('');
  }

  #shrink(): void {
    const all = Buffer.concat(this.#chunks);
    const kept = Buffer.from(all.subarray(Math.max(0, all.length - this.#limit)));
    this.#chunks = [kept];
    this.#held = kept.length;
  }
}
