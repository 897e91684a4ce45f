import type { Backend, Precision } from './backend.ts';
import type { DatasetDef } from './dataset.ts';
import type { ModelDef } from './model.ts';
import type { Reporter } from './report.ts';
import type { Suite, Tier, Use } from './suite.ts';

/** How much a run measures. */
export interface Profile {
  readonly tier: Tier;
  /**
   * Tier of a run that names no suites and no models, where that is another: what there is time for of every question. It is that of
   * suites which have an overview; of others it is `tier`.
   */
  readonly unnamed?: Tier;
  /** Speed rounds; from 6 on the 95% interval of the median needs no assumption. */
  readonly rounds: number;
  /** Processes measured for memory. */
  readonly memoryRounds: number;
  /** At least this long and this many repetitions per case and round, after the warm-up. */
  readonly minTimeMs: number;
  readonly minRepetitions: number;
  readonly warmupRepetitions: number;
  /**
   * What warm-up and repetitions may take together, by the time of the cold one: beyond it, fewer than asked for are made, but
   * always one. Not limited when left out.
   */
  readonly maxTimeMs?: number;
  /** A case that takes longer than this is killed and recorded as `timeout`. */
  readonly timeoutMs: number;
  /** Suites of this profile; all when left out. */
  readonly suites?: readonly string[];
}

/** How far outputs may differ from the reference, as max |a − b| ÷ max(1, max |reference|). */
export interface ParityConfig {
  /** Backend whose outputs are the reference; it is opened with optimisations disabled. */
  readonly reference: string;
  readonly tolerance: Readonly<Record<Precision, number>>;
}

export interface GateConfig {
  /** Relative change that is tolerated, e.g. 0.05, by metric name; `default` for the rest. Exact metrics are held at 0. */
  readonly tolerance: Readonly<Record<string, number>>;
  /** Family-wise error rate after Holm's correction. */
  readonly alpha: number;
  /** Fewer rounds than this on either side: inconclusive. */
  readonly minRounds: number;
  /** Path of the baseline, relative to the config file. */
  readonly baseline: string;
}

export interface CacheConfig {
  readonly dir: string;
  readonly maxBytes: number;
}

/** The whole registry: plugins are values in these lists. */
export interface Config {
  readonly suites: readonly Suite[];
  readonly models: readonly ModelDef[];
  readonly backends: readonly Backend[];
  readonly datasets: readonly DatasetDef[];
  readonly reporters: readonly Reporter[];
  readonly profiles: Readonly<Record<string, Profile>>;
  readonly parity: ParityConfig;
  readonly gate: GateConfig;
  readonly cache: CacheConfig;
  /** Reports folder, relative to the config file. */
  readonly out: string;
  /** What the machine can do at most on a backend: large products and convolutions; the fastest of them counts. */
  readonly peak?: readonly { readonly model: ModelDef; readonly use: Use<unknown> }[];
}

/** What a config file has to say; the rest has defaults (src/config/defaults.ts). */
export interface UserConfig
  extends Pick<Config, 'suites' | 'backends'>,
    Partial<Omit<Config, 'suites' | 'backends' | 'parity' | 'gate' | 'cache'>> {
  readonly parity?: {
    readonly reference?: string;
    readonly tolerance?: Partial<ParityConfig['tolerance']>;
  };
  readonly gate?: Partial<GateConfig>;
  readonly cache?: Partial<CacheConfig>;
}
