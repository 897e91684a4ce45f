import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exponentDifference, growth, powerLaw } from '../../src/stats/power-law.ts';
import { gaussian } from './helpers.ts';

const exponent = fc.double({ min: -3, max: 3, noNaN: true });
const factor = fc.double({ min: 1e-6, max: 1e9, noNaN: true });
const sizes = fc
  .uniqueArray(fc.integer({ min: 1, max: 4096 }), { minLength: 3, maxLength: 8 })
  .map((list) => list.sort((a, b) => a - b));

describe('power laws', () => {
  it('are recovered exactly, whatever the sizes, the exponent and the unit of the values', () => {
    fc.assert(
      fc.property(sizes, exponent, factor, (x, k, a) => {
        const law = powerLaw(
          x,
          x.map((size) => a * size ** k),
        )!;
        expect(law.exponent).toBeCloseTo(k, 8);
        expect(law.factor / a).toBeCloseTo(1, 6);
        expect(law.departure).toBeCloseTo(1, 8);
      }),
    );
  });

  it('agree with the regression by hand', () => {
    // On binary logarithms x is 0, 1, 2, 3: Σ(x−x̄)(y−ȳ) ÷ Σ(x−x̄)² has the denominator 5.
    const law = powerLaw([1, 2, 4, 8], [1, 3, 8, 30])!;
    const logs = [1, 3, 8, 30].map(Math.log2);
    const slope = (-1.5 * logs[0]! - 0.5 * logs[1]! + 0.5 * logs[2]! + 1.5 * logs[3]!) / 5;
    expect(law.exponent).toBeCloseTo(slope, 12);
    const start = logs.reduce((a, b) => a + b) / 4 - 1.5 * slope;
    expect(law.factor).toBeCloseTo(2 ** start, 12);
    const residuals = logs.map((y, i) => Math.abs(y - start - slope * i));
    expect(law.departure).toBeCloseTo(2 ** Math.max(...residuals), 12);
  });

  it('have no answer where there is none', () => {
    expect(powerLaw([4, 4], [1, 2])).toBeNull();
    expect(powerLaw([1, 2], [1])).toBeNull();
    expect(powerLaw([1, 2, 3], [1, 0, 2])).toBeNull();
    expect(growth([1, 2], [[1], [2]])).toBeNull();
    expect(growth([1, 2, 2], [[1], [2], [2]])).toBeNull();
    expect(growth([1, 2, 4], [[], [], []])).toBeNull();
  });
});

describe('growth', () => {
  const x = [128, 256, 384, 512];
  const noisy = (seed: number, k: number, rounds = 6, noise = 0.03, x_ = x) => {
    const draw = gaussian(seed);
    return x_.map((size) => Array.from({ length: rounds }, () => size ** k * Math.exp(noise * draw())));
  };

  it('has an interval that covers the exponent as often as it says: 96.9% of 6 rounds', () => {
    let covered = 0;
    const runs = 2000;
    for (let seed = 0; seed < runs; seed++) {
      const { ci_lo, ci_hi, exponent: found } = growth(x, noisy(seed, 1.6))!;
      expect(found).toBeGreaterThanOrEqual(ci_lo!);
      expect(found).toBeLessThanOrEqual(ci_hi!);
      if (ci_lo! <= 1.6 && 1.6 <= ci_hi!) covered++;
    }
    // Binomial with p = 0.96875: three standard deviations are 1.2 points.
    expect(Math.abs(covered / runs - 0.96875)).toBeLessThan(0.012);
  });

  it('is not moved by what slows a whole round down, nor by the unit', () => {
    const values = noisy(5, 1.3);
    const drift = [1, 1.4, 0.8, 3, 1, 2];
    const slowed = values.map((own) => own.map((value, round) => value * drift[round]! * 1000));
    const [plain, other] = [growth(x, values)!, growth(x, slowed)!];
    expect(other.exponent).toBeCloseTo(plain.exponent, 10);
    expect([other.ci_lo, other.ci_hi]).toEqual([
      expect.closeTo(plain.ci_lo!, 10),
      expect.closeTo(plain.ci_hi!, 10),
    ]);
  });

  it('says at both ends what a sum of two powers does, and how far it is from a single one', () => {
    const sum = x.map((size) => [size + size ** 2 / 256]);
    const bent = growth(x, sum, true)!;
    expect(bent.ends[0]).toBeLessThan(bent.exponent);
    expect(bent.ends[1]).toBeGreaterThan(bent.exponent);
    expect(bent.departure).toBeGreaterThan(1.02);
    expect(bent.bends).toBe(false);
    const far = x.map((size) => [size + size ** 3 / 2 ** 16]);
    expect(growth(x, far, true)!.bends).toBe(true);
    // Where the rounds scatter as widely, that the medians bend says nothing.
    const wild = noisy(9, 1, 6, 0.8);
    expect(growth(x, wild)!.departure).toBeGreaterThan(1.1);
    expect(growth(x, wild)!.bends).toBe(false);
    expect(
      growth(
        x,
        far.map(([value]) => [value!, value! * 1.01]),
      )!.bends,
    ).toBe(true);
    expect(bent).toMatchObject({ ci_lo: null, ci_hi: null, ci_method: 'exact' });
  });

  it('names why there is no interval', () => {
    expect(growth(x, noisy(1, 1, 2))).toMatchObject({ ci_lo: null, ci_method: 'none: 2 rounds' });
    const short = noisy(1, 1).map((own, i) => (i === 1 ? own.slice(1) : own));
    expect(growth(x, short)).toMatchObject({ exponents: [], ci_method: 'none: some sizes lack rounds' });
    expect(growth(x, short)!.exponent).toBeCloseTo(1, 0);
  });

  it('is compared in pairs of rounds', () => {
    const [steep, flat] = [growth(x, noisy(1, 1.6))!, growth(x, noisy(2, 1))!];
    const { lo, hi } = exponentDifference(steep, flat)!;
    expect(lo).toBeGreaterThan(0.4);
    expect(hi).toBeLessThan(0.8);
    expect(exponentDifference(flat, steep)).toEqual({ lo: -hi, hi: -lo, rounds: 6 });
    expect(exponentDifference(steep, growth(x, noisy(3, 1, 4))!)).toBeNull();
  });
});
