import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  binomialCdf,
  binomialPmf,
  logGamma,
  normalCdf,
  normalQuantile,
} from '../../src/stats/distributions.ts';
import { PERCENTILES, tooFewFor } from '../../src/stats/tails.ts';

describe('distributions', () => {
  it('logGamma gives factorials and Γ(½)', () => {
    expect(logGamma(11)).toBeCloseTo(Math.log(3628800), 11);
    expect(logGamma(0.5)).toBeCloseTo(Math.log(Math.sqrt(Math.PI)), 12);
    expect(logGamma(1)).toBeCloseTo(0, 12);
  });

  it.each([
    [0, 0.5],
    [1.96, 0.9750021048517795],
    [-1, 0.15865525393145707],
    [-4.5, 3.3976731247300603e-6],
    [-10, 7.619853024160527e-24],
  ])('normalCdf(%f) = %f', (x, p) => expect(normalCdf(x) / p).toBeCloseTo(1, 9));

  it('normalQuantile inverts it', () => {
    expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 10);
    expect(normalQuantile(0)).toBe(-Infinity);
    fc.assert(
      fc.property(fc.double({ min: 1e-9, max: 1 - 1e-9, noNaN: true }), (p) => {
        expect(normalCdf(normalQuantile(p))).toBeCloseTo(p, 10);
      }),
    );
  });

  it('binomial probabilities of a few coin tosses', () => {
    expect(binomialPmf(2, 4, 0.5)).toBeCloseTo(6 / 16, 12);
    expect(binomialCdf(1, 10, 0.5)).toBeCloseTo(11 / 1024, 12);
    expect(binomialCdf(-1, 3, 0.5)).toBe(0);
    expect(binomialCdf(3, 3, 0.5)).toBe(1);
  });
});

describe('percentile minima', () => {
  it.each(PERCENTILES)('$name needs $needs: the fewest with P(≤ 1 beyond) ≤ 1%', ({ q, needs }) => {
    expect(binomialCdf(1, needs, 1 - q)).toBeLessThanOrEqual(0.01);
    expect(binomialCdf(1, needs - 1, 1 - q)).toBeGreaterThan(0.01);
  });

  it('says what is missing', () => {
    expect(tooFewFor(130, 40)).toBe('n/a: needs ≥ 130 samples, has 40');
    expect(tooFewFor(130, 130)).toBeNull();
  });
});
