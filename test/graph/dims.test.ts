import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Dim } from '../../src/core/graph.ts';
import {
  addDims,
  bindDim,
  exactQuotient,
  floorDivDim,
  mulDims,
  sameDim,
  subDims,
} from '../../src/graph/dims.ts';

const SIZES = { a: 3, b: 5, 'c.d': 7 };

/** A random expression: how it is computed on dimensions, and its value at `SIZES`. */
const expression: fc.Arbitrary<{ dim: Dim; value: number }> = fc.letrec<{ e: { dim: Dim; value: number } }>(
  (tie) => ({
    e: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.oneof(
        fc.integer({ min: 0, max: 9 }).map((n) => ({ dim: n as Dim, value: n })),
        fc
          .constantFrom('a', 'b', 'c.d')
          .map((n) => ({ dim: n as Dim, value: SIZES[n as keyof typeof SIZES] })),
      ),
      fc
        .tuple(tie('e'), tie('e'))
        .map(([x, y]) => ({ dim: addDims(x.dim, y.dim), value: x.value + y.value })),
      fc
        .tuple(tie('e'), tie('e'))
        .map(([x, y]) => ({ dim: subDims(x.dim, y.dim), value: x.value - y.value })),
      fc
        .tuple(tie('e'), tie('e'))
        .map(([x, y]) => ({ dim: mulDims(x.dim, y.dim), value: x.value * y.value })),
      fc
        .tuple(tie('e'), fc.integer({ min: 1, max: 5 }))
        .map(([x, n]) => ({ dim: floorDivDim(x.dim, n), value: Math.floor(x.value / n) })),
    ),
  }),
).e;

describe('symbolic dimensions', () => {
  it('come out as their arithmetic once sizes are known', () => {
    fc.assert(
      fc.property(expression, ({ dim, value }) => {
        // Expressions that grow beyond the bounds stay opaque names; anything else must be right.
        const bound = bindDim(dim, SIZES);
        if (typeof bound === 'number') expect(bound).toBe(value + 0);
        else expect(bound).toMatch(/^\?/);
      }),
      { numRuns: 500, seed: 3 },
    );
  });

  it.each<[Dim, Dim]>([
    ['past+sequence', 'sequence + past'],
    ['past_length + 1', '1+past_length'],
    ['2*batch', 'batch+batch'],
    ['(a+b)*c', 'a*c+c*b'],
    ['floor((2*h)/2)', 'h'],
  ])('%s is %s', (a, b) => {
    expect(sameDim(a, b)).toBe(true);
  });

  it.each<[Dim, Dim]>([
    ['past', 'sequence'],
    ['past+1', 'past'],
    [3, 'three'],
    ['a b', 'a+b'],
    ['', 'x'],
  ])('%s is not known to be %s', (a, b) => {
    expect(sameDim(a, b)).toBe(false);
  });

  it('are written in one way', () => {
    expect(addDims('sequence', 'past')).toBe('past+sequence');
    expect(subDims('past+sequence', 'sequence')).toBe('past');
    expect(subDims('n', 'n')).toBe(0);
    expect(addDims(floorDivDim(subDims('h', 1), 2), 1)).toBe('floor((h-1)/2)+1');
  });

  it('divide exactly or not at all', () => {
    expect(exactQuotient('6*batch*sequence', '2*batch')).toBe('3*sequence');
    expect(exactQuotient('batch', 2)).toBe(null);
    expect(exactQuotient('a+b', 'a+b')).toBe(1);
    expect(exactQuotient(12, 4)).toBe(3);
    expect(exactQuotient('6*b*s*(p+s)', '2*b*(p+s)')).toBe('3*s');
    expect(exactQuotient('(a+b)*(a-b)', 'a-b')).toBe('a+b');
    expect(exactQuotient('a*a+b', 'a+b')).toBe(null);
    expect(exactQuotient('a', 0)).toBe(null);
    expect(exactQuotient('a', subDims('b', 'b'))).toBe(null);
  });

  it('prefer a name over an expression', () => {
    expect(bindDim('decoder-length', { 'decoder-length': 4, decoder: 9, length: 1 })).toBe(4);
    expect(bindDim('past+sequence', { past: 2 })).toBe('sequence+2');
  });

  it('of hostile text are opaque, quickly', () => {
    for (const text of [
      '('.repeat(200),
      `a${'*(a+b)'.repeat(40)}`,
      '1'.repeat(300),
      'floor(',
      '\u0000',
      '-',
      '*',
    ]) {
      expect(sameDim(text, text)).toBe(true);
      expect(() => mulDims(addDims(text, 1), text)).not.toThrow();
    }
    let dim: Dim = 'x';
    for (let i = 0; i < 200; i++) dim = mulDims(addDims(dim, `v${i}`), `w${i}`);
    expect(String(dim).length).toBeLessThan(300);
    let square: Dim = 'side';
    for (let i = 0; i < 200; i++) square = mulDims(square, square);
    expect(String(square).length).toBeLessThan(300);
    expect(square).not.toBe(mulDims(square, 'side'));
  });
});
