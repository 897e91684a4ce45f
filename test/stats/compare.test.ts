import { describe, expect, it } from 'vitest';
import type { Cell, RecordLine, RunRecord } from '../../src/core/record.ts';
import type { Comparison } from '../../src/core/report.ts';
import { compareArms, compareBackends, compareRuns } from '../../src/stats/compare.ts';
import { summarise } from '../../src/stats/summarise.ts';
import { cellOf, checkOf, END, measured, runOf } from './records.ts';

const [a, b] = [cellOf('a'), cellOf('b')];
const SIX = [10, 11, 12, 13, 14, 15];
const times = (factor: number) => SIX.map((v) => v * factor);
const summary = (plan: Cell[], lines: RecordLine[], over: Partial<RunRecord> = {}) =>
  summarise([runOf(plan, over), ...lines, END]);
const arms = async (lines: RecordLine[], over: Partial<RunRecord> = {}, plan = [a, b]) => {
  const { info, rows } = await summary(plan, lines, over);
  return pick(compareArms(info, rows));
};
const pick = (all: Comparison[]) => ({
  all,
  of: (metric: string, arm = 'b') => {
    const found = all.find((c) => c.metric === metric && c.b.arm.startsWith(arm));
    if (!found) throw new Error(`no comparison of ${metric}`);
    return found;
  },
});

describe('compareArms', () => {
  it('decides on interleaved rounds that an independent test could not separate', async () => {
    const { of, all } = await arms([
      ...measured(a, SIX),
      ...measured(
        b,
        SIX.map((v, i) => v * (1.05 + i / 1000)),
      ),
    ]);
    const c = of('latency');
    expect(c).toMatchObject({ verdict: 'a', better: 'lower' });
    expect(c.method).toContain('paired Hodges–Lehmann, n=6');
    expect(c.ratio).toBeCloseTo(1.0525, 4);
    expect(c.ci_lo).toBeCloseTo(1.05, 6);
    expect(c.p!).toBeGreaterThan(0.05);
    expect(c.notes.join()).toContain('decided by rounds in pairs');
    expect(of('throughput')).toMatchObject({ verdict: 'a', better: 'higher' });
    expect(all.some((x) => /_p9|peak_share|load|baseline/.test(x.metric))).toBe(false);
  });

  it('is unsure when the interval contains 1', async () => {
    const mixed = SIX.map((v, i) => v * (i % 2 ? 1.02 : 0.99));
    expect((await arms([...measured(a, SIX), ...measured(b, mixed)])).of('latency').verdict).toBe('unsure');
  });

  it('is unsure with few rounds, however large the ratio, and says how many it needs', async () => {
    const c = (await arms([...measured(a, [1, 1.1, 1.2]), ...measured(b, [9, 9.1, 9.2])], { rounds: 3 })).of(
      'latency',
    );
    expect(c.verdict).toBe('unsure');
    expect(c.ratio!).toBeGreaterThan(7);
    expect(c.notes).toEqual(['need >= 6 rounds for a 95% interval, have 3']);
  });

  it('falls back to independent samples when a round is missing', async () => {
    const c = (await arms([...measured(a, SIX), ...measured(b, times(3).slice(1))])).of('latency');
    expect(c.method).toMatch(/^Hodges–Lehmann, n=6\+5/);
  });

  it('compares nothing with an invalid side, and says why', async () => {
    const lines = [
      ...measured(a, SIX),
      checkOf(b, { status: 'invalid', reason: 'logits differ' }),
      ...measured(b, times(0.1)).slice(1),
    ];
    const c = (await arms(lines)).of('latency');
    expect(c).toMatchObject({
      verdict: 'none',
      ratio: null,
      p: null,
      notes: ['B is invalid: logits differ'],
    });
  });

  it('says nothing of a metric that applies to neither side', async () => {
    const { all } = await arms([...measured(a, SIX), ...measured(b, SIX)]);
    expect(all.map((c) => c.metric)).not.toContain('top1');
  });

  it('exact facts are the same or not', async () => {
    const facts = { ...checkOf(b).facts!, macs: 1e7, parameters: 300 };
    const lines = [...measured(a, SIX), ...measured(b, SIX).map((r) => ({ ...r, facts }))];
    const { of } = await arms(lines);
    expect(of('macs')).toMatchObject({ ratio: 2, verdict: 'a', method: 'exact', p: null });
    expect(of('nodes').verdict).toBe('same');
    expect(of('parameters')).toMatchObject({ ratio: 3, verdict: 'none' });
  });

  it('accuracies use McNemar on the same samples', async () => {
    const scored = (cell: Cell, correct: boolean[]) => {
      const value = correct.filter(Boolean).length / correct.length;
      return checkOf(cell, { scores: [{ metric: 'top1', value, n: correct.length, correct }] });
    };
    const right = (n: number, of: number) => Array.from({ length: of }, (_, i) => i < n);
    const { of } = await arms([scored(a, right(8, 20)), scored(b, right(18, 20))]);
    expect(of('top1')).toMatchObject({ ratio: 2.25, verdict: 'b' });
    expect(of('top1').p).toBeCloseTo(2 / 1024, 12);
    expect(of('top1').ci_lo!).toBeGreaterThan(1);
    const close = await arms([scored(a, right(10, 20)), scored(b, right(12, 20))]);
    expect(close.of('top1').verdict).toBe('unsure');
    expect(close.of('top1').p).toBeCloseTo(0.5, 12);
    const same = await arms([scored(a, right(10, 20)), scored(b, right(10, 20))]);
    expect(same.of('top1').verdict).toBe('same');
  });

  it('takes the contrasts of the suite, else the first arm against the rest; Holm over the set', async () => {
    const c = cellOf('c');
    const lines = [...measured(a, SIX), ...measured(b, times(4)), ...measured(c, times(5))];
    const rest = await arms(lines, {}, [a, b, c]);
    expect(rest.all.filter((x) => x.metric === 'latency').map((x) => [x.a.arm, x.b.arm])).toEqual([
      ['a', 'b'],
      ['a', 'c'],
    ]);
    const latency = rest.of('latency');
    expect(latency.p).toBeCloseTo(2 / 924, 12);
    expect(latency.p_adjusted).toBeCloseTo(4 / 924, 12);
    expect(latency.notes).toEqual([]);
    const suites = [{ ...runOf([]).suites[0]!, contrasts: [['c', 'b']] as const }];
    const given = await arms(lines, { suites }, [a, b, c]);
    expect(given.of('latency')).toMatchObject({ a: { arm: 'c' }, b: { arm: 'b' }, verdict: 'b' });
  });
});

describe('compareBackends', () => {
  const on = (backend: string) => cellOf('a', { backend });
  const [cpu, wasm, gpu] = [on('cpu'), on('wasm'), on('gpu')];
  const across = async (plan: Cell[], lines: RecordLine[]) => {
    const { info, rows } = await summary(plan, lines);
    return compareBackends(info, rows);
  };

  it('compares one arm on every two valid backends, round by round, on the metrics that the suite leads with', async () => {
    const lines = [...measured(cpu, SIX), ...measured(wasm, times(3)), ...measured(gpu, times(0.5))];
    const found = await across([cpu, wasm, gpu], lines);
    expect(found.map((c) => [c.metric, c.backend, c.a.backend, c.b.backend, c.verdict])).toEqual([
      ['latency', 'cpu / wasm', 'cpu', 'wasm', 'a'],
      ['latency', 'cpu / gpu', 'cpu', 'gpu', 'b'],
      ['latency', 'wasm / gpu', 'wasm', 'gpu', 'b'],
    ]);
    expect(found[0]).toMatchObject({ ratio: expect.closeTo(3, 9), a: { arm: 'a' }, b: { arm: 'a' } });
    expect(found[0]!.method).toContain('paired Hodges–Lehmann, n=6');
    expect(found[0]!.p_adjusted!).toBeGreaterThanOrEqual(3 * found[0]!.p!);
  });

  it('leaves out what is invalid and what only one backend has, and never crosses arms or batches', async () => {
    const other = cellOf('b', { backend: 'wasm' });
    const larger = cellOf('a', { backend: 'wasm', batch: 4 });
    const bad = [
      checkOf(gpu, { status: 'invalid', reason: 'logits differ' }),
      ...measured(gpu, SIX).slice(1),
    ];
    const lines = [...measured(cpu, SIX), ...measured(other, SIX), ...measured(larger, SIX), ...bad];
    expect(await across([cpu, other, larger, gpu], lines)).toEqual([]);
  });
});

describe('compareRuns', () => {
  const runs = async (head: RecordLine[], over: Partial<RunRecord> = {}, plan = [a]) =>
    pick(compareRuns(await summary([a], measured(a, SIX)), await summary(plan, head, over)));

  it('states what changed', async () => {
    const c = (await runs(measured(a, times(1.8)))).of('latency', 'a');
    expect(c).toMatchObject({ verdict: 'a', method: expect.stringMatching(/^Hodges–Lehmann, n=6\+6/) });
    expect(c.ratio).toBeCloseTo(1.8, 1);
  });

  it('compares no timing across hardware, but exact metrics still', async () => {
    const environment = { ...runOf([]).environment, fingerprint: 'other' };
    const { of } = await runs(measured(a, times(9)), { environment });
    expect(of('latency', 'a')).toMatchObject({ verdict: 'none', ratio: null });
    expect(of('latency', 'a').notes.join()).toContain('different hardware');
    expect(of('macs', 'a').verdict).toBe('same');
  });

  it('shows cells that only one run has, and notes other model files', async () => {
    const { all } = await runs(measured(b, SIX), {}, [b]);
    const notes = all.filter((c) => c.metric === 'latency').flatMap((c) => c.notes);
    expect(notes).toEqual(['B is unavailable: not in run r1', 'A is unavailable: not in run r1']);
    const changed = measured(a, SIX).map((r) => ({ ...r, model_sha256: 'bb' }));
    expect((await runs(changed)).of('latency', 'a').notes).toContain(
      "the model's files differ between the runs",
    );
  });
});
