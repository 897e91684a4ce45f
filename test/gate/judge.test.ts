import { describe, expect, it } from 'vitest';
import type { Summary } from '../../src/core/report.ts';
import { parseBaseline, saveBaseline } from '../../src/gate/baseline.ts';
import { confirm, needsRemeasure } from '../../src/gate/confirm.ts';
import { judge } from '../../src/gate/judge.ts';
import { exitCodeOf } from '../../src/gate/result.ts';
import { CONFIG, info, latencyRow } from './noise.ts';

const SIX = [50, 50.2, 50.4, 50.1, 50.3, 50.5];
const times = (factor: number) => SIX.map((v, i) => v * factor + i / 1e4);
const base = saveBaseline(info(), [latencyRow('a', SIX)]);
const gate = (rows: Summary[], baseline = base, fingerprint = 'f1', config = CONFIG) =>
  judge(baseline, info(fingerprint), rows, config);
const only = (result: ReturnType<typeof judge>) => {
  expect(result.rows).toHaveLength(1);
  return result.rows[0]!;
};

describe('judge, noisy metrics', () => {
  it('is ok within the tolerance', () => {
    const result = gate([latencyRow('a', times(1.03))]);
    expect(only(result)).toMatchObject({ verdict: 'ok', reason: expect.stringContaining('within 5.0%') });
    expect(exitCodeOf(result, { strict: true })).toBe(0);
  });

  it('suspects a slowdown, and fails only when a second measurement agrees', () => {
    const result = gate([latencyRow('a', times(1.1))]);
    expect(only(result)).toMatchObject({ verdict: 'suspected', tolerance: 0.05 });
    expect(only(result).change).toBeCloseTo(0.1, 2);
    expect(needsRemeasure(result)).toEqual(['s/w/a/cpu/fp32/b1']);
    expect(exitCodeOf(result, { strict: false })).toBe(0);
    expect(exitCodeOf(result, { strict: true })).toBe(4);
    const again = confirm(result, [latencyRow('a', times(1.12))]);
    expect(only(again)).toMatchObject({ verdict: 'regression' });
    expect(only(again).reason).toMatch(/^10\.\d% worse .* confirmed by a second measurement: 12\.\d% worse/);
    expect(exitCodeOf(again, { strict: false })).toBe(1);
    expect(needsRemeasure(again)).toEqual([]);
  });

  it('lets a suspicion go that a second measurement does not show, and keeps it open where there is none', () => {
    const result = gate([latencyRow('a', times(1.1))]);
    expect(only(confirm(result, [latencyRow('a', times(1.01))])).verdict).toBe('ok');
    const none = only(confirm(result, []));
    expect(none).toMatchObject({
      verdict: 'inconclusive',
      reason: expect.stringContaining('has no such row'),
    });
    const few = only(confirm(result, [latencyRow('a', times(1.1).slice(2))]));
    expect(few.reason).toContain('has 4 rounds, needs ≥ 6');
    const crashed = latencyRow('a', [], { status: 'crashed', reason: 'SIGSEGV', value: null });
    expect(only(confirm(result, [crashed])).reason).toContain('is crashed: SIGSEGV');
  });

  it('takes the second measurement in the same call where there already is one', () => {
    const options = { remeasured: [latencyRow('a', times(1.1))] };
    const result = judge(base, info(), [latencyRow('a', times(1.1))], CONFIG, options);
    expect(only(result).verdict).toBe('regression');
  });

  it('is symmetric for rates: the same slowdown gives the same verdict', () => {
    const rate = { metric: 'throughput', unit: 'images/s', better: 'higher' } as const;
    const inverse = (values: number[]) =>
      latencyRow(
        'a',
        values.map((v) => 1000 / v),
        rate,
      );
    const baseline = saveBaseline(info(), [inverse(SIX)]);
    const slower = only(gate([inverse(times(1.1))], baseline));
    expect(slower).toMatchObject({ verdict: 'suspected' });
    expect(slower.change).toBeCloseTo(only(gate([latencyRow('a', times(1.1))])).change!, 10);
    expect(only(gate([inverse(times(0.9))], baseline)).verdict).toBe('improved');
  });

  it('calls a certain speed-up improved', () => {
    const row = only(gate([latencyRow('a', times(0.8))]));
    expect(row).toMatchObject({ verdict: 'improved', reason: expect.stringContaining('20.0% better') });
  });

  it('is inconclusive, never silently ok, beyond the tolerance but unsure', () => {
    const wild = [40, 70, 58, 45, 75, 58];
    expect(only(gate([latencyRow('a', wild)]))).toMatchObject({
      verdict: 'inconclusive',
      reason: expect.stringContaining('the interval does not exclude it'),
    });
  });

  it('is inconclusive with too few rounds on either side, whatever the change', () => {
    const few = gate([latencyRow('a', times(3).slice(3))]);
    expect(only(few)).toMatchObject({
      verdict: 'inconclusive',
      reason: 'needs ≥ 6 rounds on both sides, has 6 and 3',
    });
    expect(exitCodeOf(few, { strict: false })).toBe(0);
    expect(exitCodeOf(few, { strict: true })).toBe(4);
  });

  it('is inconclusive on other hardware, and says so for the whole', () => {
    const result = gate([latencyRow('a', times(3))], base, 'f2');
    expect(only(result).verdict).toBe('inconclusive');
    expect(result.same_hardware).toBe(false);
    expect(result.notes.join()).toContain('other hardware');
  });

  it('says how many rounds a large family needs before anything can fail', () => {
    const arms = Array.from({ length: 40 }, (_, i) => `arm-${i}`);
    const baseline = saveBaseline(
      info(),
      arms.map((arm) => latencyRow(arm, SIX)),
    );
    // 40 cases that rank alike within their case still are 40 tests: 40 · 2/924 > 0.05.
    const result = gate(
      arms.map((arm) => latencyRow(arm, times(1.5))),
      baseline,
    );
    expect(new Set(result.rows.map((r) => r.verdict))).toEqual(new Set(['inconclusive']));
    expect(result.rows[0]!.reason).toContain('cannot reach α over 40 tests; needs ≥ 7 rounds');
  });

  it('counts rows of a case that rank alike as one test', () => {
    const both = (values: number[]) => [
      latencyRow('a', values),
      latencyRow(
        'a',
        values.map((v) => 1000 / v),
        { metric: 'throughput', better: 'higher' },
      ),
    ];
    const result = gate(both(times(1.2)), saveBaseline(info(), both(SIX)));
    for (const row of result.rows) expect(row.p_adjusted).toBeCloseTo(2 / 924, 12);
  });
});

describe('judge, exact metrics', () => {
  const exact = (value: number, over: Partial<Summary> = {}) =>
    latencyRow('a', [value], {
      ...{ phase: 'static', metric: 'macs', assume: 'exact', unit: 'count', value, ...over },
    });
  const of = (row: Summary) => saveBaseline(info(), [row]);

  it('fails on any change for the worse, on other hardware too', () => {
    expect(only(gate([exact(101)], of(exact(100)))).verdict).toBe('regression');
    expect(only(gate([exact(101)], of(exact(100)), 'f2')).reason).toContain('changed from 100 to 101');
    expect(only(gate([exact(99)], of(exact(100)))).verdict).toBe('improved');
    expect(only(gate([exact(100)], of(exact(100)))).verdict).toBe('ok');
  });

  it('a metric without direction must not change at all', () => {
    const parameters = { metric: 'parameters', better: 'none' } as const;
    for (const value of [99, 101]) {
      expect(only(gate([exact(value, parameters)], of(exact(100, parameters)))).verdict).toBe('regression');
    }
  });

  it('accuracy on fixed samples is held at 0', () => {
    const top1 = { metric: 'top1', phase: 'quality', better: 'higher' } as const;
    expect(only(gate([exact(0.9, top1)], of(exact(0.91, top1)))).verdict).toBe('regression');
  });
});

describe('judge, what is not there', () => {
  const failed = (status: Summary['status']) =>
    latencyRow('a', [], { status, value: null, reason: 'because' });

  it.each([
    'invalid',
    'crashed',
    'oom',
    'timeout',
    'cancelled',
    'unavailable',
    'correctness-only',
  ] as const)('a valid row that is now %s is invalid, exit 3', (status) => {
    const result = gate([failed(status)]);
    expect(only(result)).toMatchObject({ verdict: 'invalid', reason: `${status}: because` });
    expect(exitCodeOf(result, { strict: false })).toBe(3);
  });

  it('is missing when the row or its value is gone', () => {
    const gone = gate([]);
    expect(only(gone).verdict).toBe('missing');
    expect(exitCodeOf(gone, { strict: false })).toBe(3);
    expect(only(gate([latencyRow('a', [], { value: null, reason: 'n/a: not scored' })]))).toMatchObject({
      verdict: 'missing',
      reason: 'no value any more: n/a: not scored',
    });
  });

  it('leaves alone what could not run in the baseline either, but not what broke in both', () => {
    expect(gate([failed('unavailable')], saveBaseline(info(), [failed('unavailable')])).rows).toEqual([]);
    const broken = gate([failed('crashed')], saveBaseline(info(), [failed('crashed')]));
    expect(only(broken).verdict).toBe('invalid');
  });

  it('a new row is said, and a gate that held nothing against anything does not pass', () => {
    const result = gate([latencyRow('b', SIX)], saveBaseline(info(), []));
    expect(only(result).verdict).toBe('new');
    expect(exitCodeOf(result, { strict: false })).toBe(3);
    expect(exitCodeOf(gate([], saveBaseline(info(), [])), { strict: false })).toBe(3);
  });

  it('a regression is reported before an invalid row', () => {
    const baseline = saveBaseline(info(), [latencyRow('a', SIX), latencyRow('b', SIX)]);
    const rows = [latencyRow('a', times(1.2)), latencyRow('b', [], { status: 'oom', value: null })];
    const result = confirm(gate(rows, baseline), [latencyRow('a', times(1.2))]);
    expect(exitCodeOf(result, { strict: true })).toBe(1);
  });
});

describe('which rows are gated', () => {
  it('memory and cold phases only where the config names them', () => {
    const rows = [
      latencyRow('a', SIX),
      latencyRow('a', SIX, { metric: 'peak_rss', phase: 'memory' }),
      latencyRow('a', SIX, { metric: 'load', phase: 'cold' }),
      latencyRow('a', [], { metric: 'latency_p90', value: 60 }),
      latencyRow('a', SIX, { metric: 'peak_share', better: 'higher' }),
    ];
    const metrics = (tolerance: Record<string, number>) =>
      gate(rows, saveBaseline(info(), rows), 'f1', { ...CONFIG, tolerance }).rows.map((r) => r.metric);
    expect(metrics({ default: 0.05 })).toEqual(['latency']);
    expect(metrics({ default: 0.05, peak_rss: 0.1, load: 0.2 })).toEqual(['latency', 'peak_rss', 'load']);
  });

  it('each has its own tolerance', () => {
    const config = { ...CONFIG, tolerance: { default: 0.05, latency: 0.25 } };
    expect(only(gate([latencyRow('a', times(1.2))], base, 'f1', config)).verdict).toBe('ok');
  });
});

describe('baseline', () => {
  it('survives its own JSON', () => {
    expect(parseBaseline(JSON.stringify(base), 'main.json')).toEqual(base);
  });

  it.each([
    ['', /not JSON/],
    ['{}', /no baseline of version 1/],
    [JSON.stringify({ ...base, version: 99 }), /version/],
    [JSON.stringify({ ...base, rows: [{ ...base.rows[0], values: ['x'] }] }), /rows\.0\.values\.0/],
    [JSON.stringify({ ...base, rows: [{ ...base.rows[0], status: 'fine' }] }), /rows\.0\.status/],
    ['{"__proto__": {"kind": "versus-baseline"}}', /no baseline/],
  ])('refuses %s', (json, message) => {
    expect(() => parseBaseline(json, 'main.json')).toThrow(message);
    try {
      parseBaseline(json, 'main.json');
    } catch (error) {
      expect(error).toMatchObject({ kind: 'usage', where: 'main.json' });
    }
  });
});
