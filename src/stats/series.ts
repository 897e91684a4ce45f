import type { PhaseSamples } from '../core/record.ts';
import type { Metric } from '../core/workload.ts';

/**
 * The values of a timed metric in one process, in time order: milliseconds per repetition (`duration`) or per step
 * (`step`), items per second of each repetition (`rate`), GFLOP/s of each repetition (`flops`, from `macs` per
 * repetition; one multiply–accumulate is two operations). Empty where none of its phases was timed, or MACs are unknown.
 */
export function seriesOf(
  metric: Pick<Metric, 'of' | 'phases'>,
  samples: readonly PhaseSamples[],
  macs: number | null,
): ArrayLike<number> {
  const phases = metric.phases;
  const parts = samples.filter((s) => s.ms.length > 0 && (phases === undefined || phases.includes(s.phase)));
  switch (metric.of) {
    case 'duration':
      return perRepetition(parts, 'ms');
    case 'step':
      return parts.length === 1 ? parts[0]!.ms : parts.flatMap((p) => p.ms);
    case 'rate': {
      const ms = perRepetition(parts, 'ms');
      const items = perRepetition(parts, 'items');
      const rates = new Float64Array(ms.length);
      for (let i = 0; i < rates.length; i++) rates[i] = (1000 * items[i]!) / ms[i]!;
      return rates;
    }
    case 'flops': {
      if (macs === null) return [];
      const ms = perRepetition(parts, 'ms');
      const flops = new Float64Array(ms.length);
      for (let i = 0; i < flops.length; i++) flops[i] = (2 * macs) / (ms[i]! * 1e6);
      return flops;
    }
    case 'score':
      return [];
  }
}

/** Milliseconds or items summed over the steps of each repetition, in order of first appearance. */
export function perRepetition(parts: readonly PhaseSamples[], field: 'ms' | 'items'): readonly number[] {
  if (parts.length === 0) return [];
  const first = parts[0]!;
  // One step per repetition is the common case by far, and 100,000 records have to go through here in a second.
  if (parts.length === 1 && strictlyRising(first.rep)) return first[field];
  const sums = new Map<number, number>();
  for (const part of parts) {
    const values = part[field];
    for (let i = 0; i < values.length; i++) {
      const rep = part.rep[i]!;
      sums.set(rep, (sums.get(rep) ?? 0) + values[i]!);
    }
  }
  return [...sums.values()];
}

function strictlyRising(rep: readonly number[]): boolean {
  for (let i = 1; i < rep.length; i++) if (rep[i]! <= rep[i - 1]!) return false;
  return true;
}
