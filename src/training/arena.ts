const MEGABYTE = 2 ** 20;
const ROUND = 256;
const PAGE = 4096;
/** A chunk is cut to what is asked for where this much or more would stay unused. */
const DEAD = 128 * MEGABYTE;

interface Chunk {
  readonly region: number;
  readonly from: number;
  size: number;
  free: boolean;
  before: Chunk | null;
  after: Chunk | null;
}

/**
 * onnxruntime's arena on the CPU (1.30, `bfc_arena.cc`): best fit with coalescing, in regions each twice as large as the last from 1 MiB
 * on. What it takes from the system is memory only where it was written to, so pages are counted, not regions.
 */
export class Arena {
  readonly #free = new Set<Chunk>();
  readonly #touched: Uint8Array[] = [];
  #next = MEGABYTE;
  #pages = 0;

  /** Bytes of pages that have ever been in use. */
  get touched(): number {
    return this.#pages * PAGE;
  }

  allocate(bytes: number): Chunk | null {
    if (bytes === 0) return null;
    const wanted = Math.ceil(bytes / ROUND) * ROUND;
    const chunk = this.#best(wanted) ?? this.#extended(wanted);
    this.#free.delete(chunk);
    if (chunk.size >= 2 * wanted || chunk.size - wanted >= DEAD) this.#split(chunk, wanted);
    chunk.free = false;
    const pages = this.#touched[chunk.region]!;
    const end = Math.ceil((chunk.from + bytes) / PAGE);
    for (let page = Math.floor(chunk.from / PAGE); page < end; page++) {
      this.#pages += 1 - pages[page]!;
      pages[page] = 1;
    }
    return chunk;
  }

  release(chunk: Chunk | null): void {
    if (!chunk) return;
    chunk.free = true;
    let whole = chunk;
    if (chunk.after?.free) this.#join(chunk, chunk.after);
    if (chunk.before?.free) {
      whole = chunk.before;
      this.#join(whole, chunk);
    }
    this.#free.add(whole);
  }

  /** The smallest that fits, of equal ones the first; bins (powers of two) only find it faster. */
  #best(wanted: number): Chunk | undefined {
    let best: Chunk | undefined;
    for (const chunk of this.#free) {
      if (chunk.size < wanted || (best && chunk.size > best.size)) continue;
      const earlier = best && (chunk.region - best.region || chunk.from - best.from) < 0;
      if (!best || chunk.size < best.size || earlier) best = chunk;
    }
    return best;
  }

  #extended(wanted: number): Chunk {
    const grown = wanted > this.#next;
    while (wanted > this.#next) this.#next *= 2;
    const region = this.#touched.push(new Uint8Array(this.#next / PAGE)) - 1;
    const chunk = { region, from: 0, size: this.#next, free: true, before: null, after: null };
    if (!grown) this.#next *= 2;
    return chunk;
  }

  #split(chunk: Chunk, size: number): void {
    const rest: Chunk = {
      ...{ region: chunk.region, from: chunk.from + size, size: chunk.size - size, free: true },
      ...{ before: chunk, after: chunk.after },
    };
    if (chunk.after) chunk.after.before = rest;
    chunk.after = rest;
    chunk.size = size;
    this.#free.add(rest);
  }

  #join(first: Chunk, second: Chunk): void {
    this.#free.delete(first);
    this.#free.delete(second);
    first.size += second.size;
    first.after = second.after;
    if (second.after) second.after.before = first;
  }
}
