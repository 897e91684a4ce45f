import type { GateConfig } from '../../src/core/config.ts';
import type { Summary } from '../../src/core/report.ts';
import { type Baseline, saveBaseline } from '../../src/gate/baseline.ts';
import { confirm } from '../../src/gate/confirm.ts';
import { judge } from '../../src/gate/judge.ts';
import type { GateResult } from '../../src/gate/result.ts';
import { summariseRounds } from '../../src/stats/rounds.ts';
import { cellOf, END, runOf } from '../stats/records.ts';

export const CONFIG: GateConfig = {
  tolerance: { default: 0.05, peak_rss: 0.1 },
  alpha: 0.05,
  minRounds: 6,
  baseline: 'main.json',
};

/** How round medians scatter: relative standard deviation, share and size of rounds that something disturbed, and the scatter of whole runs. */
export interface Noise {
  readonly sd: number;
  readonly spikes: number;
  readonly spike: number;
  /** Standard deviation of the level of a run: what no number of rounds within the run averages out. */
  readonly run: number;
}

/** A quiet machine, a desktop in use, and a shared virtual machine. */
export const NOISE = {
  quiet: { sd: 0.005, spikes: 0.02, spike: 0.05, run: 0.001 },
  desktop: { sd: 0.012, spikes: 0.05, spike: 0.1, run: 0.004 },
  shared: { sd: 0.03, spikes: 0.1, spike: 0.25, run: 0.01 },
} as const satisfies Record<string, Noise>;

export const info = (fingerprint = 'f1') => ({
  run: runOf([], { environment: { ...runOf([]).environment, fingerprint } }),
  end: END,
  peaks: [],
  cells: [],
  warnings: [],
});

export function latencyRow(arm: string, values: readonly number[], over: Partial<Summary> = {}): Summary {
  return {
    ...cellOf(arm),
    schema_version: 1,
    run_id: 'r1',
    device: 'cpu',
    phase: 'steady',
    metric: 'latency',
    unit: 'ms',
    better: 'lower',
    n: values.length * 40,
    rounds: values.length,
    assume: 'nothing',
    values,
    status: 'ok',
    reason: null,
    model_sha256: null,
    ...summariseRounds(values),
    ...over,
  };
}

/** A latency and its inverse, the throughput, of each of `cases` models. */
export function noisyRun(
  draw: () => number,
  noise: Noise,
  options: { cases: number; rounds: number; slowdown?: (arm: number) => number },
): Summary[] {
  return Array.from({ length: options.cases }, (_, arm) => {
    const level = (options.slowdown?.(arm) ?? 1) * Math.exp(noise.run * draw());
    const values = Array.from({ length: options.rounds }, () => {
      // P(|z| > 1.96) = 5%, and so on: a spike where the normal draw falls into its tail.
      const disturbed = Math.abs(draw()) > tail(noise.spikes) ? 1 + noise.spike * Math.abs(draw()) : 1;
      return 50 * level * disturbed * Math.exp(noise.sd * draw());
    });
    const rates = values.map((v) => 1000 / v);
    return [
      latencyRow(`arm-${arm}`, values),
      latencyRow(`arm-${arm}`, rates, {
        ...{ metric: 'throughput', unit: 'images/s', better: 'higher' },
        ...summariseRounds(rates),
      }),
    ];
  }).flat();
}

function tail(share: number): number {
  return share >= 0.1 ? 1.645 : share >= 0.05 ? 1.96 : 2.326;
}

/** One commit through the gate: baseline, run, and a second measurement of what was suspected. */
export function gateOnce(
  draw: () => number,
  noise: Noise,
  options: {
    cases: number;
    rounds: number;
    slowdown?: (arm: number) => number;
    tolerance?: number;
  },
): GateResult {
  const { slowdown: _, tolerance = 0.05, ...before } = options;
  const config = { ...CONFIG, tolerance: { default: tolerance } };
  const baseline: Baseline = saveBaseline(info(), noisyRun(draw, noise, before));
  const result = judge(baseline, info(), noisyRun(draw, noise, options), config);
  return confirm(result, noisyRun(draw, noise, options));
}
