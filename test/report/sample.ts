import { type Random, random, seedOf } from '../../src/core/random.ts';
import type { Cell, ColdPhases, Status, SuiteInfo } from '../../src/core/record.ts';
import type { CellInfo, ReportInput, Summary } from '../../src/core/report.ts';
import { compareBackends } from '../../src/stats/compare.ts';
import { comparisons, runInfo } from './sample-run.ts';
import { sampleSuites } from './sample-suites.ts';

/** An arm as the sample measures it: how long one item takes and what it weighs. */
export interface SampleArm {
  readonly name: string;
  readonly group: string | null;
  /** Milliseconds per phase at batch 1. */
  readonly phases: Readonly<Record<string, number>>;
  readonly parameters: number;
  readonly macs: number;
  readonly top1?: number;
}

export interface SampleSuite {
  readonly info: SuiteInfo;
  readonly workload: string;
  readonly batches: readonly number[];
  readonly backends: readonly string[];
  readonly arms: readonly SampleArm[];
  /** Cells that did not go well: `arm backend` → what became of them. */
  readonly trouble: Readonly<Record<string, { readonly status: Status; readonly reason: string }>>;
}

const DEVICES = {
  'onnxruntime-cpu': { kind: 'cpu', name: 'AMD EPYC 7763', driver: null, software: false },
  'onnxruntime-webgpu': {
    kind: 'gpu',
    name: 'llvmpipe (LLVM 19.1.7, 256 bits)',
    driver: 'Mesa 25.0.7',
    software: true,
  },
  'tfjs-wasm': { kind: 'cpu', name: 'AMD EPYC 7763', driver: null, software: false },
} as const;

/** How many times longer a backend takes than the first. */
const SLOWER: Readonly<Record<string, number>> = { 'onnxruntime-webgpu': 9, 'tfjs-wasm': 5 };

/** What `summarise` and `compareArms` would hand to the reporters, made up but consistent. Equal arguments, equal input. */
export function sampleInput(
  options: { readonly rounds?: number; readonly suites?: readonly SampleSuite[] } = {},
): ReportInput {
  const rounds = options.rounds ?? 7;
  const suites = options.suites ?? sampleSuites();
  const rows: Summary[] = [];
  const cells: CellInfo[] = [];
  for (const suite of suites) {
    for (const backend of suite.backends) {
      for (const arm of suite.arms) {
        for (const batch of suite.batches) {
          const cell = sampleCell(suite, arm, backend, batch, rounds);
          cells.push(cell.info);
          rows.push(...cell.rows);
        }
      }
    }
  }
  const info = runInfo(suites, cells, rounds);
  return { info, rows, comparisons: comparisons(suites, rows), acrossBackends: compareBackends(info, rows) };
}

function sampleCell(suite: SampleSuite, arm: SampleArm, backend: string, batch: number, rounds: number) {
  const cell: Cell = {
    case_id: `${suite.info.name}/${suite.workload}/${arm.name}/${backend}/fp32/b${batch}`,
    suite: suite.info.name,
    workload: suite.workload,
    arm: arm.name,
    group: arm.group,
    model: arm.name,
    backend,
    precision: 'fp32',
    batch,
  };
  const rng = random(seedOf(cell.case_id));
  const trouble = suite.trouble[`${arm.name} ${backend}`];
  const status = trouble?.status ?? 'ok';
  const reason = trouble?.reason ?? null;
  const ran = status === 'ok' || status === 'invalid' || status === 'correctness-only';
  const slow = SLOWER[backend] ?? 1;
  const phases = Object.entries(arm.phases).map(([name, ms]) => [name, ms * slow * batch ** 0.93] as const);
  const total = phases.reduce((sum, [, ms]) => sum + ms, 0);
  const medians = Array.from({ length: rounds }, () => total * (1 + 0.012 * normal(rng)));
  const device = DEVICES[backend as keyof typeof DEVICES] ?? null;
  const row = (
    phase: string,
    metric: string,
    unit: string,
    better: Summary['better'],
    values: readonly number[],
    exact = false,
  ): Summary => {
    const sorted = [...values].sort((a, b) => a - b);
    const known = ran || phase === 'static';
    const value = known ? (sorted[Math.floor(sorted.length / 2)] ?? null) : null;
    const sure = !exact && known && values.length >= 6;
    return {
      ...cell,
      schema_version: 1,
      run_id: 'sample',
      device: device?.name ?? null,
      phase,
      metric,
      unit,
      better,
      n: exact ? 1 : values.length * 40,
      rounds: exact ? 0 : values.length,
      value,
      ci_lo: sure ? sorted[0]! : null,
      ci_hi: sure ? sorted.at(-1)! : null,
      ci_method: exact ? 'exact' : sure ? 'order statistics over rounds' : null,
      status: phase === 'static' ? 'ok' : status,
      reason: phase === 'static' ? null : reason,
      model_sha256: 'ab'.repeat(32),
      assume: exact ? 'exact' : 'nothing',
      values: exact || !known ? [] : values,
    };
  };
  const share = (name: string) => (phases.find(([phase]) => phase === name)?.[1] ?? 0) / total;
  const rows: Summary[] = [];
  for (const metric of suite.info.metrics[suite.workload] ?? []) {
    if (metric.of === 'fact') continue;
    const part = metric.phases?.length ? metric.phases.reduce((sum, name) => sum + share(name), 0) : 1;
    const scale = {
      duration: (ms: number) => ms * part,
      step: (ms: number) => (ms * part) / 32,
      rate: (ms: number) => (1000 * batch) / (ms * part),
      flops: (ms: number) => (2 * arm.macs * batch) / ms / 1e6,
      score: () => arm.top1 ?? Number.NaN,
    }[metric.of];
    if (metric.of === 'score') {
      if (arm.top1 !== undefined)
        rows.push(row('quality', metric.name, metric.unit, metric.better, [arm.top1], true));
    } else if (part > 0)
      rows.push(row('steady', metric.name, metric.unit, metric.better, medians.map(scale)));
  }
  const cold: Record<keyof ColdPhases, number> = {
    spawn: 310,
    build: 45 + arm.parameters / 2e6,
    load: 30 + arm.parameters / 4e5,
    first: total * 1.6,
  };
  for (const [name, ms] of Object.entries(cold))
    rows.push(
      row(
        'cold',
        name,
        'ms',
        'lower',
        medians.map((m) => (ms * m) / total),
      ),
    );
  const baseline = 71 * 2 ** 20;
  const difference = arm.parameters * 4.6 + 90 * 2 ** 20 * batch ** 0.5;
  const memory = { baseline_rss: baseline, peak_rss: baseline + difference, difference_rss: difference };
  for (const [name, bytes] of Object.entries(memory))
    rows.push(row('memory', name, 'B', 'lower', [bytes, bytes * 1.004, bytes * 1.01]));
  const facts = {
    parameters: arm.parameters,
    macs: arm.macs * batch,
    nodes: 140,
    weight_bytes: arm.parameters * 4,
    weights: 'seeded(0)',
    trained: arm.top1 !== undefined,
    image_size: 224,
  };
  for (const name of ['parameters', 'macs', 'nodes'] as const)
    rows.push(row('static', name, 'count', name === 'parameters' ? 'none' : 'lower', [facts[name]], true));
  rows.push(row('static', 'weight_bytes', 'B', 'lower', [facts.weight_bytes], true));
  const info: CellInfo = {
    ...cell,
    status,
    reason,
    device,
    options: { threads: 2 },
    parity:
      status === 'unsupported'
        ? null
        : {
            agrees: status !== 'invalid',
            tolerance: 1e-3,
            max_rel: status === 'invalid' ? 0.31 : 4e-6,
            max_abs: 2e-5,
            cosine: 0.9999,
            worst: 'logits',
            top1: 1,
            reference: 'onnxruntime-cpu',
          },
    placement: { nodes: { [backend]: 140 }, share: 1, method: 'profile', strays: [] },
    facts,
    model_sha256: 'ab'.repeat(32),
    processes: { [status]: ran ? rounds + 2 : 1 },
    strip: ran ? medians.map((median, round) => ({ round, ms: timings(rng, median) })) : [],
  };
  return { info, rows };
}

/** Box–Muller. */
const normal = (rng: Random): number =>
  Math.sqrt(-2 * Math.log(1 - rng.uniform())) * Math.cos(2 * Math.PI * rng.uniform());

/** Forty repetitions: a slow start, some drift, a spike now and then. */
function timings(rng: Random, median: number): number[] {
  return Array.from({ length: 40 }, (_, i) => {
    const drift = 1 + 0.03 * Math.exp(-i / 6) + 0.0004 * i;
    const spike = rng.uniform() < 0.02 ? 1.25 : 1;
    return median * drift * spike * (1 + 0.006 * Math.abs(normal(rng)));
  });
}
