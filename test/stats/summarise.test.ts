import { describe, expect, it } from 'vitest';
import type { RecordLine } from '../../src/core/record.ts';
import type { Summary } from '../../src/core/report.ts';
import type { Metric } from '../../src/core/workload.ts';
import { Digest } from '../../src/stats/digest.ts';
import { quantile } from '../../src/stats/order.ts';
import { seriesOf } from '../../src/stats/series.ts';
import { summarise } from '../../src/stats/summarise.ts';
import { gaussian } from './helpers.ts';
import { caseOf, cellOf, checkOf, END, infer, measured, memoryOf, peakOf, runOf } from './records.ts';

const a = cellOf('a');
const run = async (...lines: RecordLine[]) => {
  const { info, rows } = await summarise(lines);
  const row = (metric: string, arm = 'a'): Summary => {
    const found = rows.find((r) => r.metric === metric && r.arm === arm);
    if (!found) throw new Error(`no row ${metric} of ${arm} among ${rows.map((r) => r.metric).join(', ')}`);
    return found;
  };
  return { info, rows, row };
};

describe('seriesOf', () => {
  const samples = [
    { phase: 'prefill', ms: [10, 20], items: [8, 8], rep: [0, 1] },
    { phase: 'decode', ms: [1, 2, 3, 5], items: [1, 1, 1, 1], rep: [0, 0, 1, 1] },
  ];
  const series = (of: 'duration' | 'step' | 'rate' | 'flops', ...phases: string[]) =>
    Array.from(seriesOf(phases.length ? { of, phases } : { of }, samples, { macs: 5e6 }));

  it('sums durations over phases and steps of a repetition', () => {
    expect(series('duration')).toEqual([13, 28]);
    expect(series('duration', 'decode')).toEqual([3, 8]);
    expect(series('duration', 'vision', 'prefill')).toEqual([10, 20]);
    expect(series('duration', 'vision')).toEqual([]);
  });

  it('gives steps one by one, items per second, and GFLOP/s at two operations per MAC', () => {
    expect(series('step', 'decode')).toEqual([1, 2, 3, 5]);
    expect(series('rate', 'decode')).toEqual([2000 / 3, 250]);
    expect(series('flops', 'prefill')).toEqual([1, 0.5]);
    expect(Array.from(seriesOf({ of: 'flops' }, samples, null))).toEqual([]);
  });
});

describe('what a workload tells', () => {
  const samples = [
    { phase: 'forward', ms: [10, 20, 30], items: [4, 4, 4], rep: [0, 1, 2] },
    { phase: 'step', ms: [31, 59], items: [4, 4], rep: [0, 1] },
  ];

  it('takes one phase off another in the same repetition, and multiplies rates by a fact', () => {
    const minus = { of: 'duration', phases: ['step'], minus: ['forward'] } as const;
    expect(Array.from(seriesOf(minus, samples, null))).toEqual([21, 39]);
    expect(Array.from(seriesOf({ ...minus, minus: ['vision'] }, samples, null))).toEqual([]);
    const rate = { of: 'rate', phases: ['forward'], per: 'tokens' } as const;
    expect(Array.from(seriesOf(rate, samples, { macs: null, told: { tokens: 16 } }))).toEqual([
      6400,
      3200,
      64000 / 30,
    ]);
    expect(Array.from(seriesOf(rate, samples, null))).toEqual([]);
  });

  it('has rows of facts, and of curves', async () => {
    const metrics: readonly Metric[] = [
      { name: 'trainable', unit: 'count', better: 'lower', assume: 'exact', of: 'fact' },
      { name: 'adapter_bytes', unit: 'B', better: 'lower', assume: 'exact', of: 'fact' },
      { name: 'loss', unit: 'nats', better: 'lower', assume: 'exact', of: 'score', seeded: true },
    ];
    const cell = cellOf('a', { settings: '{"way":"full"}' });
    const planned = runOf([cell], {
      suites: [{ name: 's', question: '?', headline: [], contrasts: [], metrics: { w: metrics } }],
    });
    const check = checkOf(cell, {
      scores: [{ metric: 'loss', value: 1, n: 2, curve: [2, 1] }],
      facts: { ...checkOf(cell).facts!, told: { trainable: 12 } },
    });
    const { info, rows } = await summarise([planned, check]);
    const row = (metric: string) => rows.find((r) => r.metric === metric);
    expect(info.cells[0]!.settings).toBe('{"way":"full"}');
    expect(row('trainable')).toMatchObject({ phase: 'static', value: 12, reason: null });
    expect(row('adapter_bytes')).toMatchObject({ phase: 'static', value: null });
    expect(row('loss')).toMatchObject({ value: 1, curve: [2, 1] });
  });
});

describe('Digest', () => {
  it('is exact while small and within 0.5% when it is not', () => {
    const draw = gaussian(2);
    const values = Array.from({ length: 20_000 }, () => 50 * Math.exp(0.7 * draw()));
    const small = new Digest();
    small.add(values.slice(0, 1000));
    expect(small.quantile(0.95)).toBe(quantile(values.slice(0, 1000), 0.95));
    const large = new Digest();
    for (let i = 0; i < values.length; i += 100) large.add(values.slice(i, i + 100));
    expect(large.count).toBe(20_000);
    for (const q of [0, 0.5, 0.9, 0.99, 1]) {
      expect(Math.abs(large.quantile(q) / quantile(values, q) - 1)).toBeLessThan(0.0055);
    }
  });
});

describe('summarise', () => {
  it('takes the median of round medians, with order statistics over 6 rounds', async () => {
    const medians = [10, 11, 12, 13, 14, 15];
    const { row, info } = await run(runOf([a]), ...measured(a, medians), peakOf(2), END);
    expect(row('latency')).toMatchObject({
      phase: 'steady',
      value: 12.5,
      ci_lo: 10,
      ci_hi: 15,
      ci_method: 'order statistics, n=6, 96.9%',
      n: 30,
      rounds: 6,
      values: medians,
      status: 'ok',
      reason: null,
    });
    expect(row('throughput').value).toBeCloseTo((1000 / 12 + 1000 / 13) / 2, 10);
    expect(row('gflops').values[0]).toBeCloseTo(1, 12);
    expect(row('peak_share')).toMatchObject({ unit: 'share' });
    expect(row('peak_share').value).toBeCloseTo(row('gflops').value! / 2, 12);
    expect(row('load')).toMatchObject({ phase: 'cold', value: 20, unit: 'ms' });
    expect(row('macs')).toMatchObject({ phase: 'static', value: 5e6, assume: 'exact' });
    expect(info.cells[0]).toMatchObject({ status: 'ok', processes: { ok: 7 } });
    expect(info.cells[0]!.strip).toHaveLength(6);
    expect(info.end).toEqual(END);
  });

  it('names the bootstrap with few rounds and gives no interval with two', async () => {
    const three = await run(runOf([a]), ...measured(a, [10, 11, 12]), END);
    expect(three.row('latency').ci_method).toBe('bootstrap (percentile), n=3, 95%');
    const two = await run(runOf([a]), ...measured(a, [10, 11]), END);
    expect(two.row('latency')).toMatchObject({
      value: 10.5,
      ci_lo: null,
      ci_hi: null,
      ci_method: 'none: 2 rounds',
    });
  });

  it('prints percentiles only with enough samples', async () => {
    const { row } = await run(runOf([a]), ...measured(a, [10, 11, 12, 13, 14, 15], 20), END);
    expect(row('latency_p90')).toMatchObject({ value: 15, n: 120, status: 'ok', reason: null });
    expect(row('latency_p95')).toMatchObject({
      value: null,
      reason: 'n/a: needs ≥ 130 samples, has 120',
    });
    expect(row('latency_p99').value).toBeNull();
  });

  it.each([
    ['invalid', 'logits differ'],
    ['correctness-only', 'llvmpipe is a software adapter'],
    ['unsupported', 'no kernel for Einsum'],
    ['oom', 'killed at 7.6 GiB'],
  ] as const)('keeps no speed of a cell that is %s, but its reason and its exact facts', async (status, reason) => {
    const speed = measured(a, [10, 11, 12, 13, 14, 15]).slice(1);
    const { row, info } = await run(runOf([a]), checkOf(a, { status, reason }), ...speed, END);
    expect(row('latency')).toMatchObject({ value: null, ci_lo: null, values: [], status, reason });
    expect(row('parameters')).toMatchObject({ value: 100, status: 'ok' });
    expect(info.cells[0]).toMatchObject({ status, reason });
  });

  it('never ranks what was not compared, what disagrees, or what ran on a software adapter', async () => {
    const speed = measured(a, [10, 11, 12]).slice(1);
    expect((await run(runOf([a]), ...speed)).row('latency')).toMatchObject({
      value: null,
      status: 'invalid',
    });
    const disagrees = checkOf(a, { parity: { ...checkOf(a).parity!, agrees: false } });
    expect((await run(runOf([a]), disagrees, ...speed)).row('latency').status).toBe('invalid');
    const software = checkOf(a, {
      device: { kind: 'gpu', name: 'llvmpipe', driver: null, software: true },
    });
    expect((await run(runOf([a]), software, ...speed)).row('latency').status).toBe('correctness-only');
  });

  it('says that planned cells were not measured', async () => {
    const { row, info } = await run(runOf([a, cellOf('b')]), ...measured(a, [1]), END);
    expect(row('latency', 'b')).toMatchObject({
      value: null,
      status: 'cancelled',
      reason: 'not measured',
    });
    expect(info.cells.map((c) => c.status)).toEqual(['ok', 'cancelled']);
  });

  it('keeps valid rounds beside failed ones, and says so', async () => {
    const failed = caseOf(a, { round: 3, status: 'timeout', reason: 'killed after 60 s' });
    const { row, info } = await run(runOf([a]), ...measured(a, [10, 11, 12]), failed, END);
    expect(row('latency')).toMatchObject({
      value: 11,
      rounds: 3,
      status: 'ok',
      reason: '1 of 4 rounds: timeout: killed after 60 s',
    });
    expect(info.cells[0]!.processes).toEqual({ ok: 4, timeout: 1 });
    expect(info.warnings.join()).toContain('1 of 4 rounds');
    const allFailed = await run(runOf([a]), checkOf(a), failed, END);
    expect(allFailed.row('latency')).toMatchObject({ value: null, status: 'timeout' });
  });

  it('lets a resumed run replace what failed and ignores what repeats', async () => {
    const failed = caseOf(a, { round: 1, status: 'crashed', reason: 'SIGSEGV' });
    const again = caseOf(a, { round: 1, samples: [infer([20])] });
    const repeat = caseOf(a, { round: 0, samples: [infer([99])] });
    const lines = [...measured(a, [10]), failed, END, runOf([a]), again, repeat, END];
    const { row, info } = await run(runOf([a]), ...lines);
    expect(row('latency')).toMatchObject({ values: [10, 20], reason: null });
    expect(info.warnings.join()).toContain('repeat a round');
  });

  it('merges shards and warns when they come from other hardware', async () => {
    const b = cellOf('b');
    const other = runOf([b], {
      run_id: 'r2',
      environment: { ...runOf([]).environment, fingerprint: 'f2' },
    });
    const { info, rows } = await run(runOf([a]), ...measured(a, [1]), END, other, ...measured(b, [2]), END);
    expect(info.run.plan).toHaveLength(2);
    expect(new Set(rows.map((r) => r.run_id))).toEqual(new Set(['r1']));
    expect(info.warnings.join()).toContain('other hardware');
  });

  it('gives memory per process and warns when it falls into two groups', async () => {
    const mib = 2 ** 20;
    const memory = [452, 650, 652].map((m, i) => memoryOf(a, i, m * mib));
    const { row, rows, info } = await run(runOf([a]), ...measured(a, [1, 1, 1]), ...memory, END);
    expect(row('peak_rss')).toMatchObject({ value: 650 * mib, rounds: 3, unit: 'B', phase: 'memory' });
    expect(rows.some((r) => r.metric === 'peak_gpu')).toBe(false);
    expect(info.warnings.join()).toContain('two groups over 3 processes (452 to 652 MiB)');
  });

  it('says why memory is unknown, never 0', async () => {
    const unknown = await run(runOf([a]), ...measured(a, [1]), memoryOf(a, 0, null), END);
    expect(unknown.row('peak_rss')).toMatchObject({
      value: null,
      reason: 'n/a: the memory could not be read',
    });
    const killed = caseOf(a, { pass: 'memory', status: 'oom', reason: 'killed at 8 GiB' });
    const row = (await run(runOf([a]), ...measured(a, [1]), killed, END)).row('peak_rss');
    expect(row).toMatchObject({ value: null, status: 'oom', reason: 'killed at 8 GiB' });
  });

  it('reports quality with a Wilson interval and per-sample results, or why there is none', async () => {
    const correct = [...new Array<boolean>(8).fill(true), false, false];
    const scores = [{ metric: 'top1', value: 0.8, n: 10, correct }];
    const { row } = await run(runOf([a]), checkOf(a, { scores }), END);
    expect(row('top1')).toMatchObject({ value: 0.8, n: 10, ci_method: 'Wilson, n=10, 95%', correct });
    expect(row('top1').ci_lo).toBeCloseTo(0.4901625, 6);
    const seeded = await run(runOf([a]), ...measured(a, [1]), END);
    expect(seeded.row('top1')).toMatchObject({
      value: null,
      reason: 'n/a: the weights are seeded, not trained',
    });
  });

  it('explains a missing peak, unknown MACs and a phase that was not timed', async () => {
    const bare = await run(runOf([a]), ...measured(a, [1]), peakOf(null, 'timed out'), END);
    expect(bare.row('peak_share')).toMatchObject({ value: null, reason: 'n/a: timed out' });
    const facts = { ...caseOf(a).facts!, macs: null };
    const lines = measured(a, [1, 2]).map((r) => ({ ...r, facts }));
    expect((await run(runOf([a]), ...lines, END)).row('gflops').reason).toContain('MACs');
    const none = await run(runOf([a]), checkOf(a), caseOf(a), END);
    expect(none.row('latency').reason).toBe('n/a: no step of any phase was timed');
  });

  it('tells a drift over rounds and a run that was cut off', async () => {
    const { info } = await run(runOf([a]), ...measured(a, [10, 10.2, 10.4, 10.6, 10.8, 11, 11.2]));
    expect(info.warnings.join()).toContain('latency rose by 11% over 7 rounds');
    expect(info.warnings.join()).toContain('cut off');
    const steady = await run(runOf([a]), ...measured(a, [10, 10.2, 10.1, 10.6, 10.3, 11, 10.2]), END);
    expect(steady.info.warnings).toEqual([]);
  });

  it('keeps a bounded strip and digest, however long the rounds', async () => {
    const draw = gaussian(6);
    const rounds = Array.from({ length: 12 }, (_, round) => {
      const ms = Array.from({ length: 700 }, () => 10 * Math.exp(0.3 * draw()));
      return caseOf(a, { round, samples: [infer(ms)] });
    });
    const { row, info } = await run(runOf([a]), checkOf(a), ...rounds, END);
    const strip = info.cells[0]!.strip;
    expect(strip.map((s) => s.round)).toEqual([11]);
    expect(strip[0]!.ms).toEqual(rounds[11]!.samples[0]!.ms);
    const all = rounds.flatMap((r) => [...r.samples[0]!.ms]);
    expect(row('latency_p99').n).toBe(8400);
    expect(Math.abs(row('latency_p99').value! / quantile(all, 0.99) - 1)).toBeLessThan(0.0055);
  });

  it('refuses records without a run line', async () => {
    await expect(summarise([caseOf(a)])).rejects.toThrow(/do not begin with the line/);
    await expect(summarise([])).rejects.toMatchObject({ kind: 'input' });
  });
});
