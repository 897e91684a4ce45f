import type { Config, Profile, UserConfig } from '../core/config.ts';

/** A slow backend gets fewer repetitions in each round, never fewer rounds: intervals are over rounds. */
const base = { warmupRepetitions: 1, maxTimeMs: 4000, timeoutMs: 120_000 };

/** Of what a suite has by default. */
const usual: Profile = {
  ...base,
  tier: 'default',
  rounds: 6,
  memoryRounds: 2,
  minTimeMs: 400,
  minRepetitions: 3,
};

/**
 * What holds where a config file says nothing. Six rounds are the fewest whose median has a 95% interval without
 * any assumption about the distribution (the extremes of six: 1 − 2·½⁶ = 96.9%). `ci` has eight, so that the gate's exact
 * test can reach α after Holm's correction over some 300 rows (six reach it over 23).
 */
const DEFAULTS = {
  models: [],
  datasets: [],
  reporters: [],
  profiles: {
    smoke: { ...base, tier: 'smoke', rounds: 1, memoryRounds: 1, minTimeMs: 200, minRepetitions: 2 },
    ci: { ...base, tier: 'smoke', rounds: 8, memoryRounds: 3, minTimeMs: 500, minRepetitions: 5 },
    default: { ...usual, unnamed: 'overview' },
    full: usual,
    release: {
      tier: 'release',
      rounds: 12,
      memoryRounds: 6,
      minTimeMs: 2000,
      minRepetitions: 10,
      warmupRepetitions: 3,
      timeoutMs: 1_200_000,
    },
  },
  parity: { reference: 'onnxruntime-cpu', tolerance: { fp32: 1e-3, fp16: 2e-2, int8: 5e-2, int4: 1e-3 } },
  gate: {
    tolerance: { default: 0.05 },
    alpha: 0.05,
    minRounds: 6,
    baseline: 'reports/baselines/main.json',
  },
  cache: { dir: '.cache/versus', maxBytes: 12e9 },
  out: 'reports',
} satisfies Omit<Config, 'suites' | 'backends'>;

/** The config with every field filled in; nested objects are completed field by field. */
export function withDefaults(user: UserConfig): Config {
  return {
    ...DEFAULTS,
    ...user,
    profiles: { ...DEFAULTS.profiles, ...user.profiles },
    parity: {
      ...DEFAULTS.parity,
      ...user.parity,
      tolerance: { ...DEFAULTS.parity.tolerance, ...user.parity?.tolerance },
    },
    gate: {
      ...DEFAULTS.gate,
      ...user.gate,
      tolerance: { ...DEFAULTS.gate.tolerance, ...user.gate?.tolerance },
    },
    cache: { ...DEFAULTS.cache, ...user.cache },
  };
}
