/** The public face: what a plugin or a bench.config.ts imports. */
import type { Backend } from './core/backend.ts';
import type { UserConfig } from './core/config.ts';
import type { DatasetDef } from './core/dataset.ts';
import type { ModelDef } from './core/model.ts';
import type { Reporter } from './core/report.ts';
import type { Suite } from './core/suite.ts';
import type { Workload } from './core/workload.ts';

export type * from './core/backend.ts';
export type * from './core/config.ts';
export type * from './core/dataset.ts';
export { VersusError } from './core/errors.ts';
export type * from './core/features.ts';
export type * from './core/graph.ts';
export type * from './core/growth.ts';
export type * from './core/model.ts';
export type * from './core/record.ts';
export type * from './core/report.ts';
export type * from './core/suite.ts';
export type * from './core/tensor.ts';
export { float32, int64, tensor } from './core/tensor.ts';
export type * from './core/workload.ts';

/** Identity functions: they only give types to the plugin that is written inside them. */
export const defineConfig = (config: UserConfig): UserConfig => config;
export const defineBackend = (backend: Backend): Backend => backend;
export const defineModel = <C>(model: ModelDef<C>): ModelDef<C> => model;
export const defineSuite = (suite: Suite): Suite => suite;
export const defineWorkload = <P>(workload: Workload<P>): Workload<P> => workload;
export const defineDataset = (dataset: DatasetDef): DatasetDef => dataset;
export const defineReporter = (reporter: Reporter): Reporter => reporter;
