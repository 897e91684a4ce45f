import type {
  CaseRecord,
  Cell,
  EndRecord,
  PeakRecord,
  PhaseSamples,
  RunRecord,
} from '../../src/core/record.ts';
import type { Metric } from '../../src/core/workload.ts';

export const METRICS: readonly Metric[] = [
  { name: 'latency', unit: 'ms', better: 'lower', assume: 'nothing', of: 'duration' },
  { name: 'throughput', unit: 'images/s', better: 'higher', assume: 'nothing', of: 'rate' },
  { name: 'gflops', unit: 'GFLOP/s', better: 'higher', assume: 'nothing', of: 'flops' },
  { name: 'top1', unit: 'share', better: 'higher', assume: 'exact', of: 'score' },
];

export function cellOf(arm: string, over: Partial<Cell> = {}): Cell {
  const cell = { suite: 's', workload: 'w', backend: 'cpu', precision: 'fp32', batch: 1, ...over };
  const { suite, workload, backend, precision, batch } = cell;
  const case_id = `${suite}/${workload}/${arm}/${backend}/${precision}/b${batch}`;
  return { case_id, arm, group: null, model: arm, ...cell };
}

export function runOf(plan: readonly Cell[], over: Partial<RunRecord> = {}): RunRecord {
  return {
    type: 'run',
    schema_version: 1,
    run_id: 'r1',
    started: '2026-01-02T03:04:05.000Z',
    versus: '0.1.0',
    profile: 'default',
    argv: [],
    git: null,
    environment: {
      os: 'Linux',
      cpu: 'cpu',
      cores: 2,
      memory_bytes: 8 * 2 ** 30,
      node: 'v20',
      gpus: [],
      fingerprint: 'f1',
      warnings: [],
    },
    plan,
    rounds: 6,
    suites: [
      { name: 's', question: 'A or B?', headline: ['latency'], contrasts: [], metrics: { w: METRICS } },
    ],
    ...over,
  };
}

/** One step per repetition of the given milliseconds. */
export const infer = (ms: readonly number[], items = 1): PhaseSamples => ({
  phase: 'infer',
  ms,
  items: ms.map(() => items),
  rep: ms.map((_, i) => i),
});

export function caseOf(cell: Cell, over: Partial<CaseRecord> = {}): CaseRecord {
  return {
    type: 'case',
    schema_version: 1,
    run_id: 'r1',
    ...cell,
    pass: 'speed',
    round: 0,
    status: 'ok',
    reason: null,
    device: { kind: 'cpu', name: 'cpu', driver: null, software: false },
    backend_version: '1',
    options: null,
    model_sha256: 'aa',
    started: '2026-01-02T03:04:05.000Z',
    wall_ms: 1,
    cold: { spawn: 300, build: 1, load: 20, first: 15 },
    samples: [],
    memory: null,
    parity: null,
    placement: null,
    facts: {
      parameters: 100,
      macs: 5e6,
      nodes: 7,
      weight_bytes: 400,
      weights: 'seeded(0)',
      trained: false,
      image_size: null,
    },
    scores: [],
    ...over,
  };
}

export const checkOf = (cell: Cell, over: Partial<CaseRecord> = {}): CaseRecord =>
  caseOf(cell, {
    pass: 'check',
    parity: {
      agrees: true,
      tolerance: 1e-3,
      max_rel: 1e-6,
      max_abs: 1e-6,
      cosine: 1,
      worst: 'logits',
      top1: 1,
      reference: 'cpu',
    },
    ...over,
  });

/** A checked cell with one speed record per round, whose samples all equal the round's median. */
export const measured = (cell: Cell, medians: readonly number[], samples = 5): CaseRecord[] => [
  checkOf(cell),
  ...medians.map((ms, round) => caseOf(cell, { round, samples: [infer(new Array(samples).fill(ms))] })),
];

export const memoryOf = (cell: Cell, round: number, peak: number | null): CaseRecord =>
  caseOf(cell, {
    pass: 'memory',
    round,
    memory: {
      baseline_rss: 100,
      peak_rss: peak,
      difference_rss: peak === null ? null : peak - 100,
      peak_gpu: null,
      method: 'proc',
      interval_ms: 10,
      observations: 9,
    },
  });

export const peakOf = (gflops: number | null, reason: string | null = null): PeakRecord => ({
  type: 'peak',
  schema_version: 1,
  run_id: 'r1',
  backend: 'cpu',
  precision: 'fp32',
  gflops,
  reason,
});

export const END: EndRecord = {
  type: 'end',
  schema_version: 1,
  run_id: 'r1',
  finished: '2026-01-02T03:14:05.000Z',
  outcome: 'complete',
  reason: null,
};
