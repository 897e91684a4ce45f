import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hodgesLehmannRatio, pairedRatio } from '../../src/stats/hodges-lehmann.ts';
import { mannWhitney, smallestP, untiedUCdf } from '../../src/stats/ranks.ts';
import { holm, mcnemar, trend } from '../../src/stats/tests.ts';
import { gaussian, subsets } from './helpers.ts';

/** The permutation test by listing every split of the pooled values. */
function enumerated(a: number[], b: number[]): number {
  const pool = [...a, ...b];
  const uOf = (picked: number[]) => {
    const inB = new Set(picked);
    let u = 0;
    for (let i = 0; i < pool.length; i++)
      for (const j of inB) if (!inB.has(i)) u += (Math.sign(pool[j]! - pool[i]!) + 1) / 2;
    return u;
  };
  const observed = uOf(b.map((_, j) => a.length + j));
  const all = subsets(pool.length, b.length).map(uOf);
  const lower = all.filter((u) => u <= observed).length / all.length;
  const upper = all.filter((u) => u >= observed).length / all.length;
  return Math.min(1, 2 * Math.min(lower, upper));
}

describe('mannWhitney', () => {
  it('reaches the values of the published tables', () => {
    expect(mannWhitney([1, 2, 3], [4, 5, 6])).toMatchObject({ u: 9, method: 'exact Mann–Whitney' });
    expect(mannWhitney([1, 2, 3], [4, 5, 6]).p).toBeCloseTo(0.1, 12);
    expect(mannWhitney([1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]).p).toBeCloseTo(2 / 924, 12);
    expect(smallestP(6, 6)).toBeCloseTo(2 / 924, 12);
    // scipy.stats.mannwhitneyu's documented example: U = 17, two-sided exact p = 1/9.
    const males = [19, 22, 16, 29, 24];
    const females = [20, 11, 17, 12];
    expect(mannWhitney(females, males).u).toBe(17);
    expect(mannWhitney(females, males).p).toBeCloseTo(1 / 9, 10);
  });

  it('equals enumeration, ties included', () => {
    const side = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(side, side, (a, b) => {
        expect(mannWhitney(a, b).p).toBeCloseTo(enumerated(a, b), 10);
        expect(mannWhitney(b, a).p).toBeCloseTo(mannWhitney(a, b).p, 10);
      }),
      { numRuns: 60 },
    );
  });

  it('approximates large samples close to the exact p', () => {
    const draw = gaussian(3);
    const a = Array.from({ length: 30 }, draw);
    const b = Array.from({ length: 30 }, () => draw() + 0.5);
    const exact = mannWhitney(a, b);
    expect(exact.method).toBe('exact Mann–Whitney');
    const big = mannWhitney(
      Array.from({ length: 300 }, draw),
      Array.from({ length: 300 }, () => draw() + 0.3),
    );
    expect(big.method).toContain('normal');
    expect(big.p).toBeLessThan(0.05);
    expect(mannWhitney(new Array(300).fill(1), new Array(300).fill(1)).p).toBe(1);
    expect(mannWhitney([], [1]).p).toBe(1);
  });

  it('U distribution of 2 against 2', () => {
    expect(Array.from(untiedUCdf(2, 2)!, (v) => Math.round(v * 6))).toEqual([1, 2, 4, 5, 6]);
  });
});

describe('ratios', () => {
  it('Hodges–Lehmann of two by hand', () => {
    const estimate = hodgesLehmannRatio([1, 2, 4, 8], [10, 20, 40, 80])!;
    expect(estimate.ratio).toBeCloseTo(10, 10);
    // 4 against 4: only U = 0 lies in the tail of 2.5%, so the limits are the extreme ratios.
    expect(estimate.interval!.lo).toBeCloseTo(10 / 8, 10);
    expect(estimate.interval!.hi).toBeCloseTo(80, 10);
    expect(hodgesLehmannRatio([1, 2, 3], [1, 2, 3])!.interval).toBeNull();
    expect(hodgesLehmannRatio([0, 1], [1, 2])).toBeNull();
    expect(hodgesLehmannRatio([], [1, 2])).toBeNull();
  });

  it('is scale-equivariant and inverts when the sides swap', () => {
    const side = fc.array(fc.double({ min: 0.1, max: 100, noNaN: true }), { minLength: 4, maxLength: 9 });
    fc.assert(
      fc.property(side, side, fc.double({ min: 0.5, max: 2, noNaN: true }), (a, b, c) => {
        const x = hodgesLehmannRatio(a, b)!;
        const y = hodgesLehmannRatio(b, a)!;
        expect(x.ratio * y.ratio).toBeCloseTo(1, 8);
        expect(x.interval!.lo * y.interval!.hi).toBeCloseTo(1, 8);
        const scaled = hodgesLehmannRatio(
          a,
          b.map((v) => v * c),
        )!;
        expect(scaled.interval!.hi / x.interval!.hi).toBeCloseTo(c, 8);
      }),
    );
  });

  it('thins thousands of rounds without losing the ratio', () => {
    const draw = gaussian(8);
    const side = (scale: number) => Array.from({ length: 3000 }, () => scale * Math.exp(0.1 * draw()));
    const { ratio, interval } = hodgesLehmannRatio(side(1), side(1.05))!;
    expect(Math.abs(ratio - 1.05)).toBeLessThan(0.01);
    expect(interval!.lo).toBeGreaterThan(1.03);
    expect(interval!.hi).toBeLessThan(1.07);
  });

  it('pairs cancel what both sides share', () => {
    const a = [1, 2, 3, 5, 8, 13];
    const b = a.map((v, i) => v * (1.1 + 0.001 * i));
    const paired = pairedRatio(a, b)!;
    expect(paired.interval!.lo).toBeCloseTo(1.1, 10);
    expect(paired.interval!.hi).toBeCloseTo(1.105, 10);
    expect(hodgesLehmannRatio(a, b)!.interval!.lo).toBeLessThan(1);
    expect(pairedRatio(a.slice(1), b.slice(1))!.interval).toBeNull();
    expect(pairedRatio(a, b.slice(1))).toBeNull();
    expect(pairedRatio([1, 2, 3, 4, 5, 0], a)).toBeNull();
    expect(
      pairedRatio(
        Array.from({ length: 300 }, (_, i) => i + 1),
        Array.from({ length: 300 }, (_, i) => 2 * (i + 1)),
      ),
    ).toMatchObject({ ratio: 2, interval: { lo: 2, hi: 2 } });
  });
});

describe('tests', () => {
  it('McNemar is the sign test of the discordant pairs', () => {
    expect(mcnemar(1, 9)).toBeCloseTo(22 / 1024, 12);
    expect(mcnemar(9, 1)).toBeCloseTo(22 / 1024, 12);
    expect(mcnemar(0, 0)).toBe(1);
    expect(mcnemar(5, 5)).toBe(1);
  });

  it('Holm steps down (p.adjust of R)', () => {
    const adjusted = holm([0.01, 0.04, 0.03, 0.005]);
    [0.03, 0.06, 0.06, 0.02].forEach((v, i) => {
      expect(adjusted[i]).toBeCloseTo(v, 12);
    });
    expect(holm([])).toEqual([]);
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true })), (ps) => {
        holm(ps).forEach((p, i) => {
          expect(p).toBeGreaterThanOrEqual(ps[i]!);
          expect(p).toBeLessThanOrEqual(Math.min(1, ps.length * ps[i]!) + 1e-12);
        });
      }),
    );
  });

  it('trend counts inversions exactly', () => {
    expect(trend([1, 2, 3, 4, 5, 6]).p).toBeCloseTo(2 / 720, 12);
    expect(trend([6, 5, 4, 3, 2, 1])).toMatchObject({ s: -15 });
    expect(trend([1, 3, 2]).p).toBe(1);
    expect(trend([1, 1, 2]).p).toBeNull();
    expect(trend([100, 110, 120]).relativeSlope).toBeCloseTo(10 / 110, 12);
    expect(trend([5]).p).toBeNull();
  });
});
