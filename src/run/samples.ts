import type { PhaseSamples } from '../core/record.ts';

interface Growing {
  readonly phase: string;
  readonly ms: number[];
  readonly items: number[];
  readonly rep: number[];
}

/** Timed steps by phase, in time order, collected one by one or in chunks. */
export class SampleStore {
  #phases = new Map<string, Growing>();

  push(phase: string, ms: number, items: number, rep: number): void {
    const at = this.#of(phase);
    at.ms.push(ms);
    at.items.push(items);
    at.rep.push(rep);
  }

  add(chunk: readonly PhaseSamples[]): void {
    for (const { phase, ms, items, rep } of chunk) {
      for (let i = 0; i < ms.length; i++) this.push(phase, ms[i]!, items[i]!, rep[i]!);
    }
  }

  all(): PhaseSamples[] {
    return [...this.#phases.values()];
  }

  /** All that was collected, leaving nothing; times to the nanosecond, which is more than a clock can tell. */
  take(): PhaseSamples[] {
    const taken = this.all().map((p) => ({ ...p, ms: p.ms.map((ms) => Math.round(ms * 1e6) / 1e6) }));
    this.#phases = new Map();
    return taken;
  }

  #of(phase: string): Growing {
    let at = this.#phases.get(phase);
    if (!at) {
      at = { phase, ms: [], items: [], rep: [] };
      this.#phases.set(phase, at);
    }
    return at;
  }
}
