import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { float32, int64, type Tensors, tensor, toFloat16 } from '../../src/core/tensor.ts';
import { compareOutputs, compareTensors } from '../../src/stats/parity.ts';

const one = (values: number[], name = 'y'): Tensors => ({ [name]: float32([values.length], values) });

describe('compareTensors', () => {
  it('measures the largest difference relative to the scale of the reference', () => {
    const p = compareTensors(one([10, -201]), one([10, -200]), 0.01, 'cpu');
    expect(p).toMatchObject({
      agrees: true,
      max_abs: 1,
      max_rel: 1 / 200,
      worst: 'y',
      top1: null,
      reference: 'cpu',
    });
    expect(compareTensors(one([10, -201]), one([10, -200]), 0.004, 'cpu').agrees).toBe(false);
  });

  it('does not blow up differences of outputs below one', () => {
    expect(compareTensors(one([0.001]), one([0.002]), 0.01, 'cpu').max_rel).toBeCloseTo(0.001, 8);
  });

  it.each([Number.NaN, Infinity, -Infinity])('fails on %s, on either side', (bad) => {
    for (const [a, b] of [
      [one([1, bad]), one([1, 1])],
      [one([1, 1]), one([1, bad])],
      [one([1, bad]), one([1, bad])],
    ] as const) {
      const p = compareTensors(a, b, 1e9, 'cpu');
      expect(p.agrees).toBe(false);
      expect(p.worst).toContain(String(bad));
      expect(JSON.parse(JSON.stringify(p))).toEqual(p);
    }
  });

  it('names a missing output and a wrong shape', () => {
    const expected = { a: float32([1], [1]), b: float32([1, 2], [1, 2]) };
    expect(compareTensors({ a: expected.a }, expected, 1, 'cpu')).toMatchObject({
      agrees: false,
      worst: 'b: missing',
    });
    const p = compareTensors({ a: expected.a, b: float32([2], [1, 2]) }, expected, 1, 'cpu');
    expect(p).toMatchObject({ agrees: false, worst: 'b: shape [2] instead of [1, 2]' });
  });

  it('refuses to call nothing equal', () => {
    expect(compareTensors({}, {}, 1, 'cpu')).toMatchObject({
      agrees: false,
      worst: 'no outputs to compare',
    });
    expect(compareTensors(one([1]), { toString: float32([1], [1]) }, 1, 'cpu').agrees).toBe(false);
  });

  it('compares integers exactly, beyond 2^53 too, whatever the tolerance', () => {
    const big = 2n ** 60n;
    const a = { ids: tensor('int64', [2], BigInt64Array.from([1n, big + 1n])) };
    const b = { ids: tensor('int64', [2], BigInt64Array.from([1n, big])) };
    expect(compareTensors(a, b, 1, 'cpu')).toMatchObject({
      agrees: false,
      max_abs: 1,
      worst: 'ids: 1 of 2 integers differ',
    });
    expect(compareTensors(b, b, 0, 'cpu').agrees).toBe(true);
  });

  it('lets widths differ but not kinds', () => {
    const int32 = { y: tensor('int32', [2], Int32Array.from([3, -4])) };
    expect(compareTensors(int32, { y: int64([2], [3, -4]) }, 0, 'cpu').agrees).toBe(true);
    expect(compareTensors(int32, one([3, -4]), 1, 'cpu').worst).toBe('y: int32 instead of float32');
    const half = { y: tensor('float16', [2], Uint16Array.from([0.5, -3].map(toFloat16))) };
    expect(compareTensors(half, one([0.5, -3]), 0, 'cpu').agrees).toBe(true);
  });

  it('a wrong integer outranks a larger, tolerated float difference', () => {
    const p = compareTensors(
      { f: float32([1], [1.5]), i: int64([1], [1000]) },
      { f: float32([1], [1]), i: int64([1], [1001]) },
      1,
      'cpu',
    );
    expect(p.worst).toMatch(/^i:/);
  });

  it('gives the share of rows whose largest logit agrees', () => {
    const expected = { logits: float32([2, 3], [1, 2, 3, 3, 2, 1]), other: float32([1, 2], [0, 1]) };
    const actual = { logits: float32([2, 3], [1, 2, 3, 2, 3, 1]), other: float32([1, 2], [1, 0]) };
    expect(compareTensors(actual, expected, 1, 'cpu').top1).toBe(0.5);
    expect(compareOutputs(actual, expected, 1).map((o) => o.top1)).toEqual([0.5, null]);
  });

  it('accepts empty outputs of equal shape', () => {
    expect(
      compareTensors({ logits: float32([0, 3], []) }, { logits: float32([0, 3], []) }, 0, 'x'),
    ).toMatchObject({
      agrees: true,
      top1: null,
      cosine: 1,
    });
  });

  it('is reflexive and scales with the error', () => {
    const values = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }), {
      minLength: 1,
    });
    fc.assert(
      fc.property(values, fc.integer(), (x, pick) => {
        expect(compareTensors(one(x), one(x), 0, 'cpu')).toMatchObject({ agrees: true, max_abs: 0 });
        const i = Math.abs(pick) % x.length;
        const y = [...x];
        y[i] = Math.fround(x[i]! + 1 + Math.abs(x[i]!));
        const p = compareTensors(one(y), one(x), 0, 'cpu');
        expect(p.agrees).toBe(false);
        expect(p.max_rel).toBeGreaterThan(0);
        expect(p.cosine).toBeLessThanOrEqual(1);
      }),
    );
  });
});
