import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  factor,
  interval,
  metricLabel,
  metricWithUnit,
  number,
  printable,
  pValue,
  quantity,
  shorten,
  slug,
  twoLines,
  uniqueNames,
} from '../../src/report/format.ts';

test.each([
  [23.948, 'ms', '23.9 ms'],
  [1235.4, 'ms', '1,235 ms'],
  [12_345, 'ms', '12.3 s'],
  [0.01234, 'ms', '0.0123 ms'],
  [25_557_032, 'count', '25.6 M'],
  [4.089e9, 'count', '4.09 G'],
  [0.9144, 'share', '91.4%'],
  [1.5 * 2 ** 30, 'B', '1.50 GiB'],
  [512, 'B', '512 B'],
  [0, 'ms', '0 ms'],
  [-2.5, 'ms', '-2.50 ms'],
  [null, 'ms', 'n/a'],
  [Number.NaN, 'ms', 'n/a'],
] as const)('%d %s reads %s', (value, unit, text) => expect(quantity(value, unit)).toBe(text));

test('an interval names its unit once, and is nothing without both ends', () => {
  expect(interval(1, 2, 'ms')).toBe('1.00 to 2.00 ms');
  expect(interval(1000 * 2 ** 20, 1.1 * 2 ** 30, 'B')).toBe('1,000 MiB to 1.10 GiB');
  expect(interval(null, 2, 'ms')).toBeNull();
});

test('factors near 1 have the digits that tell them from 1', () => {
  expect([1.004, 1.83, 31.2].map(factor)).toEqual(['1.004×', '1.83×', '31.2×']);
});

test('p is never 0', () => {
  expect([0, 0.012, 0.5].map(pValue)).toEqual(['p < 0.001', 'p = 0.012', 'p = 0.50']);
});

test('metrics are spelt as people write them', () => {
  expect(['peak_rss', 'ttft', 'top1', 'latency_p95'].map(metricLabel)).toEqual([
    'peak RSS',
    'TTFT',
    'top-1',
    'latency p95',
  ]);
  expect(metricWithUnit('gflops', 'GFLOP/s')).toBe('GFLOP/s');
  expect(metricWithUnit('latency', 'ms')).toBe('latency [ms]');
});

test('numbers keep three significant digits', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-3, max: 9e6, noNaN: true }), (value) => {
      const read = Number(number(value).replaceAll(',', ''));
      expect(Math.abs(read - value) / value).toBeLessThan(0.0051);
    }),
  );
});

test('whatever a name holds, it becomes a safe file name and one line of text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      expect(slug(text)).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?-?$/);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these must be gone
      expect(printable(text)).not.toMatch(/[\u0000-\u001f\u2028\u202e]/);
      expect(shorten(text, 12).length).toBeLessThanOrEqual(12);
    }),
    { numRuns: 60 },
  );
  expect(twoLines('one two three', 8)).toEqual(['one two', 'three']);
  expect(twoLines('a'.repeat(30), 10)).toEqual(['aaaaaaaaaa', 'aaaaaaaaa…']);
  expect(slug('CON')).toBe('con-');
  const name = uniqueNames();
  expect(['a', 'a', 'a-2', 'a'].map(name)).toEqual(['a', 'a-2', 'a-2-2', 'a-3']);
});
