import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Comparison } from '../../src/core/report.ts';
import { type Phrase, statement } from '../../src/report/statement.ts';

const plain = (phrase: Phrase): string =>
  phrase.map((part) => (typeof part === 'string' ? part : part.name)).join('');
const side = (arm: string, value: number | null, rounds = 7) => ({
  case_id: arm,
  arm,
  backend: 'onnxruntime-cpu',
  value,
  rounds,
  status: 'ok' as const,
});
const base: Comparison = {
  suite: 's',
  workload: 'w',
  metric: 'latency',
  unit: 'ms',
  better: 'lower',
  backend: 'onnxruntime-cpu',
  precision: 'fp32',
  batch: 1,
  a: side('A', 50),
  b: side('B', 100),
  ratio: 2,
  ci_lo: 1.9,
  ci_hi: 2.1,
  method: 'Hodges–Lehmann',
  p: 0.001,
  p_adjusted: 0.004,
  verdict: 'a',
  notes: [],
};

describe('a comparison in words', () => {
  test.each<[string, Partial<Comparison>, string, string]>([
    [
      'the first wins',
      {},
      'A beats B on latency: 50.0 ms against 100 ms, 2.00× (95% interval 1.90× to 2.10×)',
      'sure',
    ],
    [
      'the second wins: turned round',
      { a: side('A', 100), b: side('B', 50), ratio: 0.5, ci_lo: 0.4, ci_hi: 0.625, verdict: 'b' },
      'B beats A on latency: 50.0 ms against 100 ms, 2.00× (95% interval 1.60× to 2.50×)',
      'sure',
    ],
    [
      'a rate',
      { metric: 'throughput', unit: 'images/s', better: 'higher', verdict: 'b' },
      'B beats A on throughput: 100 images/s against 50.0 images/s, 2.00× (95% interval 1.90× to 2.10×)',
      'sure',
    ],
    [
      'p does not hold after correction',
      { p_adjusted: 0.2 },
      'A beats B on latency: 50.0 ms against 100 ms, 2.00× (95% interval 1.90× to 2.10×)',
      'weak',
    ],
    [
      'not told apart',
      { verdict: 'unsure', ratio: 1.01, ci_lo: 0.98, ci_hi: 1.04, p_adjusted: 1 },
      'No sure difference between A and B on latency: 50.0 ms against 100 ms, 1.010× (95% interval 0.980× to 1.040×)',
      'unsure',
    ],
    [
      'accuracy differs by points',
      {
        metric: 'top1',
        unit: 'share',
        better: 'higher',
        a: side('A', 0.91),
        b: side('B', 0.93),
        ratio: 1.02,
        verdict: 'b',
        method: 'exact',
      },
      'B beats A on top-1: 93.0% against 91.0%, 2.00 points',
      'exact',
    ],
    [
      'size is neither good nor bad',
      { metric: 'parameters', unit: 'count', better: 'none', method: 'exact', verdict: 'none' },
      'B has 2.00× the parameters of A: 100 against 50.0',
      'exact',
    ],
    ['equal', { verdict: 'same', ratio: 1 }, 'A and B are equal on latency: 50.0 ms', 'exact'],
  ])('%s', (_, change, text, certainty) => {
    const said = statement({ ...base, ...change });
    expect(plain(said.text)).toBe(text);
    expect(said.certainty).toBe(certainty);
  });

  test('two rounds give no certainty, however large the ratio and whatever interval was computed', () => {
    const few = {
      ...base,
      a: side('A', 50, 2),
      b: side('B', 100, 2),
      verdict: 'unsure' as const,
      notes: ['need >= 6 rounds'],
    };
    const said = statement(few);
    expect(plain(said.text)).toBe(
      'A measured better than B on latency: 50.0 ms against 100 ms, 2.00×, but 2 rounds cannot make that sure',
    );
    expect(said).toMatchObject({
      winner: null,
      certainty: 'unsure',
      because: '2 rounds: no interval; need >= 6 rounds',
      range: null,
    });
  });

  test('accuracies on the same samples rest on McNemar’s test, not on rounds', () => {
    const scores = {
      ...base,
      metric: 'top1',
      unit: 'share',
      better: 'higher' as const,
      a: side('A', 0.8, 1),
      b: side('B', 0.9, 1),
      ratio: 1.125,
      verdict: 'b' as const,
      method: 'McNemar, exact, n=500, 10+60 discordant',
    };
    expect(statement(scores)).toMatchObject({
      certainty: 'sure',
      because: 'McNemar, exact, n=500, 10+60 discordant; p = 0.0040',
      amount: '10.0 points',
    });
    expect(statement({ ...scores, verdict: 'unsure', ci_lo: 0.9, ci_hi: 1.2 }).because).toMatch(
      /^the interval contains 1/,
    );
  });

  test('doubts travel with a verdict', () => {
    const doubted = statement({
      ...base,
      p_adjusted: 0.2,
      notes: ['p = 0.20 when corrected for 12 comparisons'],
    });
    expect(doubted).toMatchObject({
      certainty: 'weak',
      because: '7 rounds; p = 0.20 when corrected for 12 comparisons',
    });
  });

  test('what is not valid is not compared, and says why', () => {
    const said = statement({
      ...base,
      b: { ...side('B', null), status: 'invalid' },
      ratio: null,
      verdict: 'none',
    });
    expect(plain(said.text)).toBe('Not compared on latency: A and B');
    expect(said).toMatchObject({ winner: null, amount: null, certainty: 'none', because: 'B: invalid' });
  });

  test('the order of the two arms changes neither winner nor amount', () => {
    fc.assert(
      fc.property(fc.double({ min: 1.01, max: 50, noNaN: true }), (ratio) => {
        const a = side('A', 10);
        const b = side('B', 10 * ratio);
        const there = statement({
          ...base,
          a,
          b,
          ratio,
          ci_lo: ratio / 1.005,
          ci_hi: ratio * 1.005,
          verdict: 'a',
        });
        const back = statement({
          ...base,
          a: b,
          b: a,
          ratio: 1 / ratio,
          ci_lo: 1 / (ratio * 1.005),
          ci_hi: 1.005 / ratio,
          verdict: 'b',
        });
        expect([back.winner, back.amount, back.range]).toEqual([there.winner, there.amount, there.range]);
      }),
    );
  });
});
