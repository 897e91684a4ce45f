import { describe, expect, it } from 'vitest';
import { adamCorrections, FIRST_LOSS_SCALE, nextLossScale, rateAt } from '../../src/training/schedule.ts';

describe('the learning rate', () => {
  // Expected numbers of transformers' own tests (tests/optimization), rounded there.
  it.each([
    ['constant', 4, [0, 2.5, 5, 7.5, 10, 10, 10, 10, 10, 10]],
    ['linear', 2, [0, 5, 10, 8.75, 7.5, 6.25, 5, 3.75, 2.5, 1.25]],
    ['cosine', 2, [0, 5, 10, 9.61, 8.53, 6.91, 5, 3.08, 1.46, 0.38]],
  ] as const)('is as transformers has it: %s', (kind, warmup, expected) => {
    expected.forEach((rate, step) => {
      expect(Math.abs(rateAt({ kind, rate: 10, warmup, steps: 10 }, step) - rate)).toBeLessThan(0.01);
    });
  });

  it('stays at its end beyond the last step, and starts at the top without warm-up', () => {
    expect(rateAt({ kind: 'cosine', rate: 1, steps: 4 }, 0)).toBe(1);
    expect(rateAt({ kind: 'cosine', rate: 1, steps: 4 }, 9)).toBe(0);
    expect(rateAt({ kind: 'linear', rate: 1, steps: 4, warmup: 4 }, 4)).toBe(1);
    expect(() => rateAt({ kind: 'linear', rate: 1, steps: 4, warmup: 5 }, 0)).toThrow('5 of 4 steps');
    expect(() => rateAt({ kind: 'linear', rate: Number.NaN, steps: 4 }, 0)).toThrow('rate of NaN');
  });
});

describe("Adam's corrections", () => {
  it('are 1 − β^t', () => {
    const { correction1, correction2 } = adamCorrections(3, [0.9, 0.999]);
    expect(correction1).toBeCloseTo(1 - 0.9 ** 3, 14);
    expect(correction2).toBeCloseTo(1 - 0.999 ** 3, 14);
    expect(adamCorrections(1, [0, 0.5])).toEqual({ correction1: 1, correction2: 0.5 });
  });
});

describe('the scale of the loss', () => {
  it('is halved at an overflow and doubled after 2000 steps without', () => {
    let state = nextLossScale(FIRST_LOSS_SCALE, false);
    expect(state).toEqual({ scale: 32768, goodSteps: 0 });
    for (let i = 0; i < 1999; i++) state = nextLossScale(state, true);
    expect(state).toEqual({ scale: 32768, goodSteps: 1999 });
    expect(nextLossScale(state, false)).toEqual({ scale: 16384, goodSteps: 0 });
    expect(nextLossScale(state, true)).toEqual({ scale: 65536, goodSteps: 0 });
    expect(nextLossScale({ scale: 2 ** 127, goodSteps: 1999 }, true).scale).toBe(2 ** 127);
  });
});
