import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../../src/core/config.ts';
import type { CaseRecord, EndRecord, RecordLine, RunRecord } from '../../src/core/record.ts';
import { executeRun, type RunOptions } from '../../src/run/execute.ts';
import type { RunEvent } from '../../src/run/progress.ts';
import { ADDRESS, recordsIn, testConfig, workbench } from './bench.ts';

let config: Config;
let bench: ReturnType<typeof workbench>;
beforeAll(async () => {
  bench = workbench();
  config = await testConfig();
});
afterAll(() => bench.clean());

function run(filter: Partial<RunOptions['filter']>, over: Partial<RunOptions> = {}) {
  return executeRun({
    config,
    configPath: ADDRESS.path,
    filter: { profile: 'once', suites: ['single'], backends: ['onnxruntime-cpu'], ...filter },
    out: bench.dir,
    argv: ['run'],
    version: '0.1.0',
    ...over,
  });
}
const cases = (lines: readonly RecordLine[]): CaseRecord[] => lines.filter((line) => line.type === 'case');
const brief = (c: CaseRecord): string => `${c.pass}${c.round} ${c.arm} ${c.status}`;

describe('a whole run', () => {
  it('records every process in order: references, checks, interleaved rounds, memory', async () => {
    const events: RunEvent[] = [];
    const outcome = await run({ profile: 'default', suites: ['pair'] }, { onEvent: (e) => events.push(e) });
    expect(outcome).toMatchObject({ outcome: 'complete', counts: { ok: 2 }, missing: 0, exitCode: 0 });

    const lines = await recordsIn(outcome.recordsPath);
    expect(lines.map((line) => line.type)).toEqual(['run', 'peak', ...Array(10).fill('case'), 'end']);
    expect(cases(lines).map(brief)).toEqual([
      'reference0 narrow ok',
      'reference0 wide ok',
      'check0 narrow ok',
      'check0 wide ok',
      'speed0 narrow ok',
      'speed0 wide ok',
      'speed1 wide ok',
      'speed1 narrow ok',
      'memory0 narrow ok',
      'memory0 wide ok',
    ]);
    const first = lines[0] as RunRecord;
    expect(first.plan.map((cell) => cell.arm)).toEqual(['narrow', 'wide']);
    expect(first.suites[0]).toMatchObject({
      question: 'Which layer is faster?',
      contrasts: [['narrow', 'wide']],
    });
    expect(lines[1]).toMatchObject({ type: 'peak', backend: 'onnxruntime-cpu', reason: null });
    expect((lines[1] as { gflops: number }).gflops).toBeGreaterThan(0);
    for (const record of cases(lines)) {
      expect(record.run_id).toBe(outcome.runId);
      expect(record.samples.length > 0).toBe(record.pass === 'speed');
      expect(record.memory === null).toBe(record.pass !== 'memory');
      if (record.memory) {
        expect(record.memory.peak_rss).toBeGreaterThan(record.memory.baseline_rss!);
      }
    }
    // One identity of graph and weights per arm, in every process.
    expect(new Set(cases(lines).map((c) => `${c.arm} ${c.model_sha256}`)).size).toBe(2);
    expect(fs.readdirSync(outcome.dir)).toEqual(['records.jsonl']);

    const ends = events.filter((e) => e.type === 'end');
    expect(ends.at(-1)).toMatchObject({ done: 11, total: 11, etaMs: 0 });
    expect(ends.map((e) => e.done)).toEqual(Array.from({ length: 11 }, (_, i) => i + 1));
  });

  it('goes on past every kind of failure, keeps each as a record, and says so', async () => {
    const backends = ['segv', 'throws', 'differs', 'strays', 'soft', 'gone', 'onnxruntime-cpu'];
    const outcome = await run({ backends });
    expect(outcome).toMatchObject({
      outcome: 'complete',
      exitCode: 3,
      counts: { ok: 1, crashed: 1, failed: 1, invalid: 2, 'correctness-only': 1, unavailable: 1 },
    });
    const lines = await recordsIn(outcome.recordsPath);
    const checks = cases(lines).filter((c) => c.pass === 'check');
    expect(Object.fromEntries(checks.map((c) => [c.backend, `${c.status}: ${c.reason}`]))).toMatchObject({
      segv: expect.stringMatching(/^crashed: SIGSEGV while checking the outputs/),
      throws: 'failed: something is not right',
      differs: expect.stringMatching(/^invalid: outputs differ from onnxruntime-cpu: logits, relative /),
      strays: 'invalid: 25% of the nodes did not run on strays: Gemm',
      soft: expect.stringMatching(/^correctness-only: llvmpipe is a GPU emulated on the CPU/),
      gone: 'unavailable: no adapter',
      'onnxruntime-cpu': 'ok: null',
    });
    const [first] = lines;
    const found = first?.type === 'run' ? (first.backends ?? []) : [];
    expect(found.map(({ name }) => name).sort()).toEqual([...backends].sort());
    expect(found.find(({ name }) => name === 'gone')).toMatchObject({
      available: false,
      reason: 'no adapter',
    });
    expect(found.find(({ name }) => name === 'soft')).toMatchObject({
      available: true,
      device: { software: true },
    });
    // What is not valid is never timed, and a software adapter has no peak.
    const timed = cases(lines).filter((c) => c.pass === 'speed' || c.pass === 'memory');
    expect(new Set(timed.map((c) => c.backend))).toEqual(new Set(['onnxruntime-cpu']));
    const peaks = lines.filter((line) => line.type === 'peak');
    expect(peaks.map((p) => p.backend)).not.toContain('soft');
    expect(peaks.find((p) => p.backend === 'segv')).toMatchObject({
      gflops: null,
      reason: expect.stringMatching(/^SIGSEGV while measuring the peak/),
    });
  });

  it('proves nothing without a reference', async () => {
    const broken = { ...config, parity: { ...config.parity, reference: 'throws' } };
    const outcome = await run({}, { config: broken });
    expect(outcome).toMatchObject({ exitCode: 3, counts: { invalid: 1 } });
    const check = cases(await recordsIn(outcome.recordsPath)).find((c) => c.pass === 'check');
    expect(check?.reason).toBe('no reference to compare with: failed on throws, something is not right');
  });

  it('says unsupported where the reference backend itself lacks an operator', async () => {
    const lacking = { ...config, parity: { ...config.parity, reference: 'lacks' } };
    const outcome = await run({ backends: ['lacks'] }, { config: lacking });
    expect(outcome).toMatchObject({ exitCode: 3, counts: { unsupported: 1 } });
    const check = cases(await recordsIn(outcome.recordsPath)).find((c) => c.pass === 'check');
    expect(check?.reason).toBe('operator Gemm is not supported (node gemm_0)');
  });

  it('refuses unknown names before it makes a folder', async () => {
    const before = fs.readdirSync(path.join(bench.dir, 'runs')).length;
    await expect(run({ suites: ['pear'] })).rejects.toMatchObject({ kind: 'usage', next: /pair/ });
    expect(fs.readdirSync(path.join(bench.dir, 'runs'))).toHaveLength(before);
  });
});

describe('a run that is stopped', () => {
  it('keeps what it has, and --resume measures only what is missing', async () => {
    const stop = new AbortController();
    const stopped = await run(
      { profile: 'once', rounds: 2 },
      {
        signal: stop.signal,
        onEvent: (e) => {
          if (e.type === 'begin' && e.phase === 'speed' && e.round === 1) stop.abort();
        },
      },
    );
    expect(stopped).toMatchObject({ outcome: 'interrupted', exitCode: 3, counts: { cancelled: 1 } });
    const before = await recordsIn(stopped.recordsPath);
    expect(cases(before).map(brief)).toEqual([
      'reference0 narrow ok',
      'check0 narrow ok',
      'speed0 narrow ok',
      'speed1 narrow cancelled',
    ]);
    expect((before.at(-1) as EndRecord).outcome).toBe('interrupted');

    // A crash of the machine would leave half a line.
    fs.appendFileSync(stopped.recordsPath, '{"type":"case","schema_version":1,"run_id":"2026');
    const resumed = await run({ profile: 'once' }, { resume: stopped.runId });
    expect(resumed).toMatchObject({
      runId: stopped.runId,
      outcome: 'complete',
      exitCode: 0,
      counts: { ok: 1 },
    });
    const after = await recordsIn(resumed.recordsPath);
    expect(after.slice(0, before.length)).toEqual(before);
    expect(cases(after.slice(before.length)).map(brief)).toEqual(['speed1 narrow ok', 'memory0 narrow ok']);
    expect((after.at(-1) as EndRecord).outcome).toBe('complete');

    await expect(run({ profile: 'once', rounds: 3 }, { resume: stopped.runId })).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('the number of rounds was 2, is 3'),
    });
    await expect(run({ profile: 'once', suites: ['pair'] }, { resume: stopped.runId })).rejects.toMatchObject(
      { message: expect.stringContaining('pair/apply/narrow/onnxruntime-cpu/fp32/b2 is asked for') },
    );
    const other = {
      ...config,
      suites: config.suites.map((s) => ({ ...s, arms: s.arms.map((a) => ({ ...a, group: 'new' })) })),
    };
    await expect(run({ profile: 'once' }, { resume: stopped.runId, config: other })).rejects.toMatchObject({
      message: expect.stringContaining('group of single/apply/narrow'),
    });
    const set = {
      ...config,
      suites: config.suites.map((s) => ({ ...s, arms: s.arms.map((a) => ({ ...a, params: { pause: 1 } })) })),
    };
    await expect(run({ profile: 'once' }, { resume: stopped.runId, config: set })).rejects.toMatchObject({
      message: expect.stringContaining('settings of single/apply/narrow'),
    });
  });

  it('by a full disk ends with whole lines and says so', async () => {
    let lines = 0;
    const outcome = await run(
      {},
      {
        disk: {
          write: (fd, bytes) => {
            if (++lines <= 3) return fs.writeSync(fd, bytes);
            fs.writeSync(fd, bytes.subarray(0, 10));
            throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
          },
          sync: () => {},
        },
      },
    );
    expect(outcome).toMatchObject({ outcome: 'stopped', exitCode: 3, missing: 1 });
    expect(outcome.reason).toContain('ENOSPC');
    const kept = await recordsIn(outcome.recordsPath);
    expect(kept.map((line) => line.type)).toEqual(['run', 'peak', 'case']);
    expect(fs.readFileSync(outcome.recordsPath).at(-1)).toBe(0x0a);
  });
});

describe('two runs at once', () => {
  it('do not disturb each other’s files', async () => {
    const [a, b] = await Promise.all([run({}), run({})]);
    expect(a.dir).not.toBe(b.dir);
    for (const outcome of [a, b]) {
      expect(outcome).toMatchObject({ outcome: 'complete', exitCode: 0 });
      const lines = await recordsIn(outcome.recordsPath);
      expect(lines.every((line) => line.run_id === outcome.runId)).toBe(true);
      expect(cases(lines).map((c) => c.pass)).toEqual(['reference', 'check', 'speed', 'memory']);
    }
  });
});
