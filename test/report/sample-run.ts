import type { ProbedBackend, RunRecord } from '../../src/core/record.ts';
import type { CellInfo, Comparison, RunInfo, Summary } from '../../src/core/report.ts';
import type { SampleSuite } from './sample.ts';

/** As `compareArms` would pair the rows; ratios and verdicts follow from the values. */
export function comparisons(suites: readonly SampleSuite[], rows: readonly Summary[]): Comparison[] {
  const byKey = new Map(rows.map((row) => [`${row.case_id}\n${row.metric}`, row]));
  const found: Comparison[] = [];
  for (const suite of suites) {
    for (const row of rows.filter((candidate) => candidate.suite === suite.info.name)) {
      for (const [armA, armB] of suite.info.contrasts) {
        if (row.arm !== armA) continue;
        const b = byKey.get(`${row.case_id.replace(`/${armA}/`, () => `/${armB}/`)}\n${row.metric}`);
        if (b) found.push(compare(row, b));
      }
    }
  }
  return found;
}

function compare(a: Summary, b: Summary): Comparison {
  const exact = a.assume === 'exact';
  const valid = a.status === 'ok' && b.status === 'ok' && a.value !== null && b.value !== null;
  const ratio = valid ? b.value! / a.value! : null;
  const few = !exact && Math.min(a.rounds, b.rounds) < 6;
  const spread = 0.015;
  const interval = ratio !== null && !exact && !few;
  const sure = ratio !== null && (exact || (interval && Math.abs(ratio - 1) > spread));
  const aBetter = ratio !== null && (a.better === 'lower' ? ratio > 1 : ratio < 1);
  const side = (row: Summary) => ({
    case_id: row.case_id,
    arm: row.arm,
    backend: row.backend,
    value: row.value,
    rounds: row.rounds,
    status: row.status,
  });
  return {
    suite: a.suite,
    workload: a.workload,
    metric: a.metric,
    unit: a.unit,
    better: a.better,
    backend: a.backend,
    precision: a.precision,
    batch: a.batch,
    a: side(a),
    b: side(b),
    ratio,
    ci_lo: interval ? ratio * (1 - spread) : null,
    ci_hi: interval ? ratio * (1 + spread) : null,
    method: exact ? 'exact' : 'Hodges–Lehmann',
    p: interval ? 0.0006 : null,
    p_adjusted: interval ? (sure ? 0.012 : 0.7) : null,
    verdict:
      ratio === null || a.better === 'none'
        ? 'none'
        : ratio === 1
          ? 'same'
          : sure
            ? aBetter
              ? 'a'
              : 'b'
            : 'unsure',
    notes: few ? ['need >= 6 rounds for a 95% interval'] : [],
  };
}

/** Backends as the sample's machine has them, one of them not at all. */
const BACKENDS: readonly ProbedBackend[] = [
  ...['onnxruntime-cpu', 'onnxruntime-webgpu', 'tfjs-wasm'].map((name) => ({
    name,
    available: true,
    version: '1.0.0',
    device: null,
    reason: null,
    fix: null,
  })),
  {
    name: 'onnxruntime-cuda',
    available: false,
    version: null,
    device: null,
    reason: 'no NVIDIA driver was found.',
    fix: 'install one, then <b>reboot</b>',
  },
];

/** The run around the cells, with the warnings that a real machine gives. */
export function runInfo(suites: readonly SampleSuite[], cells: readonly CellInfo[], rounds: number): RunInfo {
  const run: RunRecord = {
    type: 'run',
    schema_version: 1,
    run_id: 'sample',
    started: '2026-01-02T03:04:05.000Z',
    versus: '0.1.0',
    profile: 'default',
    argv: ['run'],
    git: { commit: 'c0ffee0123456789', dirty: false },
    rounds,
    environment: {
      os: 'Linux 6.8 x64',
      cpu: 'AMD EPYC 7763',
      cores: 2,
      memory_bytes: 8 * 2 ** 30,
      node: 'v20.20.0',
      gpus: [],
      fingerprint: 'f1a9',
      warnings: ['the load average was 1.4 at the start, on 2 cores', 'this is a virtual machine'],
    },
    plan: [
      ...cells.map(({ case_id, suite, workload, arm, group, model, backend, precision, batch }) => ({
        case_id,
        suite,
        workload,
        arm,
        group,
        model,
        backend,
        precision,
        batch,
      })),
    ],
    suites: suites.map(({ info }) => info),
    backends: BACKENDS.filter(
      ({ name, available }) =>
        suites.length > 0 && (!available || suites.some(({ backends }) => backends.includes(name))),
    ),
  };
  return {
    run,
    end: {
      type: 'end',
      schema_version: 1,
      run_id: 'sample',
      finished: '2026-01-02T03:09:35.000Z',
      outcome: 'complete',
      reason: null,
    },
    peaks: [
      {
        type: 'peak',
        schema_version: 1,
        run_id: 'sample',
        backend: 'onnxruntime-cpu',
        precision: 'fp32',
        gflops: 143,
        reason: null,
      },
    ],
    cells,
    warnings: ['records.jsonl line 212 is cut off: left out'],
  };
}
