import type { Facts, PhaseSamples } from '../core/record.ts';
import type { Metric } from '../core/workload.ts';

/**
 * The values of a timed metric in one process, in time order: milliseconds per repetition (`duration`) or per step
 * (`step`), items per second of each repetition (`rate`), GFLOP/s of each repetition (`flops`, from the MACs of a repetition;
 * one multiply–accumulate is two operations). Empty where none of its phases was timed, or a fact that it needs is unknown.
 */
export function seriesOf(
  metric: Pick<Metric, 'of' | 'phases' | 'minus' | 'per'>,
  samples: readonly PhaseSamples[],
  facts: Pick<Facts, 'macs' | 'told'> | null,
): ArrayLike<number> {
  const phases = metric.phases;
  const parts = samples.filter((s) => s.ms.length > 0 && (phases === undefined || phases.includes(s.phase)));
  switch (metric.of) {
    case 'duration': {
      if (metric.minus === undefined) return perRepetition(parts, 'ms');
      const less = samples.filter((s) => s.ms.length > 0 && metric.minus!.includes(s.phase));
      return less.length === 0 ? [] : difference(parts, less);
    }
    case 'step':
      return parts.length === 1 ? parts[0]!.ms : parts.flatMap((p) => p.ms);
    case 'rate': {
      const ms = perRepetition(parts, 'ms');
      const items = perRepetition(parts, 'items');
      const per = metric.per === undefined ? 1 : facts?.told?.[metric.per];
      if (per === undefined) return [];
      const rates = new Float64Array(ms.length);
      for (let i = 0; i < rates.length; i++) rates[i] = (1000 * per * items[i]!) / ms[i]!;
      return rates;
    }
    case 'flops': {
      const macs = facts?.macs ?? null;
      if (macs === null) return [];
      const ms = perRepetition(parts, 'ms');
      const flops = new Float64Array(ms.length);
      for (let i = 0; i < flops.length; i++) flops[i] = (2 * macs) / (ms[i]! * 1e6);
      return flops;
    }
    case 'score':
    case 'fact':
      return [];
  }
}

/** Milliseconds of each repetition that has both, those of `less` taken off. */
function difference(parts: readonly PhaseSamples[], less: readonly PhaseSamples[]): number[] {
  const sums = new Map<number, [more: number, less: number]>();
  for (const [side, of] of [parts, less].entries()) {
    for (const { ms, rep } of of) {
      for (let i = 0; i < ms.length; i++) {
        const sum = sums.get(rep[i]!) ?? [Number.NaN, Number.NaN];
        sum[side] = (Number.isNaN(sum[side]!) ? 0 : sum[side]!) + ms[i]!;
        sums.set(rep[i]!, sum);
      }
    }
  }
  return [...sums.values()].map(([more, off]) => more - off).filter(Number.isFinite);
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
