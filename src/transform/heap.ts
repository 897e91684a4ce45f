/** Something with the bytes that it costs. */
interface Offer<T> {
  readonly item: T;
  readonly bytes: number;
}

/** A binary heap: what comes first by an order is at hand in a time that grows with the logarithm of how much there is. */
export class Heap<T> {
  readonly #offers: Offer<T>[] = [];
  readonly #compare: (a: Offer<T>, b: Offer<T>) => number;

  constructor(compare: (a: Offer<T>, b: Offer<T>) => number) {
    this.#compare = compare;
  }

  get top(): Offer<T> | undefined {
    return this.#offers[0];
  }

  push(offer: Offer<T>): void {
    const offers = this.#offers;
    let at = offers.push(offer) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (this.#compare(offers[above]!, offer) <= 0) break;
      offers[at] = offers[above]!;
      at = above;
    }
    offers[at] = offer;
  }

  pop(): Offer<T> | undefined {
    const offers = this.#offers;
    const first = offers[0];
    const last = offers.pop();
    if (last === undefined || offers.length === 0) return first;
    let at = 0;
    while (2 * at + 1 < offers.length) {
      let below = 2 * at + 1;
      if (below + 1 < offers.length && this.#compare(offers[below + 1]!, offers[below]!) < 0) below++;
      if (this.#compare(last, offers[below]!) <= 0) break;
      offers[at] = offers[below]!;
      at = below;
    }
    offers[at] = last;
    return first;
  }
}
