import type { Backend, Precision } from '../core/backend.ts';
import type { Config } from '../core/config.ts';
import { VersusError } from '../core/errors.ts';
import type { ModelDef } from '../core/model.ts';
import { seedOf } from '../core/random.ts';
import type { Cell } from '../core/record.ts';
import type { Workload } from '../core/workload.ts';

/** The plugins that a case names, found in the config. */
export interface Subject {
  readonly model: ModelDef;
  readonly workload: Workload;
  readonly params: unknown;
  readonly batch: number;
  readonly backend: Backend;
  readonly precision: Precision;
  readonly seed: number;
}

/** @throws VersusError `usage` when the config no longer has what the cell names. */
export function subjectOf(config: Config, cell: Cell): Subject {
  const suite = named('suite', config.suites, cell.suite);
  const arm = named('arm', suite.arms, cell.arm);
  const use = suite.uses.find(
    (candidate) =>
      candidate.workload.name === cell.workload &&
      candidate.batches.some((batch) => batch.size === cell.batch) &&
      (candidate.arms?.includes(arm.name) ?? true),
  );
  if (!use) throw missing('use', `${cell.workload} at batch ${cell.batch} in suite ${suite.name}`);
  if (arm.model.name !== cell.model) throw missing('model', `${cell.model} as arm ${arm.name}`);
  return {
    model: arm.model,
    workload: use.workload,
    params: arm.params ? { ...use.params, ...arm.params } : use.params,
    batch: cell.batch,
    backend: named('backend', config.backends, cell.backend),
    precision: cell.precision as Precision,
    // Equal for all arms, backends, precisions and rounds: they answer the same question on the same inputs.
    seed: seedOf(`${cell.suite}/${cell.workload}/b${cell.batch}`),
  };
}

/** What `config.peak` times on a backend; empty when the config names no peak. */
export function peakSubjects(config: Config, backend: string, precision: string): Subject[] {
  return (config.peak ?? []).map(({ model, use }) => ({
    model,
    workload: use.workload,
    params: use.params,
    batch: use.batches[0]?.size ?? 1,
    backend: named('backend', config.backends, backend),
    precision: precision as Precision,
    seed: seedOf('peak'),
  }));
}

function named<T extends { readonly name: string }>(what: string, items: readonly T[], name: string): T {
  const found = items.find((item) => item.name === name);
  if (!found) throw missing(what, name);
  return found;
}

function missing(what: string, name: string): VersusError {
  return new VersusError('usage', `the config has no ${what} ${name}`, {
    next: 'It may have been changed while the run went on. Start a new run.',
  });
}
