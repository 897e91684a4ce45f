/**
 * 100,000 records summarised and rendered into every format: seconds and peak memory, ≤ 3 s is the bar.
 *
 *   node --import tsx scripts/bench-report.ts [records] [cells]
 */

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addFiles, chooseReporters, renderRun } from '../src/commands/render.ts';
import { readRun } from '../src/commands/runs.ts';
import { withDefaults } from '../src/config/defaults.ts';
import { random } from '../src/core/random.ts';
import { type CaseRecord, type Cell, type RunRecord, SCHEMA_VERSION } from '../src/core/record.ts';

const [records = 100_000, cellCount = 100] = process.argv.slice(2).map(Number);
const dir = await mkdtemp(join(tmpdir(), 'versus-bench-report-'));
try {
  const path = join(dir, 'records.jsonl');
  await writeRecords(path);
  const size = (await stat(path)).size;
  const start = performance.now();
  const run = await readRun(path);
  const summarised = performance.now();
  const files = await renderRun(run, chooseReporters(withDefaults({ suites: [], backends: [] }), undefined));
  await addFiles(join(dir, 'report'), files);
  const end = performance.now();
  const seconds = (from: number, to: number): string => ((to - from) / 1000).toFixed(2);
  process.stdout.write(
    `${records} records (${(size / 1e6).toFixed(0)} MB), ${cellCount} cells, ${run.rows.length} rows, ${files.length} files: ` +
      `summarise ${seconds(start, summarised)} s + render ${seconds(summarised, end)} s = ${seconds(start, end)} s, ` +
      `peak memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB\n`,
  );
} finally {
  await rm(dir, { recursive: true, force: true });
}

async function writeRecords(path: string): Promise<void> {
  const out = createWriteStream(path);
  const cells = Array.from({ length: cellCount }, (_, i) => cellOf(i));
  const rng = random(1);
  const write = async (line: unknown): Promise<void> => {
    if (!out.write(`${JSON.stringify(line)}\n`)) await once(out, 'drain');
  };
  await write(header(cells));
  for (const cell of cells) await write(record(cell, 'check', 0, []));
  for (let i = 0; i < records - cellCount; i++) {
    const ms = Array.from({ length: 10 }, () => 10 + rng.uniform());
    await write(record(cells[i % cellCount]!, 'speed', Math.floor(i / cellCount), ms));
  }
  out.end();
  await once(out, 'close');
}

function cellOf(i: number): Cell {
  const of = {
    suite: `suite-${i % 4}`,
    workload: 'classify',
    arm: `arm-${Math.floor(i / 4)}`,
    model: `model-${i}`,
  };
  const rest = { group: null, backend: 'onnxruntime-cpu', precision: 'fp32', batch: 1 };
  return { case_id: `${of.suite}/classify/${of.arm}/onnxruntime-cpu/fp32/b1`, ...of, ...rest };
}

function header(plan: readonly Cell[]): RunRecord {
  const metric = { better: 'lower', assume: 'nothing' } as const;
  const metrics = [
    { ...metric, name: 'latency', unit: 'ms', of: 'duration' as const },
    { ...metric, name: 'throughput', unit: 'images/s', of: 'rate' as const, better: 'higher' as const },
  ];
  const suites = [...new Set(plan.map((cell) => cell.suite))].map((name) => {
    const [first, ...others] = plan.filter((cell) => cell.suite === name).map((cell) => cell.arm);
    const contrasts = others.map((other) => [first!, other] as const);
    return {
      name,
      question: `Which arm of ${name}?`,
      headline: ['latency'],
      contrasts,
      metrics: { classify: metrics },
    };
  });
  const environment = {
    os: 'Linux',
    cpu: 'CPU',
    cores: 2,
    memory_bytes: 8e9,
    node: '20',
    gpus: [],
    fingerprint: 'x',
    warnings: [],
  };
  return {
    ...{ type: 'run', schema_version: SCHEMA_VERSION, run_id: 'bench', started: new Date(0).toISOString() },
    ...{ versus: '0', profile: 'release', argv: [], git: null, environment, plan, suites },
    rounds: Math.ceil(records / cellCount),
  };
}

function record(cell: Cell, pass: 'check' | 'speed', round: number, ms: number[]): CaseRecord {
  const parity = {
    agrees: true,
    tolerance: 1e-3,
    max_rel: 0,
    max_abs: 0,
    cosine: 1,
    worst: 'logits',
    top1: 1,
    reference: 'onnxruntime-cpu',
  };
  const facts = {
    parameters: 1e6,
    macs: 1e9,
    nodes: 100,
    weight_bytes: 4e6,
    weights: 'seeded(0)',
    trained: false,
  };
  return {
    ...{
      type: 'case',
      schema_version: SCHEMA_VERSION,
      run_id: 'bench',
      ...cell,
      pass,
      round,
      status: 'ok',
      reason: null,
    },
    ...{
      device: { kind: 'cpu', name: 'CPU', driver: null, software: false },
      backend_version: '1',
      options: {},
    },
    ...{ model_sha256: '00', started: new Date(0).toISOString(), wall_ms: 500 },
    cold: { spawn: 300, build: 10, load: 100, first: 20 },
    samples: ms.length ? [{ phase: 'infer', ms, items: ms.map(() => 1), rep: ms.map((_, i) => i) }] : [],
    ...{
      memory: null,
      parity: pass === 'check' ? parity : null,
      placement: null,
      facts: pass === 'check' ? facts : null,
      scores: [],
    },
  };
}
