import type { Availability, Backend } from '../../src/core/backend.ts';
import type { Config, Profile } from '../../src/core/config.ts';
import type { ModelDef } from '../../src/core/model.ts';
import type { CaseRecord, Cell, RunRecord } from '../../src/core/record.ts';
import type { Suite } from '../../src/core/suite.ts';
import type { Workload } from '../../src/core/workload.ts';

/** Small values for tests of planning and records: nothing here is run. */
const never = (): never => {
  throw new Error('a plan runs nothing');
};

export const CPU: Extract<Availability, { available: true }> = {
  available: true,
  version: '1.0',
  device: { kind: 'cpu', name: 'test CPU', driver: null, software: false },
  precisions: ['fp32'],
};

export function backend(name: string): Backend {
  return { name, probe: never, open: never };
}

export function model(name: string): ModelDef {
  return { name, family: 'test', task: 'classify', config: {}, build: never };
}

export function workload(name: string): Workload {
  return {
    name,
    metrics: [
      { name: 'latency', unit: 'ms', better: 'lower', assume: 'nothing', of: 'duration', phases: ['infer'] },
    ],
    open: never,
  };
}

export const PROFILE: Profile = {
  tier: 'default',
  rounds: 3,
  memoryRounds: 1,
  minTimeMs: 1,
  minRepetitions: 1,
  warmupRepetitions: 0,
  timeoutMs: 10_000,
};

export function config(suites: readonly Suite[], over: Partial<Config> = {}): Config {
  return {
    suites,
    models: [],
    backends: [backend('cpu'), backend('gpu')],
    datasets: [],
    reporters: [],
    profiles: { default: PROFILE, smoke: { ...PROFILE, tier: 'smoke' } },
    parity: { reference: 'cpu', tolerance: { fp32: 1e-3, fp16: 1e-2, int8: 1e-2, int4: 1e-3 } },
    gate: { tolerance: { default: 0.05 }, alpha: 0.05, minRounds: 6, baseline: 'baseline.json' },
    cache: { dir: '.cache', maxBytes: 1e9 },
    out: 'reports',
    ...over,
  };
}

export const CELL: Cell = {
  case_id: 's/w/a/cpu/fp32/b1',
  suite: 's',
  workload: 'w',
  arm: 'a',
  group: null,
  model: 'm',
  backend: 'cpu',
  precision: 'fp32',
  batch: 1,
};

export function caseRecord(over: Partial<CaseRecord> = {}): CaseRecord {
  return {
    type: 'case',
    schema_version: 1,
    run_id: 'r',
    ...CELL,
    pass: 'speed',
    round: 0,
    status: 'ok',
    reason: null,
    device: null,
    backend_version: '1.0',
    options: { threads: 2 },
    model_sha256: null,
    started: '2026-01-01T00:00:00.000Z',
    wall_ms: 12,
    cold: { spawn: 1, build: null, load: null, first: null },
    samples: [{ phase: 'infer', ms: [1, 2], items: [1, 1], rep: [0, 1] }],
    memory: null,
    parity: null,
    placement: null,
    facts: null,
    scores: [],
    ...over,
  };
}

export function runRecord(over: Partial<RunRecord> = {}): RunRecord {
  return {
    type: 'run',
    schema_version: 1,
    run_id: 'r',
    started: '2026-01-01T00:00:00.000Z',
    versus: '0.1.0',
    profile: 'default',
    argv: ['run'],
    git: null,
    environment: {
      os: 'linux',
      cpu: 'test CPU',
      cores: 2,
      memory_bytes: 1,
      node: 'v20',
      gpus: [],
      fingerprint: 'f',
      warnings: [],
    },
    plan: [CELL],
    rounds: 1,
    suites: [],
    ...over,
  };
}
