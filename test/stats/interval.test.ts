import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { random } from '../../src/core/random.ts';
import { bootstrapInterval, bootstrapMedian, pairedBootstrapRatio } from '../../src/stats/bootstrap.ts';
import { hodgesLehmannRatio, pairedRatio } from '../../src/stats/hodges-lehmann.ts';
import { medianInterval, wilsonInterval } from '../../src/stats/interval.ts';
import { ascending, median, quantile, quantileOfSorted } from '../../src/stats/order.ts';
import { gaussian } from './helpers.ts';

describe('quantiles', () => {
  it('interpolate as R type 7 and NumPy do', () => {
    expect(quantile([10, 1, 4, 2, 3], 0.9)).toBeCloseTo(7.6, 12);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
    expect(median([])).toBeNaN();
  });

  it('stay within the range and grow with q', () => {
    const values = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 });
    const q = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(values, q, q, (x, q1, q2) => {
        const sorted = ascending(x);
        const [low, high] = [Math.min(q1, q2), Math.max(q1, q2)];
        const slack = 1e-9 * Math.max(1, ...x.map(Math.abs));
        expect(quantileOfSorted(sorted, low)).toBeLessThanOrEqual(quantileOfSorted(sorted, high) + slack);
        expect(quantileOfSorted(sorted, low)).toBeGreaterThanOrEqual(Math.min(...x) - slack);
        expect(quantileOfSorted(sorted, high)).toBeLessThanOrEqual(Math.max(...x) + slack);
      }),
    );
  });
});

describe('intervals', () => {
  it('median: the extremes of 6, the second from either end of 10, nothing of 5', () => {
    expect(medianInterval([6, 1, 5, 2, 4, 3])).toEqual({
      lo: 1,
      hi: 6,
      method: 'order statistics, n=6, 96.9%',
    });
    expect(medianInterval([10, 9, 8, 7, 6, 5, 4, 3, 2, 1])).toMatchObject({ lo: 2, hi: 9 });
    expect(medianInterval([1, 2, 3, 4, 5])).toBeNull();
  });

  it('Wilson (prop.test of R without correction)', () => {
    const { lo, hi } = wilsonInterval(8, 10)!;
    expect(lo).toBeCloseTo(0.4901625, 6);
    expect(hi).toBeCloseTo(0.9433178, 6);
    expect(wilsonInterval(0, 10)).toMatchObject({ lo: 0 });
    expect(wilsonInterval(0, 10)!.hi).toBeCloseTo(0.2775328, 6);
    expect(wilsonInterval(10, 10)!.hi).toBe(1);
    expect(wilsonInterval(0, 0)).toBeNull();
  });

  it('bootstrap is reproducible, contains the estimate, and refuses two rounds', () => {
    const values = [5, 7, 6, 9, 8];
    expect(bootstrapMedian(values)).toEqual(bootstrapMedian(values));
    const { lo, hi } = bootstrapMedian(values)!;
    expect(lo).toBeLessThanOrEqual(7);
    expect(hi).toBeGreaterThanOrEqual(7);
    expect(bootstrapMedian([1, 2])).toBeNull();
    expect(pairedBootstrapRatio([1, 1, 1], [2, 2, 2])).toMatchObject({
      ratio: 2,
      interval: { lo: 2, hi: 2 },
    });
    expect(pairedBootstrapRatio([1, 1, 0], [2, 2, 2])).toBeNull();
    expect(pairedBootstrapRatio([1, 1], [2, 2, 2])).toBeNull();
    expect(bootstrapInterval(3, () => Number.NaN)).toBeNull();
  });

  it('BCa shifts against the skew of the mean of skewed values', () => {
    const { uniform } = random(4);
    const values = Array.from({ length: 30 }, () => -Math.log(1 - uniform()));
    const mean = (indices: Int32Array) => indices.reduce((s, i) => s + values[i]!, 0) / indices.length;
    const plain = bootstrapInterval(30, mean)!;
    const bca = bootstrapInterval(30, mean, { kind: 'bca' })!;
    expect(bca.lo).toBeGreaterThan(plain.lo);
    expect(bca.hi).toBeGreaterThan(plain.hi);
  });
});

describe('coverage by simulation', () => {
  const trials = 600;
  // Three standard errors of a coverage of 95% in 600 trials.
  const slack = 3 * Math.sqrt((0.95 * 0.05) / trials);
  const covered = (n: number, seed: number, contains: (a: number[], b: number[]) => boolean) => {
    const draw = gaussian(seed);
    let hits = 0;
    for (let t = 0; t < trials; t++) {
      // Log-normal noise with a heavy right tail and a drift that both sides share.
      const a: number[] = [];
      const b: number[] = [];
      for (let i = 0; i < n; i++) {
        const drift = 0.01 * draw();
        const spike = () => (draw() > 1.6 ? 0.05 : 0);
        a.push(Math.exp(drift + 0.02 * draw() + spike()));
        b.push(Math.exp(drift + 0.02 * draw() + spike()));
      }
      if (contains(a, b)) hits++;
    }
    return hits / trials;
  };
  const holds = (interval: { lo: number; hi: number } | null, truth: number) =>
    interval !== null && interval.lo <= truth && truth <= interval.hi;

  it.each([6, 9, 15])('ratio intervals of %i rounds reach 95%', (n) => {
    expect(covered(n, 11, (a, b) => holds(hodgesLehmannRatio(a, b)!.interval, 1))).toBeGreaterThan(
      0.95 - slack,
    );
    expect(covered(n, 12, (a, b) => holds(pairedRatio(a, b)!.interval, 1))).toBeGreaterThan(0.95 - slack);
  });

  it.each([6, 10])('the median interval of %i rounds reaches 95%', (n) => {
    // The true median of log-normal noise around 1 is 1.
    const draw = gaussian(21);
    let hits = 0;
    for (let t = 0; t < trials; t++)
      if (holds(medianInterval(Array.from({ length: n }, () => Math.exp(0.1 * draw()))), 1)) hits++;
    expect(hits / trials).toBeGreaterThan(0.95 - slack);
  });

  it('Wilson covers small accuracies', () => {
    const { uniform } = random(31);
    let hits = 0;
    for (let t = 0; t < 2000; t++) {
      let k = 0;
      for (let i = 0; i < 40; i++) if (uniform() < 0.9) k++;
      if (holds(wilsonInterval(k, 40), 0.9)) hits++;
    }
    expect(hits / 2000).toBeGreaterThan(0.92);
  });
});
